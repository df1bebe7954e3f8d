"""Callback that lets runs of Ansible share the modules that they pack.

A run packs each module once, with all that it imports, and forgets that in the end. In a deployment
that changes little, that is a third of the control node's work. Here a folder keeps it, until
anything changes that a module may be made of. Without this the runs are slower, and else the same.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path
from typing import Any

from ansible import constants
from ansible.plugins.callback import CallbackBase
from ansible.release import __version__ as release

DOCUMENTATION = """
name: module_cache
type: aggregate
short_description: Shares packed modules between runs
description:
  - Lets Ansible keep the modules that it has packed in the project's C(.cache).
"""

PROJECT = Path(__file__).parents[3]


def _inputs() -> list[Path]:
    """Return the files that say what modules are made of: versions, and the project's own."""
    return [PROJECT / "requirements-dev.lock", *sorted(PROJECT.glob("roles/*/library/*.py"))]


def _take_over(source: Path, target: Path) -> None:
    """Copy the modules that `target` lacks from `source`, each whole or not at all."""
    target.mkdir(parents=True, exist_ok=True)
    for module in source.glob("*"):
        # Ansible writes what is not finished under a name of this kind.
        if module.name.endswith("-part") or (target / module.name).exists():
            continue
        draft = target / f"{module.name}-{os.getpid()}-part"
        shutil.copyfile(module, draft)
        draft.replace(target / module.name)


class CallbackModule(CallbackBase):  # type: ignore[misc]  # Ansible's plugin classes carry no types
    """The callback as Ansible finds it."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "module_cache"

    def __init__(self) -> None:
        """Find both folders. Runs beside each other write to their own, and not into one file."""
        super().__init__()
        digest = hashlib.sha256(release.encode())
        for path in _inputs():
            digest.update(path.read_bytes())
        self._shared = PROJECT / ".cache/ansible-modules" / digest.hexdigest()[:12]
        self._own = Path(constants.DEFAULT_LOCAL_TMP) / "ansiballz_cache"

    def v2_playbook_on_start(self, playbook: Any) -> None:  # noqa: ARG002  # Ansible names it
        """Take what other runs have packed."""
        _take_over(self._shared, self._own)

    def v2_playbook_on_stats(self, stats: Any) -> None:  # noqa: ARG002  # Ansible names it
        """Give what this run has packed."""
        _take_over(self._own, self._shared)
