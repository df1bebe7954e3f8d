"""An answer that has begun, as a body to be sent."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from llm_api.meter import Meter
from llm_api.providers import sse
from llm_api.providers.base import Routed
from llm_api.sink import Collected, Sink, Through


class Stream:
    """The bytes of an answer, counted as they pass. It must be closed."""

    def __init__(
        self,
        opening: AbstractAsyncContextManager[Routed],
        routed: Routed,
        on_close: Callable[[Stream], None],
    ) -> None:
        """Pass on what `opening` has entered, and leave that in the end."""
        self.routed = routed
        self.meter = Meter()
        self._opening = opening
        self._on_close = on_close
        self._closed = False

    async def into(self, sink: Sink) -> None:
        """Give what comes to `sink`, whole events where the answer is a stream of them."""
        answer, counted = self.routed.answer, Through(self.meter.count, sink)
        room = counted.take(answer.first)
        if answer.rest is None:
            return
        if not room:
            await sink.ready()
        await answer.rest(counted)

    async def __aenter__(self) -> Stream:
        """Return this, which is closed at the end of the context."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close it."""
        await self.close()

    async def read(self) -> bytes:
        """Return all of it."""
        collected = Collected()
        await self.into(collected)
        return collected.whole()

    def alive(self) -> bytes:
        """Return a sign of life, which clients skip."""
        return sse.HEARTBEAT

    def broken(self, message: str) -> bytes:
        """Return the event that ends an answer which is not whole."""
        return sse.broken(message)

    async def close(self) -> None:
        """End the provider's call, wherever it is. May be called more than once."""
        if self._closed:
            return
        self._closed = True
        try:
            await self._opening.__aexit__(None, None, None)
        finally:
            self._on_close(self)
