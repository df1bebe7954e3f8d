"""What goes on beside a test for as long as a `with` block lasts."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self


class Background:
    """Threads that work until they are told to stop, and then end what is under way."""

    def __init__(self, *works: Callable[[], None]) -> None:
        """Plan a thread for each of `works`, which ends soon after `stopped` is true."""
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=work, daemon=True) for work in works]

    def __enter__(self) -> Self:
        """Start them."""
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop them."""
        self.stop()

    @property
    def stopped(self) -> bool:
        """Whether they are to end."""
        return self._stop.is_set()

    def stop(self) -> None:
        """Stop them, and return when what is under way has ended."""
        self._stop.set()
        for thread in self._threads:
            thread.join()
