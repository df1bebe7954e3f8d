"""Usage: summed up in memory, and written from time to time into a row per hour."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping

from sqlalchemy import case, delete, func, select

from llm_api.state.database import Database
from llm_api.state.model import UsageEntry, UsageTotal
from llm_api.state.schema import usage

HOUR, DAY = 3600, 86_400
LONGEST_NAME = 200
# Days after which rows are removed.
KEPT = 400
SUMS = ("requests", "prompt_tokens", "completion_tokens", "seconds", "first_byte_seconds")
Key = tuple[int, int, str, str, int]


class Usage:
    """The usage of this process until it is written, and the rows of all replicas."""

    def __init__(self, database: Database) -> None:
        """Write to `database`."""
        self._database = database
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._sums: dict[Key, list[float]] = {}
        # Of (day, token): LLM tokens of all replicas that were written when `count_today` looked,
        # and those of this process that were not.
        self._seen: Mapping[tuple[int, int], int] = {}
        self._unseen: dict[tuple[int, int], int] = {}

    def note(self, entry: UsageEntry) -> None:
        """Add `entry`. It waits for nothing but another entry."""
        now = int(time.time())
        names = _kept(entry.model), _kept(entry.provider)
        key = (now // HOUR, entry.token_id, *names, entry.status)
        tokens = entry.prompt_tokens + entry.completion_tokens
        values = (
            1,
            entry.prompt_tokens,
            entry.completion_tokens,
            entry.seconds,
            entry.first_byte_seconds,
        )
        with self._lock:
            self._add(key, values)
            if entry.token_id:
                of_today = (now // DAY, entry.token_id)
                self._unseen[of_today] = self._unseen.get(of_today, 0) + tokens

    def of_today(self, token_id: int) -> int:
        """Return the LLM tokens of today; those of other replicas as `count_today` found them."""
        of_today = (int(time.time()) // DAY, token_id)
        with self._lock:
            return self._seen.get(of_today, 0) + self._unseen.get(of_today, 0)

    def _add(self, key: Key, values: Iterable[float]) -> None:
        sums = self._sums.setdefault(key, [0] * len(SUMS))
        for i, value in enumerate(values):
            sums[i] += value

    def write(self) -> None:
        """Write what has been noted.

        Raises:
            StateError: the database cannot be reached. Nothing is lost; the next call tries again.
        """
        with self._writing:
            with self._lock:
                sums, self._sums = self._sums, {}
            if not sums:
                return
            names = ("hour", "token_id", "model", "provider", "status")
            # In one order, so that two replicas do not wait for each other.
            rows = [
                dict(zip((*names, *SUMS), (*key, *map(_number, sums[key])), strict=True))
                for key in sorted(sums)
            ]
            statement = self._database.insert(usage)
            statement = statement.on_conflict_do_update(
                index_elements=list(usage.primary_key),
                set_={name: usage.c[name] + statement.excluded[name] for name in SUMS},
            )
            try:
                with self._database.write() as connection:
                    connection.execute(statement, rows)
            except BaseException:
                with self._lock:
                    for key, values in sums.items():
                        self._add(key, values)
                raise

    def count_today(self, token_ids: Iterable[int]) -> None:
        """Write what has been noted, and count what all replicas have written for these tokens.

        Raises:
            StateError: the database cannot be reached.
        """
        with self._lock:
            written = dict(self._unseen)
        self.write()
        day = int(time.time()) // DAY
        tokens = func.sum(usage.c.prompt_tokens + usage.c.completion_tokens)
        statement = (
            select(usage.c.token_id, tokens)
            .where(usage.c.hour >= day * (DAY // HOUR), usage.c.token_id.in_(list(token_ids)))
            .group_by(usage.c.token_id)
        )
        with self._database.read() as connection:
            seen = {(day, row[0]): int(row[1]) for row in connection.execute(statement)}
        with self._lock:
            self._seen = seen
            for key, count in written.items():
                self._unseen[key] -= count
                if not self._unseen[key]:
                    del self._unseen[key]

    def totals(self, since: float = 0) -> list[UsageTotal]:
        """Return the sums for each token, model and provider from the hour of `since` on.

        What other replicas noted within the last seconds is not in them.

        Raises:
            StateError: the database cannot be reached.
        """
        self.write()
        by = (usage.c.token_id, usage.c.model, usage.c.provider)
        failed = func.sum(case((usage.c.status >= 400, usage.c.requests), else_=0))  # noqa: PLR2004
        sums = {name: func.sum(usage.c[name]) for name in SUMS}
        columns = [*by, *(column.label(name) for name, column in sums.items())]
        statement = (
            select(*columns, failed.label("failed"))
            .where(usage.c.hour >= int(since) // HOUR)
            .group_by(*by)
            .order_by(*by)
        )
        whole = ("requests", "failed", "prompt_tokens", "completion_tokens")
        with self._database.read() as connection:
            rows = [dict(row._mapping) for row in connection.execute(statement)]
        # PostgreSQL sums to decimals.
        return [UsageTotal(**row | {name: int(row[name]) for name in whole}) for row in rows]

    def forget(self) -> None:
        """Remove rows that are older than is of interest.

        Raises:
            StateError: the database cannot be reached.
        """
        oldest = int(time.time()) // HOUR - KEPT * DAY // HOUR
        with self._database.write() as connection:
            connection.execute(delete(usage).where(usage.c.hour < oldest))


def _kept(name: str) -> str:
    """Return `name` so that every database takes it."""
    return name[:LONGEST_NAME].replace("\0", "").encode(errors="replace").decode()


def _number(value: float) -> float:
    return int(value) if float(value).is_integer() else value
