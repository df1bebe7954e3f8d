# SPDX-License-Identifier: GPL-3.0-or-later
"""The replicas, as the engine of the host knows them."""

from __future__ import annotations

import json
import re
import subprocess

from autoheal.policy import Health

# Of a replica, by the slot that it has. What is called otherwise is of a rollout.
SERVICE = re.compile(r"api[0-9]+")


class EngineError(Exception):
    """The engine does not do what it was asked for; the message says why."""


def healths(cluster: str) -> dict[str, Health]:
    """Return the health of each replica of `cluster` that runs.

    Raises:
        EngineError: the engine does not answer.
    """
    label = f"label=com.docker.compose.project={cluster}"
    identities = _docker("ps", "--quiet", "--filter", label).split()
    found = {}
    for details in json.loads(_docker("inspect", *identities)) if identities else []:
        name = details["Name"].removeprefix("/")
        state = details["State"]
        if SERVICE.fullmatch(name) and state["Status"] == "running" and "Health" in state:
            found[name] = Health(state["Health"]["Status"])
    return found


def restart(name: str) -> None:
    """Restart the replica `name`, with the time to stop that it was given.

    Raises:
        EngineError: it could not be restarted.
    """
    _docker("restart", name)


def _docker(*arguments: str) -> str:
    # S603, S607: docker is where Debian put it, and the arguments are ours.
    result = subprocess.run(  # noqa: S603
        ["docker", *arguments],  # noqa: S607
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        raise EngineError(f"docker {arguments[0]}: {result.stderr.strip()}")
    return result.stdout
