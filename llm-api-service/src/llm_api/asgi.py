"""From ASGI to Flask and back: requests come in whole, answers go out as they come.

A request is one task on the event loop. What its client does meanwhile is watched beside it, once
it takes longer than a moment: who has gone is not answered any more, and whoever waits hears
something now and then.
"""

from __future__ import annotations

import asyncio
import io
import logging
import sys
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from functools import lru_cache
from typing import Any, Protocol
from urllib.parse import unquote_to_bytes

from flask import Response

from llm_api.sink import Sink

logger = logging.getLogger(__name__)

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Write = Callable[[bytes], bool]
"""Sends a part of an answer's body, and returns whether the client can take more."""
Environ = dict[str, Any]

# What a server offers beyond ASGI: under `write`, to `Write` the parts of a body without a length.
EXTENSION = "llm_api"

# Seconds after which the client of a request is watched. Most are answered by then.
MOMENT = 0.5
# Seconds of silence after which a client gets a sign of life, which keeps proxies from closing the
# connection.
HEARTBEAT = 10.0
# Seconds that a client may leave unread what waits for it. After that nothing more is made for it.
STALL = 120.0
LEFT_UNREAD = "The answer was left unread for too long."
STOPPED = "This replica had to stop before the answer was whole."


class Body(Protocol):
    """The body of an answer, made while it is sent."""

    async def into(self, sink: Sink) -> None:
        """Give all parts to `sink`, none of them cut where a sign of life could not stand."""

    def alive(self) -> bytes:
        """Return a sign of life."""

    def broken(self, message: str) -> bytes:
        """Return the last part of a body that ends too early. Nothing is read from it any more."""

    async def close(self) -> None:
        """Give back what it takes."""


class Streamed(Response):
    """A response whose body is made while it is sent."""

    def __init__(self, body: Body, **more: Any) -> None:
        """Send `body`, and close it then."""
        # No sequence: its length is not known.
        super().__init__(iter(()), **more)
        self.body = body


Respond = Callable[[Environ], Awaitable[Response]]
"""Returns the response to a request in the environment that WSGI has for it."""


