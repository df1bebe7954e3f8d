# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role says about the host."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    """Where things are on this host.

    Attributes:
        cluster: name of the cluster, which its containers have for a label.
        host: name of this host in the inventory.
        parts: the folders that are backed up, by the names that they have in an archive.
        postgres: whether the cluster's PostgreSQL, which runs on this host, is backed up too.
        directory: where archives lie.
        keep: how many of them are kept.
        restore: folder for what a restore has under way, and for what it has replaced.
        metrics: file for node_exporter's textfile collector.
        copy_command: takes an archive, for which `{archive}` stands, to another host; may be empty.
    """

    cluster: str
    host: str
    parts: Mapping[str, Path]
    postgres: bool
    directory: Path
    keep: int
    restore: Path
    metrics: Path
    copy_command: Sequence[str]

    @classmethod
    def read(cls, path: Path) -> Settings:
        """Read what the role wrote to `path`."""
        values = json.loads(path.read_text())
        return cls(
            cluster=values["cluster"],
            host=values["host"],
            parts={name: Path(folder) for name, folder in values["parts"].items()},
            postgres=values["postgres"],
            directory=Path(values["directory"]),
            keep=values["keep"],
            restore=Path(values["restore"]),
            metrics=Path(values["metrics"]),
            copy_command=values["copy_command"],
        )
