# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters that write a lock for this run, and tell whether the run that holds one is gone."""

from __future__ import annotations

import getpass
import json
import multiprocessing
import os
import socket
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


def holder(playbook: str, why: str) -> dict[str, Any]:
    """Return who deploys, since when and why.

    Args:
        playbook: what is being run.
        why: in the operator's words.

    Returns:
        With `control`, the name of this machine, and `process` and `started`, by which the run is
        known from a later process with the same number.
    """
    # A task runs in a process of its own; the run is what that one was made by.
    parent = multiprocessing.parent_process()
    process = parent.pid if parent and parent.pid else os.getpid()
    return {
        "who": f"{getpass.getuser()}@{socket.gethostname()}",
        "since": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "playbook": playbook,
        "why": why,
        "control": socket.gethostname(),
        "process": process,
        "started": _started(process),
    }


def read(text: str) -> dict[str, Any]:
    """Return the holder that a lock names; nobody if its run died before it had said so."""
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def abandoned(found: Mapping[str, Any]) -> bool:
    """Return whether the run that holds the lock `found` is known to have died.

    Only runs of this machine can be looked for, so one of another is never taken for dead.
    """
    if not found:
        return True
    if found["control"] != socket.gethostname():
        return False
    try:
        os.kill(found["process"], 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    return bool(found["started"] != _started(found["process"]))


def seconds_since(moment: str) -> int:
    """Return how many seconds ago `moment` was, a time as `holder` writes it."""
    return round((datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds())


def _started(process: int) -> str:
    """Return when `process` began, in ticks since this machine did; "" if that cannot be known."""
    try:
        # The name of the program, in brackets, may have spaces.
        _, _, rest = Path(f"/proc/{process}/stat").read_text().rpartition(") ")
    except OSError:
        return ""
    return rest.split()[19]


class FilterModule:
    """The filters as Ansible finds them."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {
            "deployment_holder": holder,
            "deployment_read_lock": read,
            "deployment_abandoned": abandoned,
            "deployment_seconds_since": seconds_since,
        }
