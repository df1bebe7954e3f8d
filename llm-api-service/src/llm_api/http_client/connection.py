"""One connection to a server, which carries one request after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import cast

import httptools

# Bytes of an answer's head, and those of its body that wait to be read before the server has to.
LARGEST_HEAD = 64 * 1024
MOST_UNREAD = 64 * 1024
# What says where a body ends.
_BOUNDS = (b"content-length", b"transfer-encoding")
_CUT_OFF = "the connection ended too early"


class HttpError(Exception):
    """The server did not answer, or not to the end; the message says why in a few words."""


class ConnectionFailedError(HttpError):
    """There is no connection to the server."""


class Response:
    """The answer to one request. It must be closed, or read to its end."""

    def __init__(self, connection: Connection) -> None:
        """Begin before the first byte, which `connection` will bring."""
        self.status = 0
        self.headers: dict[bytes, bytes] = {}
        """By name in small letters. Of those that come more than once, the last."""
        self.begun = False
        """Whether anything has come."""
        self._connection = connection
        self._parts: list[bytes] = []
        self._unread = 0
        self._taker: Callable[[bytes], bool] | None = None
        self._over = False
        self._error: HttpError | None = None
        self._waiter: asyncio.Future[None] | None = None

    @property
    def over(self) -> bool:
        """Whether nothing more comes. What has come may not have been read yet."""
        return self._over

    async def head(self) -> None:
        """Return as soon as the status and the headers are here.

        Raises:
            HttpError: they do not come.
        """
        while not self.status:
            if self._error:
                raise self._error
            await self._news()

    async def read(self) -> bytes:
        """Return what has come of the body, at least a byte; nothing at its end.

        Raises:
            HttpError: the rest does not come.
        """
        while not self._parts:
            if self._error:
                raise self._error
            if self._over:
                return b""
            await self._news()
        return self._collect()

    async def read_up_to(self, size: int) -> bytes:
        """Return the rest of the body; of one with more bytes than `size`, not much more.

        Raises:
            HttpError: the rest does not come.
        """
        parts, read = [], 0
        while read <= size and (part := await self.read()):
            parts.append(part)
            read += len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def pour(self, take: Callable[[bytes], bool]) -> bool:
        """Give the body to `take` as it comes, and return whether that was all of it.

        It may be less where `take` returns that it has no room for more.

        Raises:
            HttpError: the rest does not come.
            Exception: whatever `take` raises.
        """
        while True:
            if self._parts:
                if not take(self._collect()):
                    return False
            elif self._error:
                raise self._error
            elif self._over:
                return True
            else:
                self._taker = take
                try:
                    await self._news()
                    if self._taker is None:
                        return False
                finally:
                    self._taker = None

    def close(self) -> None:
        """Take nothing more in: what has not come ends with its connection."""
        self._connection.leave(self)

    def _collect(self) -> bytes:
        """Return what has come and was not read, which is something."""
        parts, self._parts = self._parts, []
        if self._unread > MOST_UNREAD:
            self._connection.resume()
        self._unread = 0
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def _news(self) -> None:
        """Return when something has changed."""
        self._waiter = asyncio.get_running_loop().create_future()
        await self._waiter

    def _wake(self) -> None:
        if self._waiter and not self._waiter.done():
            self._waiter.set_result(None)

    def take_head(self, status: int) -> None:
        """Note the status, as the headers are whole."""
        self.status = status
        self._wake()

    def take(self, data: bytes) -> bool:
        """Keep some of the body until it is read, and return whether more may come."""
        self._parts.append(data)
        self._unread += len(data)
        return self._unread <= MOST_UNREAD

    def pass_on(self) -> None:
        """Let whoever reads have what has come."""
        if not self._parts:
            return
        if self._taker:
            try:
                if self._taker(self._collect()):
                    return
            except Exception as error:  # it is for whoever has given the function
                if self._waiter and not self._waiter.done():
                    self._waiter.set_exception(error)
            self._taker = None
        self._wake()

    def end(self, error: HttpError | None = None) -> None:
        """Note that nothing follows, for whatever reason."""
        self._over, self._error = True, error
        self._wake()


class Connection(asyncio.Protocol):
    """A connection on which at most one request is under way.

    It is left to `on_idle` after each answer that lets it go on, and to `on_lost` in the end.
    """

    def __init__(
        self, on_idle: Callable[[Connection], None], on_lost: Callable[[Connection], None]
    ) -> None:
        """Begin before it is connected."""
        self._on_idle = on_idle
        self._on_lost = on_lost
        self._transport: asyncio.Transport
        self._parser = httptools.HttpResponseParser(self)
        self._response: Response | None = None
        self._head_size = 0
        self._complete = False
        self._goes_on = False
        self.lost = False
        """Whether it has ended."""

    def ask(self, request: bytes) -> Response:
        """Send a whole request, and return the answer that will come."""
        response = Response(self)
        if self.lost:
            response.end(HttpError(_CUT_OFF))
            return response
        self._response = response
        self._head_size, self._complete = 0, False
        self._transport.write(request)
        return response

    def leave(self, response: Response) -> None:
        """Close the connection if `response` is still under way."""
        if response is self._response:
            self._response = None
            self._transport.abort()

    def close(self) -> None:
        """Close it at once."""
        self._fail(HttpError("closed"))

    def detach(self) -> asyncio.Transport:
        """Return what carries it, which something else will speak on."""
        self._response = None
        return self._transport

    def resume(self) -> None:
        """Take more in."""
        if not self._transport.is_closing():
            self._transport.resume_reading()

    # What the loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Take a part of the answer."""
        response = self._response
        if response is None:
            # Nobody has asked: whatever it is, the next answer could not be told from it.
            self._transport.abort()
            return
        response.begun = True
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            if not self._complete:
                self._fail(HttpError("an answer that is no HTTP"))
                return
            self._transport.abort()
        response.pass_on()
        if self._complete:
            self._finish(response)
        elif not response.status:
            self._head_size += len(data)
            if self._head_size > LARGEST_HEAD:
                self._fail(HttpError("a head that is too large"))

    def connection_lost(self, exc: Exception | None) -> None:
        """End an answer that says in no other way where it ends; any other is not whole."""
        self.lost = True
        response, self._response = self._response, None
        if response:
            bounded = any(name in response.headers for name in _BOUNDS)
            whole = response.status and not bounded and exc is None
            response.end(None if whole else HttpError(_CUT_OFF))
        self._on_lost(self)
        # It refers to this, too.
        del self._parser

    def _finish(self, response: Response) -> None:
        self._response = None
        unsent = self._transport.get_write_buffer_size()
        if self._goes_on and not unsent and not self._transport.is_closing():
            self.resume()
            self._on_idle(self)
        else:
            self._transport.close()
        response.end()

    def _fail(self, error: HttpError) -> None:
        response, self._response = self._response, None
        self._transport.abort()
        if response:
            response.end(error)

    # What the parser calls.

    def on_message_begin(self) -> None:
        """Begin an answer. One that follows a whole one in the same piece was not asked for."""
        if self._complete:
            self._transport.abort()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header."""
        if self._response and not self._response.status:
            self._response.headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        """End a head. One that only says that there will be another does not count."""
        if not self._response or self._complete:
            return
        status = self._parser.get_status_code()
        if status < HTTPStatus.OK:
            self._response.headers.clear()
        else:
            self._response.take_head(status)

    def on_body(self, data: bytes) -> None:
        """Take some of the body."""
        if self._response and not self._complete and not self._response.take(data):
            self._transport.pause_reading()

    def on_message_complete(self) -> None:
        """End an answer."""
        self._complete = bool(self._response and self._response.status)
        self._goes_on = self._parser.should_keep_alive()
