# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter that finds what no replica can be healed with among its variables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

DAY = 86400

# The least and the most that a number may be.
NUMBERS = {
    "autoheal_patience": (0, DAY),
    "autoheal_backoff": (1, DAY),
    "autoheal_backoff_max": (1, DAY),
    "autoheal_forget": (1, 7 * DAY),
    "autoheal_lock_seconds": (60, DAY),
    "autoheal_log_days": (1, 3650),
}


def autoheal_faults(variables: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each fault of `variables`, whose types have been checked."""
    return [
        f"{name} is {variables[name]}: it must be from {least} to {most}."
        for name, (least, most) in NUMBERS.items()
        if name in variables and not least <= int(variables[name]) <= most
    ]


class FilterModule:
    """The filter as Ansible finds it."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filter by name."""
        return {"autoheal_faults": autoheal_faults}
