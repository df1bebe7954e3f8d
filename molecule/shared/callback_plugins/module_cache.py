"""Callback that lets runs of Ansible share the modules that they pack.

A run packs each module once, with all that it imports, and forgets that in the end. In a deployment
that changes little, that is a third of the control node's work. Here a folder keeps it, until
anything changes that a module may be made of. Without this the runs are slower, and else the same.
"""

from __future__ import annotations

import hashlib
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


class CallbackModule(CallbackBase):  # type: ignore[misc]  # Ansible's plugin classes carry no types
    """The callback as Ansible finds it."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "module_cache"

    def v2_playbook_on_start(self, playbook: Any) -> None:  # noqa: ARG002  # Ansible names it
        """Let the run's own folder of packed modules be the shared one."""
        digest = hashlib.sha256(release.encode())
        for path in _inputs():
            digest.update(path.read_bytes())
        shared = PROJECT / ".cache/ansible-modules" / digest.hexdigest()[:12]
        shared.mkdir(parents=True, exist_ok=True)
        own = Path(constants.DEFAULT_LOCAL_TMP) / "ansiballz_cache"
        if not own.exists():
            own.symlink_to(shared)
