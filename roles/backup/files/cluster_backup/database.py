# SPDX-License-Identifier: GPL-3.0-or-later
"""SQLite's files: copied while others write to them, and checked."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from cluster_backup.errors import BackupError
from cluster_backup.manifest import Schema

MAGIC = b"SQLite format 3\0"

# What SQLite keeps beside a file while it is open. A copy has it in itself.
COMPANIONS = ("-wal", "-shm", "-journal")

# Seconds to wait for somebody else's transaction.
PATIENCE = 15.0


def is_database(path: Path) -> bool:
    """Return whether the file `path` is one of SQLite's."""
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def belongs_to_database(path: Path) -> bool:
    """Return whether `path` is what SQLite keeps beside a file."""
    for ending in COMPANIONS:
        if path.name.endswith(ending):
            of = path.with_name(path.name.removesuffix(ending))
            return of.is_file() and is_database(of)
    return False


def copy(source: Path, target: Path) -> None:
    """Copy `source` as it is at one moment to `target`, while others write to it.

    Raises:
        BackupError: it cannot be read, or the copy is not sound.
    """
    try:
        with closing(_connect(source)) as origin, closing(sqlite3.connect(target)) as copied:
            origin.backup(copied)
            # So that it is one file, with nothing beside it.
            copied.execute("PRAGMA journal_mode=DELETE")
    except sqlite3.Error as error:
        raise BackupError(f"{source} could not be copied: {error}") from error
    check(target)


def check(path: Path) -> None:
    """Return if `path` is sound.

    Raises:
        BackupError: it is not.
    """
    try:
        with closing(_connect(path)) as connection:
            found = connection.execute("PRAGMA integrity_check").fetchone()[0]
    except sqlite3.Error as error:
        found = str(error)
    if found != "ok":
        raise BackupError(f"the database {path.name} is not sound: {found}")


def schema(path: Path) -> Schema | None:
    """Return what the tables of `path` ask of a release; None if they are not the API's."""
    with closing(_connect(path)) as connection:
        try:
            version = connection.execute("SELECT version_num FROM alembic_version").fetchone()
            oldest = connection.execute(
                "SELECT value FROM meta WHERE name = 'compatible_from'"
            ).fetchone()
        except sqlite3.OperationalError:
            return None
    return Schema(version[0], (oldest or version)[0]) if version else None


def _connect(path: Path) -> sqlite3.Connection:
    # Not one that would make the file.
    return sqlite3.connect(f"file:{quote(str(path))}?mode=rw", uri=True, timeout=PATIENCE)
