# SPDX-License-Identifier: GPL-3.0-or-later
"""Decides from a replica's answers whether it is in or out."""

from __future__ import annotations

from dataclasses import dataclass, field

# A replica that falls out again within so many seconds of its return has to answer twice as
# often before the next, up to so many times. Each change is a reload of nginx, and open streams
# keep the workers of the one before alive.
FLAPPING = 300.0
MOST = 16


@dataclass
class Judge:
    """The judgement on one replica.

    Attributes:
        fails: failures in a row after which it is out.
        passes: answers in a row after which it is back.
        healthy: whether it is in. It is until proved otherwise.
        failure: what went wrong with the last check, or nothing.
        since: when it last came in or fell out.
    """

    fails: int
    passes: int
    healthy: bool = True
    failure: str = ""
    since: float = 0.0
    _row: int = field(default=0, repr=False)
    _needed: int = field(default=0, repr=False)

    def hear(self, failure: str, now: float) -> None:
        """Take note of a check at the time `now`, which was good if `failure` is empty."""
        self.failure = failure
        if self.healthy == (not failure):
            self._row = 0
            return
        self._row += 1
        if self.healthy and self._row >= self.fails:
            flaps = self._needed and now - self.since < FLAPPING
            self._needed = min(2 * self._needed, MOST * self.passes) if flaps else self.passes
            self._turn(now)
        elif not self.healthy and self._row >= self._needed:
            self._turn(now)

    def _turn(self, now: float) -> None:
        self.healthy = not self.healthy
        self.since = now
        self._row = 0