class Asgi:
    """The application as ASGI servers call it."""

    def __init__(self, respond: Respond, largest: int) -> None:
        """Let `respond` answer, which refuses bodies of more than the `largest` number of bytes."""
        self._respond = respond
        self._largest = largest

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request.

        Raises:
            ValueError: it is none of HTTP. By that servers know that nothing else is spoken.
        """
        if scope["type"] == "websocket":
            await send({"type": "websocket.close"})
            return
        if scope["type"] != "http":
            raise ValueError(f"{scope['type']} is not spoken here")
        body = await _read(scope, receive, self._largest)
        if body is None:
            return
        environ = _environ(scope, body)
        offered = scope.get("extensions", {}).get(EXTENSION, {})
        client = _Client(receive, send, offered.get("write"))
        try:
            response = await self._respond(environ)
            try:
                await _send(response, environ, client)
            finally:
                response.close()
        except asyncio.CancelledError:
            if not client.gone:
                raise
        finally:
            client.leave()


class _Client:
    """Who waits for the answer to the request of the current task. A sink for its body."""

    def __init__(self, receive: Receive, send: Send, write: Write | None) -> None:
        self._receive = receive
        self._send = send
        self._write = write
        self._unsent: list[bytes] = []
        self._loop = asyncio.get_running_loop()
        self._answering = asyncio.current_task()
        self._body: Body | None = None
        self._sending = False
        self._heard = 0.0
        self._watching: asyncio.Task[None] | None = None
        self._timer = self._loop.call_later(MOMENT, self._watch)
        self.gone = False
        self.stalled = False

    def leave(self) -> None:
        """Watch it no more."""
        self._timer.cancel()
        if self._watching:
            self._watching.cancel()

    async def send(self, message: Message) -> None:
        """Send a message, which waits while the client is behind."""
        self._heard = self._loop.time()
        self._sending = True
        await self._send(message)
        self._sending = False

    async def stream(self, start: Message, body: Body) -> None:
        """Send `start` and then `body`, with signs of life while it is silent, and close it."""
        try:
            await self.send(start)
            self._body = body
            await body.into(self)
        except asyncio.CancelledError:
            if self.gone or not self._answering:
                raise
            self._answering.uncancel()
            last = body.broken(LEFT_UNREAD if self.stalled else STOPPED)
        else:
            last = b""
        finally:
            self._body = None
            await body.close()
        # Should it read on after all, it must not take this for the proper end.
        await self._send({"type": "http.response.body", "body": b"".join([*self._unsent, last])})

    def take(self, data: bytes) -> bool:
        """Send a part of the body, and return whether there is room for more."""
        now = self._loop.time()
        # A body that never waits must let others have their turn, too.
        waited, self._heard = now != self._heard, now
        if self._write:
            return self._write(data) and waited
        self._unsent.append(data)
        return False

    async def ready(self) -> None:
        """Return once the client has taken enough, and others have had their turn."""
        part = b"".join(self._unsent)
        self._unsent.clear()
        await self.send({"type": "http.response.body", "body": part, "more_body": True})
        await asyncio.sleep(0)

    def _watch(self) -> None:
        self._watching = self._loop.create_task(self._attend())

    async def _attend(self) -> None:
        """Note that the client goes; until then let it hear something, and see that it reads."""
        while not self.gone:
            try:
                async with asyncio.timeout(self._patience()):
                    message = await self._receive()
            except TimeoutError:
                await self._after_silence()
            else:
                self.gone = message["type"] == "http.disconnect"
        if self._answering:
            self._answering.cancel()

    def _patience(self) -> float:
        """Return after how many seconds there may be something to be done."""
        period = min(HEARTBEAT, STALL)
        return period - (self._loop.time() - self._heard) % period

    async def _after_silence(self) -> None:
        silence = self._loop.time() - self._heard
        if self._body is None or self._answering is None:
            return
        if not self._sending:
            if silence >= HEARTBEAT and (sign := self._body.alive()):
                await self.send({"type": "http.response.body", "body": sign, "more_body": True})
        elif silence >= STALL and not self.stalled:
            logger.warning("a client left its answer unread")
            self.stalled = True
            self._answering.cancel()


async def _read(scope: Message, receive: Receive, largest: int) -> bytes | None:
    """Return the body of a request, or None where the client has gone before its end.

    Of one that is too large, no more is read than what shows that.
    """
    if _announced(scope["headers"]) > largest:
        return b""
    parts: list[bytes] = []
    size = 0
    more = True
    while more and size <= largest:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        part = message.get("body", b"")
        parts.append(part)
        size += len(part)
        more = message.get("more_body", False)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _announced(headers: Iterable[tuple[bytes, bytes]]) -> int:
    """Return how large the body will be as the client says; 0 where it does not."""
    return next((int(value) for name, value in headers if name == b"content-length"), 0)


@lru_cache(maxsize=256)
def _variable(header: bytes) -> str:
    """Return the name that WSGI has for a header; empty for one that is left out.

    Those with an underscore could pass for others.
    """
    # The body has been put together from its chunks.
    if b"_" in header or header == b"transfer-encoding":
        return ""
    name = header.decode("latin-1").upper().replace("-", "_")
    return name if name in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{name}"


def _environ(scope: Message, body: bytes) -> Environ:
    """Return a request as WSGI has it."""
    host, port = scope.get("server") or ("", 80)
    environ: Environ = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(scope["raw_path"]).decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "SERVER_NAME": host,
        "SERVER_PORT": str(port),
        "REMOTE_ADDR": (scope.get("client") or ("",))[0],
        "wsgi.url_scheme": scope["scheme"],
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.version": (1, 0),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for header, value in scope["headers"]:
        if not (name := _variable(header)):
            continue
        text = value.decode("latin-1")
        environ[name] = f"{environ[name]},{text}" if name in environ else text
    # Of a body in chunks the length is known now.
    environ.setdefault("CONTENT_LENGTH", str(len(body)))
    return environ


async def _send(response: Response, environ: Environ, client: _Client) -> None:
    headers = [
        (name.lower().encode("latin-1"), value.encode("latin-1"))
        for name, value in response.get_wsgi_headers(environ)
    ]
    start = {
        "type": "http.response.start",
        "status": response.status_code,
        "headers": headers,
    }
    if isinstance(response, Streamed):
        await client.stream(start, response.body)
    else:
        body = b"".join(response.get_app_iter(environ))
        await client.send(start)
        await client.send({"type": "http.response.body", "body": body})
