# SPDX-License-Identifier: GPL-3.0-or-later
"""Folders that go with all that is in them."""

from __future__ import annotations

import shutil
from pathlib import Path


def remove(folder: Path) -> None:
    """Remove `folder` if it is there.

    Raises:
        OSError: it is there and cannot be removed, or not all of it.
    """
    if folder.exists():
        shutil.rmtree(folder)
