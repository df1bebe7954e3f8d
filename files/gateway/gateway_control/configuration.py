# SPDX-License-Identifier: GPL-3.0-or-later
"""What nginx reads: the role's configuration, with sick replicas marked, and certificates."""

from __future__ import annotations

import fcntl
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway_control import certificates, hosts

Versions = dict[str, tuple[str, ...]]

_SERVER = re.compile(r"^(\s*server\s+(\S+)[^;]*?)( down)?;", re.MULTILINE)


class ConfigurationError(Exception):
    """nginx refuses the configuration; the message says why."""


@dataclass(frozen=True)
class Settings:
    """How replicas are checked.

    Attributes:
        interval: seconds from one check to the next; 0 means no checks.
        timeout: seconds that an answer may take.
        fails: failures in a row after which a replica is out.
        passes: answers in a row after which it is back.
        path: what it is asked for.
    """

    interval: float
    timeout: float
    fails: int
    passes: int
    path: str


class Configuration:
    """What nginx reads, in a folder of its own.

    nginx never reads the role's folder itself, because a reload for a sick replica may come
    while the role is about to replace its files.
    """

    def __init__(self, source: Path, certificates: Path, target: Path) -> None:
        """Copy from the role's folder `source` to `target`, a link to a folder beside it.

        What is served by TLS is taken from the folder `certificates`.
        """
        self._source = source
        self._certificates = certificates
        self._target = target

    @property
    def settings(self) -> Settings:
        """How replicas are checked."""
        return Settings(**json.loads((self._target / "health.json").read_text()))

    @property
    def servers(self) -> tuple[str, ...]:
        """The replicas, as `host:port`."""
        names = (match[2] for match in _SERVER.finditer(self._upstream.read_text()))
        # Each is there for each upstream.
        return tuple(dict.fromkeys(names))

    @property
    def down(self) -> frozenset[str]:
        """The replicas that are marked as down."""
        return frozenset(
            match[2] for match in _SERVER.finditer(self._upstream.read_text()) if match[3]
        )

    @property
    def certificates(self) -> Versions:
        """The versions of all certificates that there are."""
        return certificates.versions(self._certificates)

    @property
    def installed(self) -> Versions:
        """The versions that there were when it was installed."""
        recorded = self._record["versions"]
        return {name: tuple(names) for name, names in recorded.items()}

    @property
    def settled(self) -> bool:
        """Whether HTTP leads to HTTPS for all hosts that have a certificate."""
        return set(self._record["secure"]) == set(self._record["redirected"])

    @property
    def _record(self) -> dict[str, Any]:
        record: dict[str, Any] = json.loads((self._target / "installed.json").read_text())
        return record

    @property
    def _upstream(self) -> Path:
        return self._target / "upstream.conf"

    def install(self) -> None:
        """Copy the role's folder, keep what is marked, and let nginx test the result.

        Raises:
            ConfigurationError: nginx refuses it. The one before stays.
        """
        with self._lock():
            running = self._target.exists()
            down = self.down if running else frozenset()
            number = int(self._target.readlink().suffix[1:]) if running else 0
            folder = self._target.with_name(f"{self._target.name}.{1 - number}")
            folder.mkdir(exist_ok=True)
            _empty(folder)
            for path in self._source.iterdir():
                (folder / path.name).write_bytes(path.read_bytes())
            _mark(folder / "upstream.conf", down)
            present = self.certificates
            chosen = certificates.choose(self._certificates, self._target / "certificates")
            # While workers of before still accept, one of them may get the connection that follows
            # a redirect: so a host has its certificate first and its redirect with the next time.
            secure = hosts.secure(chosen)
            redirected = [h for h in secure if not running or h in self._record["secure"]]
            serve(chosen, redirected, folder)
            record = {"versions": present, "secure": secure, "redirected": redirected}
            (folder / "installed.json").write_text(json.dumps(record))
            _test(folder / "nginx.conf")
            link = self._target.with_name(f"{self._target.name}.link")
            link.unlink(missing_ok=True)
            link.symlink_to(folder.name)
            link.replace(self._target)

    def mark(self, down: Collection[str]) -> None:
        """Mark the replicas `down`, and no others, and let nginx read it."""
        with self._lock():
            _mark(self._upstream, down)
            self.reload()

    def reload(self) -> None:
        """Let nginx read its configuration again. It goes on with the old one if it cannot."""
        pid = (self._target.parent / "nginx.pid").read_text()
        os.kill(int(pid), signal.SIGHUP)

    @contextmanager
    def _lock(self) -> Iterator[None]:
        with self._target.with_name(f"{self._target.name}.lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def serve(
    chosen: Sequence[certificates.Certificate], redirected: Collection[str], folder: Path
) -> None:
    """Add certificates, and what is answered for which host, to the configuration in `folder`."""
    (folder / "certificates").mkdir()
    for certificate in chosen:
        if certificate.folder is None:
            print(f"{certificate.name}: no version is a chain with its key", file=sys.stderr)
            continue
        copy = folder / "certificates" / certificate.name
        copy.mkdir(mode=0o700)
        for name, content in certificates.contents(certificate.folder).items():
            (copy / name).touch(mode=0o600)
            (copy / name).write_bytes(content)
    wishes = hosts.Wishes.read(folder / "hosts.json")
    (folder / "hosts.conf").write_text(hosts.named(wishes, chosen, redirected))
    (folder / "others.conf").write_text(hosts.others(wishes, redirected))


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir():
            _empty(path)
            path.rmdir()
        else:
            path.unlink()


def _mark(upstream: Path, down: Collection[str]) -> None:
    """Write `upstream` anew with the servers `down` marked, and no others."""
    text = _SERVER.sub(
        lambda match: match[1] + (" down;" if match[2] in down else ";"), upstream.read_text()
    )
    new = upstream.with_suffix(".new")
    new.write_text(text)
    new.replace(upstream)


def _test(path: Path) -> None:
    # S603, S607: nginx is where Debian put it, and the path is ours.
    result = subprocess.run(  # noqa: S603
        ["nginx", "-t", "-q", "-e", "stderr", "-c", str(path)],  # noqa: S607
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        raise ConfigurationError(result.stderr)
