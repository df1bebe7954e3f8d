# SPDX-License-Identifier: GPL-3.0-or-later
"""What the access log says of the last while: how much each replica answered, and how well.

As JSON, for `status` and for whoever judges a release by what it answers:

    {"seconds": 60.0, "requests": 1200, "per_second": 20.0, "errors": 1,
     "replicas": {"api1:5500": {"requests": 601, "per_second": 10.02, "errors": 2,
                                "median": 0.041, "slowest": 3.2}}}

The totals count answers to clients. The figures of a replica count tries: a request that one
replica failed and another answered is one of each, an error of the first and none of the second.
Errors are answers of 500 and more, and what nginx counts as such: connections refused or broken
off, and time-outs. Median and slowest are in seconds until the last byte of a try.
A replica is called as in the upstream where /etc/hosts knows its address; those that answered
nothing are not listed.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

LOG = Path("/var/log/gateway/access.log")
HOSTS = Path("/etc/hosts")

# Bytes of the log that are read at most, and in one go.
MOST = 64 * 2**20
BLOCK = 2**18

# Seconds by which a line may be younger than the one after it: each worker holds its own back.
DISORDER = 5.0

_SERVER_ERROR = 500


@dataclass
class Tally:
    """What was counted of a replica, or of all."""

    errors: int = 0
    seconds: list[float] = field(default_factory=list)

    def add(self, status: int, seconds: float) -> None:
        """Count an answer that took so many `seconds`."""
        self.errors += status >= _SERVER_ERROR
        self.seconds.append(seconds)

    def rates(self, seconds: float) -> dict[str, Any]:
        """Return how much was counted in so many `seconds`."""
        requests = len(self.seconds)
        return {
            "requests": requests,
            "per_second": round(requests / seconds, 2),
            "errors": self.errors,
        }

    def times(self) -> dict[str, float]:
        """Return how long it took. There must be something."""
        ordered = sorted(self.seconds)
        return {"median": ordered[len(ordered) // 2], "slowest": ordered[-1]}


def figures(since: float, log: Path = LOG, hosts: Path = HOSTS, most: int = MOST) -> dict[str, Any]:
    """Return what was answered since the time `since`, in the shape that this module shows.

    Args:
        since: the time, in seconds since 1970.
        log: the access log. Where it was rotated since, the one before is read as well.
        hosts: a hosts file with the replicas' names.
        most: bytes to read at most. If that does not reach back to `since`, `seconds` says how
            far it does reach.

    Raises:
        OSError: the log cannot be read.
    """
    names = _names(hosts)
    total = Tally()
    replicas: dict[str, Tally] = {}
    start = time.time()
    reached = start
    whole = True
    for line in _backwards(_files(log, since), most):
        if line is None:
            whole = False
            break
        entry = _parse(line)
        if not entry:
            continue
        ended = datetime.fromisoformat(entry["time"]).timestamp()
        if ended < since - DISORDER:
            break
        # A line says in which second it was, and no more.
        if ended < since:
            continue
        reached = min(reached, ended)
        total.add(entry["status"], entry["seconds"])
        for address, status, seconds in _tries(entry):
            host, colon, port = address.rpartition(":")
            server = f"{names.get(host, host)}{colon}{port}"
            replicas.setdefault(server, Tally()).add(status, seconds)
    span = max(start - (since if whole else reached), 1.0)
    return {
        "seconds": round(span, 1),
        **total.rates(span),
        "replicas": {
            server: tally.rates(span) | tally.times() for server, tally in sorted(replicas.items())
        },
    }


def _files(log: Path, since: float) -> Sequence[Path]:
    """Return the logs that may hold something since `since`, the newest first."""
    rotated = sorted(log.parent.glob(f"{log.name}-*[0-9]"), reverse=True)
    return [log, *(path for path in rotated[:1] if path.stat().st_mtime >= since)]


def _backwards(paths: Sequence[Path], most: int) -> Iterator[bytes | None]:
    """Yield lines, the last first; None and nothing more where `most` bytes are not enough."""
    for path in paths:
        with path.open("rb") as file:
            position = file.seek(0, 2)
            rest = b""
            while position:
                if most <= 0:
                    yield None
                    return
                size = min(BLOCK, position)
                position -= size
                most -= size
                file.seek(position)
                first, *lines = (file.read(size) + rest).split(b"\n")
                yield from reversed(lines)
                rest = first
            yield rest


def _parse(line: bytes) -> Mapping[str, Any]:
    """Return what a line says: nothing if it is not whole, as while it is written."""
    try:
        entry = json.loads(line)
    except ValueError:
        return {}
    return entry if isinstance(entry, dict) else {}


def _tries(entry: Mapping[str, Any]) -> Iterator[tuple[str, int, float]]:
    """Yield the address, the status and the seconds of each try of a request."""
    columns = [
        # A colon stands between what came before and after an internal redirect.
        entry[name].replace(" : ", ", ").split(", ")
        for name in ("upstream_addr", "upstream_status", "upstream_seconds")
    ]
    for address, status, seconds in zip(*columns, strict=False):
        # Without a port it is the name of the upstream, all of whose replicas were left out.
        if ":" in address:
            yield address, int(_number(status)), _number(seconds)


def _number(text: str) -> float:
    """Return a number of the log, which has a hyphen where there is none."""
    return 0.0 if text == "-" else float(text)


def _names(hosts: Path) -> dict[str, str]:
    """Return the first name of each address in a hosts file."""
    names: dict[str, str] = {}
    for line in hosts.read_text().splitlines():
        words = line.partition("#")[0].split()
        if len(words) > 1:
            names.setdefault(words[0], words[1])
    return names
