"""Who runs on which core, and how many files it may open."""

from __future__ import annotations

import os
import resource

OURS = 0
"""The core of the upstream and of the load."""
THEIRS = 1
"""The core of the system under test."""


def pin_to(core: int) -> None:
    """Keep this process and those that it starts on `core`, where the machine has that many."""
    allowed = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {allowed[core % len(allowed)]})
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def pin_system() -> None:
    """Keep a system under test on its core; for between its fork and its exec."""
    os.sched_setaffinity(0, range(os.cpu_count() or 1))
    pin_to(THEIRS)
