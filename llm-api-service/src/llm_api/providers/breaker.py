"""A circuit breaker: a provider that fails again and again is left alone for a while."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

WINDOW = 60.0
"""Seconds that an outcome counts."""
MINIMUM = 5
"""Outcomes within the window below which nothing is concluded."""
RATE = 0.5
"""Share of failures from which on the provider is left alone."""
COOLDOWN = 5.0
"""Seconds until one request may try it again."""


class Breaker:
    """Closed: requests pass. Open: none does. Half open: one does, and decides."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Start closed. `clock` gives seconds."""
        self._clock = clock
        self._outcomes: deque[tuple[float, bool]] = deque()
        self._opened: float | None = None
        self._probing = False

    @property
    def state(self) -> str:
        """`closed`, `open` or `half_open`."""
        if self._opened is None:
            return "closed"
        return "half_open" if self._clock() - self._opened >= COOLDOWN else "open"

    def allow(self) -> bool:
        """Return whether a request may try. Each allowed one must report its outcome."""
        if self.state == "closed":
            return True
        if self.state == "open" or self._probing:
            return False
        self._probing = True
        return True

    def succeeded(self) -> None:
        """Note that a request was answered, or rightly refused."""
        if self._opened is not None:
            self._opened = None
            self._outcomes.clear()
        self._probing = False
        self._note(ok=True)

    def failed(self) -> None:
        """Note that a request was not answered."""
        self._note(ok=False)
        if self._probing:
            self._probing = False
            self._opened = self._clock()
            return
        failures = sum(not ok for _, ok in self._outcomes)
        if len(self._outcomes) >= MINIMUM and failures >= RATE * len(self._outcomes):
            self._opened = self._clock()

    def abandoned(self) -> None:
        """Note that nothing was learnt: the client went before there was an outcome."""
        self._probing = False

    def _note(self, *, ok: bool) -> None:
        now = self._clock()
        self._outcomes.append((now, ok))
        while self._outcomes and now - self._outcomes[0][0] > WINDOW:
            self._outcomes.popleft()
