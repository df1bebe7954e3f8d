"""The bridge between request threads and the event loop that does all provider I/O.

A request runs in a thread; providers are asked on one loop in a thread of its own. An answer's
chunks come over in a queue: the loop stops reading while the client is behind, and stops for good
when the client has gone.
"""

from __future__ import annotations

import asyncio
import logging
import os
import queue
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, aclosing
from typing import Any, TypeVar

import uvloop

from llm_api.meter import Meter
from llm_api.providers import sse
from llm_api.providers.base import Answer, Routed

logger = logging.getLogger(__name__)

T = TypeVar("T")

# Threads that look names up, of which libuv has four by itself. Where there is no way out, each
# name holds one for ten seconds, and those of providers in the cluster would have to wait.
RESOLVERS = 64
# Bytes that may wait for a slow client before the provider is no longer read.
HIGH_WATER = 256 * 1024
# Seconds of a provider's silence after which the client gets a sign of life, which keeps proxies
# from closing the connection.
HEARTBEAT = 10.0
# Seconds after which the server gets nothing to send: at that it sees whether the client is still
# there, and closes the stream if not.
PROBE = 0.5
NOTHING = b""
# Seconds that a client may leave all that waiting unread. After that the provider is let go; the
# server's thread has to wait for the client, or for whoever is in between, to close.
STALL = 120.0


class Loop:
    """An event loop in a thread of its own."""

    def __init__(self) -> None:
        """Start the thread."""
        # libuv reads it when it looks up its first name.
        os.environ.setdefault("UV_THREADPOOL_SIZE", str(RESOLVERS))
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="io", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run `coroutine` on the loop and return its result, or raise what it raises."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def stream(
        self, opening: AbstractAsyncContextManager[Routed], on_close: Callable[[], None]
    ) -> Stream:
        """Return the answer that `opening` enters, once it has begun, for a request thread.

        `on_close` is called once: when the stream is closed, or before this raises what
        `opening` raised.
        """
        return Stream(self._loop, opening, on_close)

    def stop(self) -> None:
        """Stop the loop and wait for its thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class Stream:
    """The bytes of an answer, for a thread, with back-pressure.

    Chunks that wait are handed over together. `close`, which the server calls when the answer is
    sent or the client has gone, leaves the context that the answer came from.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        opening: AbstractAsyncContextManager[Routed],
        on_close: Callable[[], None],
    ) -> None:
        """Enter `opening` on `loop` and wait for its answer."""
        self._loop = loop
        self._on_close = on_close
        self.meter = Meter()
        self._queue: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._waiting = 0
        self._room = asyncio.Event()
        self._ended = False
        self._closed = False
        begun: Future[Routed] = Future()
        self._pumping = asyncio.run_coroutine_threadsafe(self._pump(opening, begun), loop)
        try:
            self.routed = begun.result()
        except BaseException:
            self.close()
            raise
        events = self.routed.answer.content_type.startswith(sse.CONTENT_TYPE)
        self._patience = PROBE if events else None
        self._silent = 0.0

    async def _pump(
        self, opening: AbstractAsyncContextManager[Routed], begun: Future[Routed]
    ) -> None:
        try:
            async with opening as routed:
                begun.set_result(routed)
                await self._pass_on(routed.answer)
        except BaseException as error:
            if begun.done():
                raise
            begun.set_exception(error)
        finally:
            self._queue.put(None)

    async def _pass_on(self, answer: Answer) -> None:
        self._queue.put(answer.first)
        self._waiting += len(answer.first)
        async with aclosing(answer.rest) as rest:
            async for chunk in rest:
                self._queue.put(chunk)
                self._waiting += len(chunk)
                if self._waiting > HIGH_WATER and not await self._has_room():
                    logger.warning("a client left its answer unread")
                    self._queue.put(sse.broken("The answer was left unread for too long."))
                    return

    async def _has_room(self) -> bool:
        """Wait until the client has read enough, and return whether it did."""
        self._room.clear()
        try:
            async with asyncio.timeout(STALL):
                await self._room.wait()
        except TimeoutError:
            return False
        return True

    def _taken(self, size: int) -> None:
        self._waiting -= size
        if self._waiting <= HIGH_WATER // 2:
            self._room.set()

    def __iter__(self) -> Iterator[bytes]:
        """Return the iterator, which is the stream itself."""
        return self

    def __next__(self) -> bytes:
        """Return what has come, waiting for it if need be; or nothing, or a sign of life.

        Raises:
            StopIteration: the answer has ended.
        """
        if self._ended:
            raise StopIteration
        try:
            item = self._queue.get(timeout=self._patience)
        except queue.Empty:
            self._silent += PROBE
            if self._silent < HEARTBEAT:
                return NOTHING
            self._silent = 0.0
            return sse.HEARTBEAT
        self._silent = 0.0
        parts = []
        while item is not None:
            parts.append(item)
            try:
                item = self._queue.get_nowait()
            except queue.Empty:
                break
        else:
            self._ended = True
        if not parts:
            raise StopIteration
        data = b"".join(parts)
        self.meter.add(data)
        self._loop.call_soon_threadsafe(self._taken, len(data))
        return data

    def then(self, callback: Callable[[], None]) -> None:
        """Call `callback`, too, when this is closed."""
        before = self._on_close

        def both() -> None:
            before()
            callback()

        self._on_close = both

    def close(self) -> None:
        """Stop reading. May be called more than once."""
        if self._closed:
            return
        self._closed = True
        self._pumping.cancel()
        self._on_close()
