"""The bridge between request threads and the event loop that does all provider I/O.

A request runs in a thread; providers are asked on one loop in a thread of its own. A stream's
chunks come over in a queue: the loop stops reading while the client is behind, and stops for good
when the client has gone.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from typing import Any, TypeVar

import uvloop

T = TypeVar("T")

# Bytes that may wait for a slow client before the provider is no longer read.
HIGH_WATER = 256 * 1024


class Loop:
    """An event loop in a thread of its own."""

    def __init__(self) -> None:
        """Start the thread."""
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

    def iterate(self, chunks: AsyncGenerator[bytes, None], on_close: Callable[[], None]) -> Stream:
        """Return an iterator over `chunks` for a request thread; see `Stream`."""
        return Stream(self._loop, chunks, on_close)

    def stop(self) -> None:
        """Stop the loop and wait for its thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class Stream:
    """The chunks of an asynchronous generator, for a thread, with back-pressure.

    Chunks that wait are handed over together. `close`, which the server calls when the answer is
    sent or the client has gone, closes the asynchronous generator and calls `on_close`, once.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        chunks: AsyncGenerator[bytes, None],
        on_close: Callable[[], None],
    ) -> None:
        """Begin to read `chunks` on `loop`."""
        self._loop = loop
        self._on_close = on_close
        self._queue: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._waiting = 0
        self._room = asyncio.Event()
        self._room.set()
        self._ended = False
        self._closed = False
        self._pumping = asyncio.run_coroutine_threadsafe(self._pump(chunks), loop)

    async def _pump(self, chunks: AsyncGenerator[bytes, None]) -> None:
        try:
            async for chunk in chunks:
                self._queue.put(chunk)
                self._waiting += len(chunk)
                if self._waiting > HIGH_WATER:
                    self._room.clear()
                    await self._room.wait()
        finally:
            self._queue.put(None)
            await chunks.aclose()

    def _taken(self, size: int) -> None:
        self._waiting -= size
        if self._waiting <= HIGH_WATER // 2:
            self._room.set()

    def __iter__(self) -> Iterator[bytes]:
        """Return the iterator, which is the stream itself."""
        return self

    def __next__(self) -> bytes:
        """Return what has come, waiting for it if need be.

        Raises:
            StopIteration: the chunks have ended.
        """
        if self._ended:
            raise StopIteration
        parts = []
        item = self._queue.get()
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
        self._loop.call_soon_threadsafe(self._taken, len(data))
        return data

    def close(self) -> None:
        """Stop reading. May be called more than once."""
        if self._closed:
            return
        self._closed = True
        self._pumping.cancel()
        self._on_close()
