"""The service in the process of its test: a WSGI application for Flask's test client, in front of
the ASGI one, which runs on a loop in a thread of its own."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Coroutine, Iterable, Iterator
from typing import Any, TypeVar

import uvloop

from llm_api import server
from llm_api.asgi import Asgi, Message

T = TypeVar("T")

# Bytes that may wait for a client that does not read, as in the buffers of a connection.
BUFFER = 64 * 1024
PART = 64 * 1024


class InProcess:
    """Hands requests to an ASGI application."""

    def __init__(self, asgi: Asgi) -> None:
        """Start the loop."""
        self._asgi = asgi
        self.loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()
        self.run(self._prepare())

    async def _prepare(self) -> None:
        server.use_own_threads()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run `coroutine` on the loop and return its result, or raise what it raises."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(60)

    def stop(self) -> None:
        """Stop the loop."""
        self.run(self.loop.shutdown_default_executor())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)
        self.loop.close()

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        """Answer as WSGI wants it: the response begins, and its parts come as they are read."""
        exchange = _Exchange(self.loop, environ["wsgi.input"].read())
        exchange.begin(self._asgi, _scope(environ))
        start = exchange.take()
        assert start
        headers = [(n.decode("latin-1"), v.decode("latin-1")) for n, v in start["headers"]]
        start_response(f"{start['status']} Told", headers)
        return exchange


class _Exchange:
    """One request and its response, between the test's thread and the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, body: bytes) -> None:
        self._loop = loop
        self._parts = [body[i : i + PART] for i in range(0, len(body), PART)] or [b""]
        self._messages: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        self._waiting = 0
        self._room = asyncio.Event()
        self._gone = asyncio.Event()

    def begin(self, asgi: Asgi, scope: Message) -> None:
        """Let the application answer."""
        answering = self._answer(asgi, scope)
        self._answering = asyncio.run_coroutine_threadsafe(answering, self._loop)

    async def _answer(self, asgi: Asgi, scope: Message) -> None:
        try:
            await asgi(scope, self._receive, self._send)
        finally:
            self._messages.put(None)

    async def _receive(self) -> Message:
        if self._parts:
            part = self._parts.pop(0)
            return {"type": "http.request", "body": part, "more_body": bool(self._parts)}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        while self._waiting > BUFFER and not self._gone.is_set():
            self._room.clear()
            await self._room.wait()
        self._waiting += len(message.get("body", b""))
        self._messages.put(message)

    def take(self) -> Message | None:
        """Return what was sent next, or None after the last."""
        message = self._messages.get(timeout=60)
        if message:
            self._loop.call_soon_threadsafe(self._taken, len(message.get("body", b"")))
        return message

    def _taken(self, size: int) -> None:
        self._waiting -= size
        self._room.set()

    def __iter__(self) -> Iterator[bytes]:
        while message := self.take():
            yield message["body"]

    def close(self) -> None:
        """Hang up, as a client that has read enough does, and wait until that was noticed."""
        self._loop.call_soon_threadsafe(self._hang_up)
        self._answering.result(10)

    def _hang_up(self) -> None:
        self._gone.set()
        self._room.set()


def _scope(environ: dict[str, Any]) -> Message:
    headers = [
        (name[5:].replace("_", "-").lower().encode(), value.encode("latin-1"))
        for name, value in environ.items()
        if name.startswith("HTTP_")
    ]
    for name in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        if value := environ.get(name):
            headers.append((name.replace("_", "-").lower().encode(), value.encode()))
    return {
        "type": "http",
        "http_version": "1.1",
        "method": environ["REQUEST_METHOD"],
        "scheme": environ["wsgi.url_scheme"],
        "raw_path": environ["PATH_INFO"].encode("latin-1").replace(b"%", b"%25"),
        "query_string": environ["QUERY_STRING"].encode("latin-1"),
        "headers": headers,
        "client": (environ.get("REMOTE_ADDR", ""), 0),
        "server": (environ["SERVER_NAME"], int(environ["SERVER_PORT"])),
    }
