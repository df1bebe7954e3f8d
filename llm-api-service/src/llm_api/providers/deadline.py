"""The time by which an answer must be whole."""

from __future__ import annotations

import asyncio
from types import TracebackType


class Deadline:
    """Ends whatever is awaited inside of it once it has passed.

    It may be entered again and again, and for an answer that takes a thousand awaits it needs one
    timer, not a thousand as `asyncio.timeout_at` would.
    """

    def __init__(self, when: float) -> None:
        """Pass at the running loop's time `when`."""
        self._passed = False
        self._waiting: asyncio.Task[object] | None = None
        self._timer = asyncio.get_running_loop().call_at(when, self._pass)

    def cancel(self) -> None:
        """Never pass."""
        self._timer.cancel()

    def _pass(self) -> None:
        self._passed = True
        if self._waiting:
            self._waiting.cancel()

    def __enter__(self) -> None:
        """Begin to await something.

        Raises:
            TimeoutError: it has passed already.
        """
        if self._passed:
            raise TimeoutError
        self._waiting = asyncio.current_task()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End it.

        Raises:
            TimeoutError: it has passed meanwhile.
        """
        waiting, self._waiting = self._waiting, None
        # Whoever else has cancelled the task wants more than an end of the waiting.
        if self._passed and waiting and waiting.uncancel() == 0 and kind is asyncio.CancelledError:
            raise TimeoutError from error
