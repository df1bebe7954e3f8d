# SPDX-License-Identifier: GPL-3.0-or-later
"""Tells node_exporter's textfile collector how the last backup went."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

_TEXT = """\
# HELP freegpt4_backup_ok Whether the last backup was made, and copied to where it was to go.
# TYPE freegpt4_backup_ok gauge
freegpt4_backup_ok {ok}
# HELP freegpt4_backup_run_seconds When the last backup ended, in seconds since 1970.
# TYPE freegpt4_backup_run_seconds gauge
freegpt4_backup_run_seconds {run}
# HELP freegpt4_backup_success_seconds When one last went well, in seconds since 1970.
# TYPE freegpt4_backup_success_seconds gauge
freegpt4_backup_success_seconds {success}
# HELP freegpt4_backup_size_bytes Size of the newest archive.
# TYPE freegpt4_backup_size_bytes gauge
freegpt4_backup_size_bytes {size}
"""
_SUCCESS = "freegpt4_backup_success_seconds "
_SIZE = "freegpt4_backup_size_bytes "


def write_metrics(path: Path, archive: Path | None, now: datetime, *, ok: bool) -> None:
    """Write `path`, whole or not at all. `archive` is what was made, if it was.

    Raises:
        OSError: it could not be written.
    """
    time = int(now.timestamp())
    text = _TEXT.format(
        ok=int(ok),
        run=time,
        success=time if ok else _kept(path, _SUCCESS),
        size=archive.stat().st_size if archive else _kept(path, _SIZE),
    )
    path.parent.mkdir(mode=0o755, exist_ok=True)
    new = path.with_suffix(".new")
    new.write_text(text)
    new.chmod(0o644)
    new.replace(path)


def _kept(path: Path, prefix: str) -> int:
    """Return the value that `path` has for a metric; 0 if it has none."""
    lines = path.read_text().splitlines() if path.exists() else []
    return next((int(line.removeprefix(prefix)) for line in lines if line.startswith(prefix)), 0)
