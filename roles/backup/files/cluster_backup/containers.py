# SPDX-License-Identifier: GPL-3.0-or-later
"""The containers of the cluster that write to what is restored."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Collection, Sequence
from pathlib import Path

from cluster_backup.errors import BackupError


def writers(cluster: str, folders: Collection[Path]) -> list[str]:
    """Return the names of the running containers of `cluster` that may write to `folders`.

    Raises:
        BackupError: the engine does not answer.
    """
    if not shutil.which("docker"):
        # A fresh host.
        return []
    label = f"label=com.docker.compose.project={cluster}"
    identities = _docker("ps", "--quiet", "--filter", label).split()
    if not identities:
        return []
    return [
        details["Name"].removeprefix("/")
        for details in json.loads(_docker("inspect", *identities))
        if any(mount["RW"] and Path(mount["Source"]) in folders for mount in details["Mounts"])
    ]


def stop(names: Sequence[str]) -> None:
    """Stop the containers `names`, each with the time that it was given for it."""
    if names:
        _docker("stop", *names)


def start(names: Sequence[str]) -> None:
    """Start the containers `names`."""
    if names:
        _docker("start", *names)


def _docker(*arguments: str) -> str:
    # S603, S607: docker is where Debian put it, and the arguments are ours.
    result = subprocess.run(  # noqa: S603
        ["docker", *arguments],  # noqa: S607
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        raise BackupError(f"docker {arguments[0]}: {result.stderr.strip()}")
    return result.stdout
