"""Requests per minute, counted over all replicas."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from sqlalchemy import delete

from llm_api.state.database import Database, StateError
from llm_api.state.model import Token
from llm_api.state.schema import admissions

logger = logging.getLogger(__name__)

MINUTE = 60
# A replica takes at most this part of a minute's requests at once, and of what is left of them.
PART_OF_LIMIT, PART_OF_REST = 50, 8


@dataclass(frozen=True)
class Admission:
    """Whether a request may pass, and what is left of the minute."""

    allowed: bool
    limit: int
    remaining: int
    reset: float
    """Seconds until the next minute begins."""


@dataclass
class _Share:
    """What this process has of a token's minute."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    minute: int = 0
    left: int = 0
    used: int = 0
    """Of all replicas, when this process last asked."""


class Admissions:
    """Hands requests out. Replicas take shares, so that the database is asked now and then."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        """Count in `database`."""
        self._database = database
        self._clock = clock
        self._shares: dict[int, _Share] = {}
        self._told = False

    def admit(self, token: Token) -> Admission:
        """Return whether one more request of `token`, which has a limit, may pass now."""
        limit, now = token.requests_per_minute, self._clock()
        minute = int(now) // MINUTE
        share = self._shares.setdefault(token.id, _Share())
        with share.lock:
            if minute > share.minute:
                share.minute, share.left, share.used = minute, 0, 0
            if not share.left and share.used < limit:
                self._take(share, token.id, limit)
            allowed = share.left > 0
            share.left -= allowed
            remaining = max(0, limit - share.used) + share.left
        return Admission(allowed, limit, remaining, MINUTE - now % MINUTE)

    def _take(self, share: _Share, token_id: int, limit: int) -> None:
        """Get more of the minute, less and less as it runs out."""
        rest = limit - share.used
        wanted = max(1, min(limit // PART_OF_LIMIT, rest // PART_OF_REST))
        try:
            # Others may have left less than that.
            for count in dict.fromkeys((wanted, 1)):
                used = self._count(token_id, share.minute, count, limit)
                if used is not None:
                    share.left, share.used = count, used
                    break
            else:
                share.used = limit
            self._told = False
        except StateError as error:
            # Nobody is locked out: each replica then counts for itself.
            share.left, share.used = 1, share.used + 1
            if not self._told:
                self._told = True
                logger.warning("limits are counted by each replica alone: %s", error)

    def _count(self, token_id: int, minute: int, count: int, limit: int) -> int | None:
        """Add `count` to what is used and return the sum, or None where that is too much."""
        statement = self._database.insert(admissions).values(
            token_id=token_id, minute=minute, used=count
        )
        statement = statement.on_conflict_do_update(
            index_elements=list(admissions.primary_key),
            set_={"used": admissions.c.used + count},
            where=admissions.c.used + count <= limit,
        ).returning(admissions.c.used)
        with self._database.write() as connection:
            used: int | None = connection.execute(statement).scalar_one_or_none()
        return used

    def forget(self) -> None:
        """Remove the minutes that are over.

        Raises:
            StateError: the database cannot be reached.
        """
        oldest = int(self._clock()) // MINUTE - 2
        with self._database.write() as connection:
            connection.execute(delete(admissions).where(admissions.c.minute < oldest))
