# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts what is in an archive in place of what there is.

All of it is laid aside and checked first. Then containers that write are stopped, what there is
goes to a folder of its own, and what was laid aside to its place. A journal says how far that got,
so that the next run ends what an interrupted one has begun. PostgreSQL comes first, because it may
refuse what it is given: everything is as it was then.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path

from cluster_backup import archive, containers, database, gpg, postgres
from cluster_backup.errors import BackupError
from cluster_backup.manifest import Kind, Manifest
from cluster_backup.settings import Settings


@dataclass
class Journal:
    """How far a restore has got.

    Attributes:
        replaced: folder for what there was.
        stopped: containers to start again.
        cleared: parts whose place is empty, or has what is restored, and the dump once it is in.
    """

    replaced: str
    stopped: list[str] = field(default_factory=list)
    cleared: list[str] = field(default_factory=list)


def unpack(
    path: Path, passphrase: str, folder: Path, accept: Callable[[Manifest], None]
) -> Manifest:
    """Lay the archive `path` into the empty `folder`, check all of it, and return its manifest.

    Raises:
        BackupError: it is not accepted, damaged, or encrypted by another passphrase.
    """
    with gpg.decrypted(path, passphrase) as stream:
        manifest = archive.read(stream, folder, accept)
    for entry in manifest.entries:
        if entry.kind is Kind.FILE and database.is_database(folder / entry.path):
            database.check(folder / entry.path)
    return manifest


class Restore:
    """Restores this host."""

    def __init__(self, settings: Settings) -> None:
        """Work in the folder that the settings name."""
        self._settings = settings
        self._staged = settings.restore / "new"
        self._dump = self._staged / postgres.DUMP
        self._journal = settings.restore / "journal.json"

    def end_interrupted(self) -> None:
        """End what an interrupted run has begun to put in place."""
        if self._journal.exists():
            self._swap(Journal(**json.loads(self._journal.read_text())))

    def stage(self, path: Path, passphrase: str, schema: str) -> None:
        """Lay the archive `path` aside. What is in place stays untouched.

        Raises:
            BackupError: it cannot be used by a release that knows tables of version `schema`.
        """
        self.discard()
        self._staged.mkdir(mode=0o700, parents=True)

        def accept(manifest: Manifest) -> None:
            manifest.check_schemas(schema)
            strangers = [e.path for e in manifest.entries if not self._is_of_part(e.path)]
            if strangers:
                raise BackupError(
                    f"the archive has {strangers[0]}, for which this host has no place: restore it"
                    " with the release and the variables (backup_database) that it was made with"
                )
            dumped = any(e.path == postgres.DUMP for e in manifest.entries)
            if dumped:
                postgres.require_running()
            elif self._settings.postgres and manifest.databases:
                raise BackupError(
                    "the archive has the database of a cluster of one host, and this one keeps its"
                    " state in PostgreSQL: restore it on a cluster of one host"
                )

        unpack(path, passphrase, self._staged, accept)

    def discard(self) -> None:
        """Remove what was laid aside."""
        if self._staged.exists():
            shutil.rmtree(self._staged)

    def in_the_way(self) -> list[str]:
        """Return what is in place that would be replaced, and is not empty."""
        places = self._places().values()
        found = [str(place) for place in places if place.is_dir() and any_in(place)]
        if self._dump.exists() and postgres.is_used():
            found.append(f"the database in the container {postgres.CONTAINER}")
        return found

    def put_in_place(self, now: datetime) -> Path | None:
        """Replace what is in place by what was laid aside; return where that is now, if any was."""
        replaced = self._settings.restore / f"replaced-{now:%Y%m%dT%H%M%SZ}"
        self._swap(Journal(str(replaced)))
        return replaced if replaced.exists() else None

    def _is_of_part(self, path: str) -> bool:
        if path == postgres.DUMP:
            return self._settings.postgres
        return any(path == part or path.startswith(f"{part}/") for part in self._settings.parts)

    def _places(self) -> Mapping[str, Path]:
        parts = self._settings.parts
        return {part: place for part, place in parts.items() if (self._staged / part).is_dir()}

    def _swap(self, journal: Journal) -> None:
        running = containers.writers(self._settings.cluster, self._settings.parts.values())
        journal.stopped = sorted({*journal.stopped, *running})
        self._write(journal)
        containers.stop(running)
        self._swap_database(journal)
        for part, place in self._places().items():
            staged = self._staged / part
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
            if part not in journal.cleared:
                move_contents(place, Path(journal.replaced) / part)
                journal.cleared.append(part)
                self._write(journal)
            # The contents and not the folder: it may be a mount, and the gateway has it mounted.
            move_contents(staged, place)
            state = staged.stat()
            os.chown(place, state.st_uid, state.st_gid)
            place.chmod(state.st_mode & 0o7777)
        self.discard()
        os.sync()
        containers.start(journal.stopped)
        self._journal.unlink()

    def _swap_database(self, journal: Journal) -> None:
        if not self._dump.exists() or postgres.DUMP in journal.cleared:
            return
        replaced = Path(journal.replaced) / postgres.DUMP
        try:
            # A run that was interrupted after this may have replaced it already.
            if not replaced.exists():
                replaced.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                postgres.dump(replaced)
            postgres.restore(self._dump)
        except BackupError:
            containers.start(journal.stopped)
            self._journal.unlink()
            self.discard()
            raise
        journal.cleared.append(postgres.DUMP)
        self._write(journal)

    def _write(self, journal: Journal) -> None:
        new = self._journal.with_suffix(".new")
        new.write_text(json.dumps(asdict(journal)))
        new.replace(self._journal)


def any_in(folder: Path) -> bool:
    """Return whether anything is in `folder`."""
    return next(folder.iterdir(), None) is not None


def move_contents(source: Path, target: Path) -> None:
    """Move all that is in `source` into `target`, which is made where there is something."""
    for path in sorted(source.iterdir()):
        target.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.move(path, target / path.name)


def require_free(restore: Restore) -> None:
    """Return if nothing would be replaced.

    Raises:
        BackupError: something would.
    """
    found = restore.in_the_way()
    if found:
        raise BackupError(
            f"this would replace {', '.join(found)}, and keep it aside. To do it, add"
            " -e restore_confirm=true"
        )
