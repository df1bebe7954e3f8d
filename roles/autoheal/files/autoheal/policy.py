# SPDX-License-Identifier: GPL-3.0-or-later
"""Which replica is to be restarted now."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

# Seconds that one that was restarted may take to start, before another may be restarted.
STARTING = 120.0


class Health(StrEnum):
    """What the engine's health check says of a container that runs."""

    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"
    STARTING = "starting"


@dataclass(frozen=True)
class Record:
    """What is known of a replica. Times are seconds since 1970.

    Attributes:
        unhealthy_since: when it was first seen unhealthy, if it has been ever since.
        healthy_since: the same for healthy.
        restarted: when it was last restarted.
        in_a_row: how often it was restarted without having been healthy for long.
    """

    unhealthy_since: float | None = None
    healthy_since: float | None = None
    restarted: float = 0.0
    in_a_row: int = 0


@dataclass(frozen=True)
class Policy:
    """When a replica is restarted. All in seconds.

    Attributes:
        patience: how long it must have been unhealthy.
        backoff: pause after its first restart. Each further one doubles it.
        backoff_max: the longest pause.
        forget: how long it must have been healthy for its restarts to be forgotten.
    """

    patience: float
    backoff: float
    backoff_max: float
    forget: float

    def see(self, record: Record, health: Health, now: float) -> Record:
        """Return what is known of a replica after it was seen with `health`."""
        if health is Health.STARTING:
            return record
        if health is Health.UNHEALTHY:
            since = now if record.unhealthy_since is None else record.unhealthy_since
            return replace(record, unhealthy_since=since, healthy_since=None)
        since = now if record.healthy_since is None else record.healthy_since
        in_a_row = 0 if now - since >= self.forget else record.in_a_row
        return replace(record, unhealthy_since=None, healthy_since=since, in_a_row=in_a_row)

    def pause(self, in_a_row: int) -> float:
        """Return the pause after so many restarts in a row."""
        return min(self.backoff * 2.0 ** (in_a_row - 1), self.backoff_max) if in_a_row else 0.0

    def choose(
        self, healths: Mapping[str, Health], records: Mapping[str, Record], now: float
    ) -> str | None:
        """Return the replica to restart, if one is to be: of several, that which is longest due.

        Args:
            healths: of the replicas that run.
            records: what is known of each of them, this time included.
            now: seconds since 1970.
        """
        if self._one_is_starting(healths, records, now):
            return None
        due = {
            record.unhealthy_since: name
            for name, record in sorted(records.items(), reverse=True)
            if record.unhealthy_since is not None
            and now - record.unhealthy_since >= self.patience
            and now - record.restarted >= self.pause(record.in_a_row)
        }
        return due[min(due)] if due else None

    @staticmethod
    def _one_is_starting(
        healths: Mapping[str, Health], records: Mapping[str, Record], now: float
    ) -> bool:
        starting: Iterable[str] = (n for n, health in healths.items() if health is Health.STARTING)
        return any(now - records[name].restarted < STARTING for name in starting)


def restarted(record: Record, now: float) -> Record:
    """Return what is known of a replica after a restart."""
    return Record(restarted=now, in_a_row=record.in_a_row + 1)
