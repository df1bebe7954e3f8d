"""Where the pieces of an answer go, one after the other, as they come.

They are handed on from the connection that they come on to the one that they leave by, without a
task that wakes up for each: with hundreds of streams under way, that was a fifth of a token's cost.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class Sink(Protocol):
    """Takes the pieces of an answer."""

    def take(self, data: bytes) -> bool:
        """Take `data`, and return whether there is room for more."""

    async def ready(self) -> None:
        """Return once there is room again."""


class Through:
    """Passes on what a function makes of each piece."""

    def __init__(self, change: Callable[[bytes], bytes], sink: Sink) -> None:
        """Pass on to `sink` what `change` returns, unless that is nothing."""
        self._change = change
        self._take = sink.take
        self.ready = sink.ready

    def take(self, data: bytes) -> bool:
        """Take `data`, and return whether there is room for more."""
        changed = self._change(data)
        return not changed or self._take(changed)


class Collected:
    """Keeps all pieces."""

    def __init__(self) -> None:
        """Begin without any."""
        self._parts: list[bytes] = []

    def take(self, data: bytes) -> bool:
        """Keep `data`. There is always room for more."""
        self._parts.append(data)
        return True

    async def ready(self) -> None:
        """Return at once."""

    def whole(self) -> bytes:
        """Return all that has come."""
        return b"".join(self._parts)
