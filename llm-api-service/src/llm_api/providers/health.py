"""How the requests to a provider went in the last minutes, in memory that does not grow."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

WINDOW = 300.0
"""Seconds that a request counts."""
SLICE = 10.0
"""Seconds whose requests are counted together."""
SAMPLES = 500
"""Times that are kept for the median."""


@dataclass
class _Slice:
    number: int
    answered: int = 0
    failed: int = 0


@dataclass(frozen=True)
class Figures:
    """What a window holds, as `ProviderStatus` has it."""

    requests: int
    success_rate: float | None
    first_byte_seconds: float | None
    last_error: str
    last_error_at: float | None


class Health:
    """Counts how requests ended, by slices of the window."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        """Start with none. `clock` gives seconds since 1970."""
        self._clock = clock
        self._slices: deque[_Slice] = deque(maxlen=int(WINDOW / SLICE))
        self._first_bytes: deque[tuple[float, float]] = deque(maxlen=SAMPLES)
        self._error = ("", 0.0)

    def began(self, seconds: float) -> None:
        """Note that an answer began after so many seconds."""
        self._first_bytes.append((self._clock(), seconds))

    def answered(self) -> None:
        """Note that a request was answered to the end, or rightly refused."""
        self._slice().answered += 1

    def failed(self, reason: str) -> None:
        """Note that a request was not answered, or not to the end."""
        self._slice().failed += 1
        self._error = (reason, self._clock())

    def figures(self) -> Figures:
        """Return what is in the window now."""
        now = self._clock()
        first = int((now - WINDOW) / SLICE)
        slices = [part for part in self._slices if part.number > first]
        answered = sum(part.answered for part in slices)
        requests = answered + sum(part.failed for part in slices)
        times = [seconds for when, seconds in self._first_bytes if now - when < WINDOW]
        error, when = self._error
        recent = bool(error) and now - when < WINDOW
        return Figures(
            requests=requests,
            success_rate=answered / requests if requests else None,
            first_byte_seconds=median(times) if times else None,
            last_error=error if recent else "",
            last_error_at=when if recent else None,
        )

    def _slice(self) -> _Slice:
        number = int(self._clock() / SLICE)
        if not self._slices or self._slices[-1].number != number:
            self._slices.append(_Slice(number))
        return self._slices[-1]
