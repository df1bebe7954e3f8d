# SPDX-License-Identifier: GPL-3.0-or-later
"""Encryption by a passphrase. What comes out of it is known to be whole."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO, cast

from cluster_backup.errors import BackupError, DamagedError

# The most that OpenPGP can have for making guesses slow.
GUESSES = "65011712"
ENCRYPT = [
    "--symmetric",
    "--cipher-algo=AES256",
    "--s2k-digest-algo=SHA512",
    f"--s2k-count={GUESSES}",
    "--compress-algo=none",
]
WRONG = ("BAD_PASSPHRASE", "Bad session key")


@contextmanager
def encrypted(path: Path, passphrase: str) -> Iterator[IO[bytes]]:
    """Write what is written to the stream to the new file `path`, for its owner only.

    Raises:
        BackupError: it could not be written.
    """
    with ExitStack() as stack:
        target = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        stack.callback(os.close, target)
        complaints = stack.enter_context(tempfile.TemporaryFile("w+"))
        process = stack.enter_context(
            _gpg(stack, ENCRYPT, passphrase, complaints, stdin=subprocess.PIPE, stdout=target)
        )
        stream = cast(IO[bytes], process.stdin)
        # Where gpg ends early, it says why.
        with suppress(BrokenPipeError):
            yield stream
        with suppress(BrokenPipeError):
            stream.close()
        if process.wait():
            raise BackupError(f"{path} could not be written: {_text(complaints)}")
        os.fsync(target)


@contextmanager
def decrypted(path: Path, passphrase: str) -> Iterator[IO[bytes]]:
    """Read the file `path`. Only when the block has ended is it known that nothing was damaged.

    Raises:
        BackupError: the passphrase is another.
        DamagedError: it is not what was written.
    """
    with ExitStack() as stack:
        source = stack.enter_context(path.open("rb"))
        complaints = stack.enter_context(tempfile.TemporaryFile("w+"))
        process = stack.enter_context(
            _gpg(stack, ["--decrypt"], passphrase, complaints, stdin=source, stdout=subprocess.PIPE)
        )
        stream = cast(IO[bytes], process.stdout)
        damage: DamagedError | None = None
        try:
            yield stream
        except DamagedError as error:
            damage = error
        while stream.read(2**16):
            pass
        failed = process.wait() != 0
        said = _text(complaints)
        if failed and any(word in said for word in WRONG):
            raise BackupError("the passphrase is not the one that the archive was made with")
        if damage:
            raise damage
        if failed:
            raise DamagedError(said.splitlines()[-1] if said else "gpg gave up")


def _gpg(
    stack: ExitStack,
    arguments: Sequence[str],
    passphrase: str,
    complaints: IO[str],
    *,
    stdin: IO[bytes] | int,
    stdout: int,
) -> subprocess.Popen[bytes]:
    """Start gpg with a home of its own, which has no keys and no settings."""
    home = stack.enter_context(tempfile.TemporaryDirectory())
    reader, writer = os.pipe()
    stack.callback(os.close, reader)
    # As it is shorter than a pipe, nobody has to read it now.
    with os.fdopen(writer, "w") as pipe:
        pipe.write(f"{passphrase}\n")
    # S603: gpg is where Debian put it, and the arguments are ours.
    return subprocess.Popen(  # noqa: S603
        [
            "/usr/bin/gpg",
            "--batch",
            "--quiet",
            "--no-options",
            f"--homedir={home}",
            "--pinentry-mode=loopback",
            f"--passphrase-fd={reader}",
            *arguments,
        ],
        stdin=stdin,
        stdout=stdout,
        stderr=complaints,
        pass_fds=[reader],
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
    )


def _text(complaints: IO[str]) -> str:
    complaints.seek(0)
    lines = (line.strip().removeprefix("gpg: ") for line in complaints)
    return "\n".join(line for line in lines if line and not line.startswith("keybox "))
