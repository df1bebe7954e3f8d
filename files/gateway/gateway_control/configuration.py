# SPDX-License-Identifier: GPL-3.0-or-later
"""What nginx reads: the role's configuration, with sick replicas marked, and certificates."""

from __future__ import annotations

import fcntl
import json
import os
import re
import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway_control import certificates, hosts, nginx
from gateway_control.nginx import ConfigurationError
from gateway_control.steering import Rollout, Steering

Versions = dict[str, tuple[str, ...]]

_SERVER = re.compile(r"^(\s*server\s+([^\s;]+)[^;]*?)( down)?;", re.MULTILINE)

# Where the servers of the upstreams are: those of the role, and those that a rollout adds.
UPSTREAM = "upstream.conf"
ADMITTED = "admitted.conf"

# What nginx counts for as long as it runs, over reloads and for all workers.
_COUNTED = "$connection-$connection_requests"


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
        self._nginx = nginx.Nginx(target.with_name("nginx.pid"))

    @property
    def settings(self) -> Settings:
        """How replicas are checked."""
        return Settings(**json.loads((self._target / "health.json").read_text()))

    @property
    def servers(self) -> tuple[str, ...]:
        """The replicas that may get requests, as `host:port`."""
        names = (match[2] for match in self._lines())
        # Each is there for each upstream.
        return tuple(name for name in dict.fromkeys(names) if name not in self.steering.drained)

    @property
    def down(self) -> frozenset[str]:
        """The replicas that are marked as down and not drained."""
        marked = frozenset(match[2] for match in self._lines() if match[3])
        return marked.difference(self.steering.drained)

    @property
    def steering(self) -> Steering:
        """What the rollouts want."""
        return Steering.read(self._steering)

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
    def _steering(self) -> Path:
        return self._target.with_name(f"{self._target.name}.steering")

    def _lines(self) -> Iterator[re.Match[str]]:
        for name in (UPSTREAM, ADMITTED):
            yield from _SERVER.finditer((self._target / name).read_text())

    def install(self, steering: Steering | None = None) -> None:
        """Copy the role's folder, keep what is marked, and let nginx test the result.

        Args:
            steering: what the rollouts want, if that is new.

        Raises:
            ConfigurationError: nginx refuses it. The one before stays.
        """
        with self._lock():
            running = self._target.exists()
            down = self.down if running else frozenset()
            steering = steering or self.steering
            number = int(self._target.readlink().suffix[1:]) if running else 0
            folder = self._target.with_name(f"{self._target.name}.{1 - number}")
            folder.mkdir(exist_ok=True)
            _empty(folder)
            for path in self._source.iterdir():
                (folder / path.name).write_bytes(path.read_bytes())
            admit(steering, folder)
            identify(folder)
            _mark(folder, down.union(steering.drained))
            present = self.certificates
            chosen = certificates.choose(self._certificates, self._target / "certificates")
            # While workers of before still accept, one of them may get the connection that follows
            # a redirect: so a host has its certificate first and its redirect with the next time.
            secure = hosts.secure(chosen)
            redirected = [h for h in secure if not running or h in self._record["secure"]]
            serve(chosen, redirected, folder)
            record = {"versions": present, "secure": secure, "redirected": redirected}
            (folder / "installed.json").write_text(json.dumps(record))
            nginx.test(folder / "nginx.conf")
            steering.write(self._steering)
            link = self._target.with_name(f"{self._target.name}.link")
            link.unlink(missing_ok=True)
            link.symlink_to(folder.name)
            link.replace(self._target)

    def mark(self, down: Collection[str]) -> None:
        """Mark the replicas `down`, and no others.

        When it returns, they get nothing new.

        Raises:
            ConfigurationError: nginx goes on without. Those of before are marked.
        """
        before = self.down
        self._write_marks(down)
        try:
            self.hand_over()
        except ConfigurationError:
            # Or the next check would take it for done.
            self._write_marks(before)
            raise

    def _write_marks(self, down: Collection[str]) -> None:
        with self._lock():
            _mark(self._target, {*down, *self.steering.drained})

    def steer(self, host: str, rollout: Rollout) -> bool:
        """Do what the rollout of `host` wants, and return whether that is anything new.

        When it returns, no replica that is drained gets anything new.

        Raises:
            ConfigurationError: nginx refuses it. What was wanted before holds.
        """
        before = self.steering
        steering = before.having(host, rollout)
        if steering == before:
            return False
        self.install(steering)
        try:
            self.hand_over()
        except ConfigurationError:
            # Or the next run would take it for done.
            self.install(before)
            raise
        return True

    def hand_over(self) -> None:
        """Let nginx read what is installed, and return once all new connections are served so.

        Raises:
            ConfigurationError: nginx goes on with what it has read before.
        """
        self._nginx.hand_over()

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


def admit(steering: Steering, folder: Path) -> None:
    """Add the replicas that a rollout adds to the configuration in `folder`."""
    (folder / ADMITTED).write_text(steering.servers())


def identify(folder: Path) -> None:
    """Add to the configuration in `folder` how requests without a sane id are called.

    No other configuration calls them so: nginx counts anew when it starts anew.
    """
    name = f"{os.urandom(4).hex()}-{_COUNTED}"
    (folder / "request_id.conf").write_text(f'default {name};\n"" {name};\n')


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir():
            _empty(path)
            path.rmdir()
        else:
            path.unlink()


def _mark(folder: Path, down: Collection[str]) -> None:
    """Write the upstreams in `folder` anew with the servers `down` marked, and no others."""
    for path in (folder / UPSTREAM, folder / ADMITTED):
        text = _SERVER.sub(
            lambda match: match[1] + (" down;" if match[2] in down else ";"), path.read_text()
        )
        new = path.with_suffix(".new")
        new.write_text(text)
        new.replace(path)
