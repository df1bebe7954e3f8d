# SPDX-License-Identifier: GPL-3.0-or-later
"""An archive: its manifest, and then all that the manifest lists, as a compressed tar."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO

from cluster_backup.errors import DamagedError
from cluster_backup.manifest import Entry, Kind, Manifest

MANIFEST = "manifest.json"
TYPES = {Kind.FILE: tarfile.REGTYPE, Kind.FOLDER: tarfile.DIRTYPE, Kind.LINK: tarfile.SYMTYPE}
BLOCK = 2**20


def write(stream: IO[bytes], manifest: Manifest, folder: Path) -> None:
    """Write to `stream` what `manifest` lists, and which lies in `folder`."""
    text = manifest.to_json().encode()
    with tarfile.open(fileobj=stream, mode="w|gz") as tar:
        head = tarfile.TarInfo(MANIFEST)
        head.size = len(text)
        head.mode = 0o600
        tar.addfile(head, io.BytesIO(text))
        for entry in manifest.entries:
            member = _member(entry)
            if entry.kind is Kind.FILE:
                with (folder / entry.path).open("rb") as file:
                    tar.addfile(member, file)
            else:
                tar.addfile(member)


def read(stream: IO[bytes], folder: Path, accept: Callable[[Manifest], None]) -> Manifest:
    """Lay what `stream` holds into `folder`, with its owners and modes, and return the manifest.

    Args:
        stream: what `write` wrote.
        folder: an empty one.
        accept: gets the manifest before anything else is read, and raises what it likes.

    Raises:
        DamagedError: it is not what was written.
    """
    try:
        with tarfile.open(fileobj=stream, mode="r|gz") as tar:
            head = tar.next()
            content = tar.extractfile(head) if head and head.name == MANIFEST else None
            if content is None:
                raise DamagedError("it does not begin with its list of contents")
            manifest = Manifest.parse(content.read().decode())
            accept(manifest)
            _lay_out(tar, manifest, folder)
    except (tarfile.TarError, zlib.error, EOFError, ValueError) as error:
        raise DamagedError(str(error)) from error
    except OSError as error:
        # gzip has nothing else to say it with; one that has a number is of the disk.
        if error.errno is None:
            raise DamagedError(str(error)) from error
        raise
    return manifest


def digest_of(path: Path) -> str:
    """Return the SHA-256 of the file `path`."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _member(entry: Entry) -> tarfile.TarInfo:
    member = tarfile.TarInfo(entry.path)
    member.type = TYPES[entry.kind]
    member.size = entry.size
    member.mode = entry.mode
    member.uid = entry.uid
    member.gid = entry.gid
    member.mtime = entry.mtime
    member.linkname = entry.target
    return member


def _lay_out(tar: tarfile.TarFile, manifest: Manifest, folder: Path) -> None:
    # Nothing but a file's content is taken from the tar itself: the rest the manifest says.
    files = {entry.path: entry for entry in manifest.entries if entry.kind is Kind.FILE}
    for entry in manifest.entries:
        path = folder / entry.path
        if entry.kind is Kind.FOLDER:
            path.mkdir(mode=0o700, parents=True)
        if entry.kind is Kind.LINK:
            path.symlink_to(entry.target)
    # Not `in tar`, which begins with what has been read already.
    while member := tar.next():
        if member.isfile():
            wanted = files.pop(member.name, None)
            content = tar.extractfile(member)
            if wanted is None or content is None:
                raise DamagedError(f"{member.name} is in it and not in its list of contents")
            _lay(content, folder / wanted.path)
            if digest_of(folder / wanted.path) != wanted.sha256:
                raise DamagedError(f"{member.name} is another than was backed up")
    if files:
        raise DamagedError(f"{', '.join(sorted(files))} is missing")
    # What is in a folder comes after it: backwards, so that a folder's own time is the last.
    for entry in reversed(manifest.entries):
        _give_back(folder / entry.path, entry)


def _lay(content: IO[bytes], path: Path) -> None:
    with path.open("xb") as file:
        path.chmod(0o600)
        while block := content.read(BLOCK):
            file.write(block)


def _give_back(path: Path, entry: Entry) -> None:
    os.chown(path, entry.uid, entry.gid, follow_symlinks=False)
    if entry.kind is not Kind.LINK:
        path.chmod(entry.mode)
    os.utime(path, (entry.mtime, entry.mtime), follow_symlinks=False)
