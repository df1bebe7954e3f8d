# SPDX-License-Identifier: GPL-3.0-or-later
"""What can go wrong."""

from __future__ import annotations


class BackupError(Exception):
    """Nothing was backed up or restored; the message says why, and what to do."""


class DamagedError(BackupError):
    """An archive is not what a backup wrote."""

    def __init__(self, reason: str) -> None:
        """Keep what was noticed."""
        super().__init__(f"the archive is damaged ({reason}): take another one")
