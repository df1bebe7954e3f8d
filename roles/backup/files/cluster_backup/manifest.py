# SPDX-License-Identifier: GPL-3.0-or-later
"""What is in an archive, as its first member says."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Any

from cluster_backup.errors import BackupError, DamagedError

# Of the archive. A release reads its own and all that came before.
FORMAT = 1


class Kind(StrEnum):
    """What an entry is."""

    FILE = "file"
    FOLDER = "folder"
    LINK = "link"


@dataclass(frozen=True)
class Entry:
    """One file, folder or symbolic link.

    Attributes:
        path: the name of its part and its path in there.
        kind: which of the three it is.
        mode: its permissions.
        uid: number of its owner.
        gid: number of its group.
        mtime: when it was changed, in seconds since 1970.
        size: bytes of a file.
        sha256: of a file's content.
        target: what a link points to.
    """

    path: str
    kind: Kind
    mode: int
    uid: int
    gid: int
    mtime: float
    size: int = 0
    sha256: str = ""
    target: str = ""


@dataclass(frozen=True)
class Schema:
    """What a database asks of a release.

    Attributes:
        version: of its tables.
        compatible_from: the oldest version that a release must know to use them.
    """

    version: str
    compatible_from: str


@dataclass(frozen=True)
class Manifest:
    """What is in an archive.

    Attributes:
        cluster: name of the cluster.
        host: whose it was.
        time: when it was made, in UTC as in ISO 8601.
        databases: what the databases ask of a release, by their paths.
        entries: all that there is, folders before what is in them.
    """

    cluster: str
    host: str
    time: str
    databases: Mapping[str, Schema]
    entries: Sequence[Entry]

    def to_json(self) -> str:
        """Return it as text."""
        return json.dumps({"format": FORMAT, **asdict(self)}, indent=1)

    @classmethod
    def parse(cls, text: str) -> Manifest:
        """Return what `to_json` made text of.

        Raises:
            BackupError: a newer release made it.
            DamagedError: it is none.
        """
        try:
            values = json.loads(text)
            # Before anything else: nothing is known about the rest of a newer one.
            if int(values["format"]) > FORMAT:
                raise BackupError(
                    f"the backup is of a newer version: its format is {values['format']}, and this"
                    f" release knows {FORMAT}. Restore it with the release that made it, or later"
                )
            return cls(
                cluster=values["cluster"],
                host=values["host"],
                time=values["time"],
                databases={name: Schema(**schema) for name, schema in values["databases"].items()},
                entries=[_entry(entry) for entry in values["entries"]],
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DamagedError(f"its list of contents: {error!r}") from error

    def check_schemas(self, known: str) -> None:
        """Return if a release that knows the tables of version `known` can use the databases.

        Raises:
            BackupError: it cannot.
        """
        for name, schema in self.databases.items():
            if schema.compatible_from > known:
                raise BackupError(
                    f"the backup is of a newer version: {name} has tables of version"
                    f" {schema.version}, and this release knows {known}. Restore it with the"
                    " release that made it, or later"
                )


def _entry(values: Mapping[str, Any]) -> Entry:
    entry = Entry(**{**values, "kind": Kind(values["kind"])})
    path = PurePosixPath(entry.path)
    if path.is_absolute() or ".." in path.parts or str(path) != entry.path:
        raise ValueError(entry.path)
    return entry
