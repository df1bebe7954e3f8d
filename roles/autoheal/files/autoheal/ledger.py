# SPDX-License-Identifier: GPL-3.0-or-later
"""What is remembered from one run to the next, and what is counted for others to see."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from autoheal.policy import Record


def read_records(path: Path) -> dict[str, Record]:
    """Return what `write_records` wrote to `path`; nothing if it has not."""
    values = _read(path)
    return {name: Record(**record) for name, record in values.items()}


def write_records(path: Path, records: Mapping[str, Record]) -> None:
    """Write `records` to `path`, whole or not at all."""
    _write(path, {name: asdict(record) for name, record in records.items()})


def count(path: Path, name: str, now: float) -> int:
    """Count a restart of `name` in `path`, which others read, and return how many there were."""
    counts = _read(path)
    restarts = int(counts.get(name, {}).get("restarts", 0)) + 1
    last = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    _write(path, counts | {name: {"restarts": restarts, "last": last}})
    return restarts


def _read(path: Path) -> dict[str, Any]:
    try:
        values: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    return values


def _write(path: Path, values: Mapping[str, Any]) -> None:
    new = path.with_suffix(".new")
    new.write_text(json.dumps(values, indent=1, sort_keys=True) + "\n")
    new.chmod(0o644)
    new.replace(path)
