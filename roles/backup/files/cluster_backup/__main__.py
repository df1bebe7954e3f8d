# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands: `create` a backup, `check` one, and `restore` it."""

from __future__ import annotations

import argparse
import fcntl
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from cluster_backup.create import copy_away, create, prune
from cluster_backup.errors import BackupError
from cluster_backup.metrics import write_metrics
from cluster_backup.restore import Restore, require_free, unpack
from cluster_backup.settings import Settings


def main() -> int:
    """Run a command and return 1 if it failed."""
    arguments = _parser().parse_args()
    settings = Settings.read(arguments.settings)
    os.umask(0o077)
    # So that what is half done is cleared away.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        passphrase = _passphrase(arguments.passphrase_file)
        with _lock(settings):
            if arguments.command == "create":
                return _create(settings, passphrase)
            if arguments.command == "check":
                return _check(arguments.archive, passphrase)
            return _restore(settings, passphrase, arguments)
    except (BackupError, OSError) as error:
        return _fail(error)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="backup", description=__doc__)
    parser.add_argument("--settings", type=Path, required=True, help="what the role has written")
    parser.add_argument(
        "--passphrase-file", type=Path, help="file with the passphrase; by default standard input"
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("create", help="make a backup and print where it is")
    check = commands.add_parser("check", help="see whether an archive is whole")
    check.add_argument("archive", type=Path)
    restore = commands.add_parser("restore", help="put what is in an archive in place")
    restore.add_argument("archive", type=Path)
    restore.add_argument("--schema", required=True, help="newest tables that the release knows")
    restore.add_argument("--confirm", action="store_true", help="also where something is replaced")
    return parser


def _create(settings: Settings, passphrase: str) -> int:
    now = datetime.now(UTC)
    archive = None
    failure: Exception | None = None
    try:
        archive = create(settings, passphrase, now)
        print(archive)
        prune(settings)
        copy_away(settings, archive)
    except (BackupError, OSError) as error:
        failure = error
    status = _fail(failure) if failure else 0
    write_metrics(settings.metrics, archive, now, ok=not failure)
    return status


def _check(archive: Path, passphrase: str) -> int:
    with tempfile.TemporaryDirectory() as folder:
        manifest = unpack(archive, passphrase, Path(folder), lambda _: None)
    print(f"{archive} is whole: {manifest.cluster} on {manifest.host}, {manifest.time}")
    return 0


def _restore(settings: Settings, passphrase: str, arguments: argparse.Namespace) -> int:
    settings.restore.mkdir(mode=0o700, parents=True, exist_ok=True)
    restore = Restore(settings)
    restore.end_interrupted()
    try:
        restore.stage(arguments.archive, passphrase, arguments.schema)
        if not arguments.confirm:
            require_free(restore)
    except (BackupError, OSError):
        restore.discard()
        raise
    replaced = restore.put_in_place(datetime.now(UTC))
    print(f"restored; what was there before is in {replaced}" if replaced else "restored")
    return 0


def _passphrase(path: Path | None) -> str:
    passphrase = (path.read_text() if path else sys.stdin.read()).strip("\n")
    if not passphrase:
        raise BackupError("there is no passphrase: set backup_passphrase")
    return passphrase


def _fail(error: Exception) -> int:
    print(error, file=sys.stderr)
    return 1


@contextmanager
def _lock(settings: Settings) -> Iterator[None]:
    """Keep other runs out."""
    with (settings.restore.parent / ".backup.lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BackupError("another backup or restore is under way: wait for its end") from None
        yield


if __name__ == "__main__":
    sys.exit(main())
