# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes a backup, whole or not at all."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from cluster_backup import archive, database, gpg, postgres
from cluster_backup.errors import BackupError
from cluster_backup.manifest import Entry, Kind, Manifest, Schema
from cluster_backup.settings import Settings

ENDING = ".tar.gz.gpg"
PARTIAL = ".partial-"


def create(settings: Settings, passphrase: str, now: datetime) -> Path:
    """Back up this host and return the archive, which is in the folder of archives.

    Raises:
        BackupError: it could not be done. There is no archive then.
    """
    settings.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    _clear(settings.directory)
    name = f"{settings.cluster}-{settings.host}-{now:%Y%m%dT%H%M%SZ}{ENDING}"
    with tempfile.TemporaryDirectory(dir=settings.directory, prefix=PARTIAL) as work:
        content = Path(work) / "content"
        partial = Path(work) / name
        manifest = collect(settings, content, now)
        if not manifest.entries:
            raise BackupError(f"there is nothing to back up on {settings.host}: deploy it first")
        with gpg.encrypted(partial, passphrase) as stream:
            archive.write(stream, manifest, content)
        return partial.rename(settings.directory / name)


def collect(settings: Settings, folder: Path, now: datetime) -> Manifest:
    """Copy all that is backed up to `folder`, and return the list of it."""
    databases: dict[str, Schema] = {}
    entries: list[Entry] = []
    for part, place in settings.parts.items():
        if place.is_dir():
            (folder / part).parent.mkdir(parents=True, exist_ok=True)
            entries.extend(_copy(place, part, folder, databases))
    if settings.postgres:
        folder.mkdir(exist_ok=True)
        entries.append(_dump(folder, databases))
    time = now.isoformat(timespec="seconds")
    return Manifest(settings.cluster, settings.host, time, databases, entries)


def prune(settings: Settings) -> None:
    """Remove the oldest archives of this host, but for as many as are to be kept."""
    prefix = f"{settings.cluster}-{settings.host}-"
    # Names of one length, as one host may be called like the beginning of another.
    length = len(f"{prefix}20261125T210000Z{ENDING}")
    found = (path for path in settings.directory.iterdir() if len(path.name) == length)
    archives = sorted(p for p in found if p.name.startswith(prefix) and p.name.endswith(ENDING))
    for path in archives[: -settings.keep]:
        path.unlink()


def copy_away(settings: Settings, path: Path) -> None:
    """Let the command of the settings, if there is one, take the archive to another host.

    Raises:
        BackupError: it failed.
    """
    if not settings.copy_command:
        return
    command = [word.replace("{archive}", str(path)) for word in settings.copy_command]
    try:
        # S603: the command is the operator's.
        subprocess.run(  # noqa: S603
            command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
    except (OSError, subprocess.CalledProcessError) as error:
        said = getattr(error, "stderr", "") or str(error)
        raise BackupError(
            f"{path} is made, but {command[0]} did not copy it: {said.strip()}"
        ) from error


def _copy(source: Path, path: str, folder: Path, databases: dict[str, Schema]) -> Iterator[Entry]:
    """Copy `source` to `path` in `folder`, and yield an entry for it and all that is in it."""
    target = folder / path
    try:
        state = source.lstat()
    except FileNotFoundError:
        # It went meanwhile.
        return
    kind = _kind(source, state.st_mode)
    if kind is Kind.FILE:
        if database.belongs_to_database(source):
            return
        if database.is_database(source):
            database.copy(source, target)
            schema = database.schema(target)
            if schema:
                databases[path] = schema
        else:
            shutil.copyfile(source, target)
    elif kind is Kind.FOLDER:
        target.mkdir()
    link = str(source.readlink()) if kind is Kind.LINK else ""
    yield _entry(path, kind, state, target, link)
    if kind is Kind.FOLDER:
        for child in sorted(source.iterdir()):
            yield from _copy(child, f"{path}/{child.name}", folder, databases)


def _dump(folder: Path, databases: dict[str, Schema]) -> Entry:
    """Dump PostgreSQL into `folder`, and return the entry for it."""
    target = folder / postgres.DUMP
    postgres.dump(target)
    schema = postgres.schema()
    if schema:
        databases[postgres.DUMP] = schema
    return _entry(postgres.DUMP, Kind.FILE, target.stat(), target)


def _entry(path: str, kind: Kind, state: os.stat_result, copied: Path, link: str = "") -> Entry:
    return Entry(
        path=path,
        kind=kind,
        mode=stat.S_IMODE(state.st_mode),
        uid=state.st_uid,
        gid=state.st_gid,
        mtime=state.st_mtime,
        size=copied.stat().st_size if kind is Kind.FILE else 0,
        sha256=archive.digest_of(copied) if kind is Kind.FILE else "",
        target=link,
    )


def _kind(path: Path, mode: int) -> Kind:
    for is_kind, kind in (
        (stat.S_ISREG, Kind.FILE),
        (stat.S_ISDIR, Kind.FOLDER),
        (stat.S_ISLNK, Kind.LINK),
    ):
        if is_kind(mode):
            return kind
    raise BackupError(f"{path} is neither a file nor a folder nor a link: remove it")


def _clear(directory: Path) -> None:
    """Remove what a run left that was killed."""
    for path in directory.glob(f"{PARTIAL}*"):
        shutil.rmtree(path)
