"""The server around the application: uvicorn, with limits on what comes before a request's body."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http import HTTPStatus
from typing import Any

from uvicorn import Config, Server
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from llm_api.asgi import EXTENSION, Asgi

# Seconds that an idle connection is kept: longer than the gateway keeps it, so that none is closed
# under a request.
IDLE = 600
# Threads for what blocks: pages, and what tokens with limits wait for.
THREADS = 16
# Threads that look names up, of which libuv has four by itself. Where there is no way out, each
# name holds one for ten seconds, and those of providers in the cluster would have to wait.
RESOLVERS = 64
# Connections that may wait to be accepted.
BACKLOG = 4096
# What a request's head may have: bytes of the target, fields, and bytes in all.
LONGEST_TARGET = 64 * 1024
MOST_FIELDS = 100
LARGEST_HEAD = 256 * 1024
# How the head of an answer begins.
HEAD = b"HTTP/"
# Seconds in which whoever sends too much may take notice of the answer.
LINGER = 2.0


def prepare() -> None:
    """Set up this process, before its first event loop."""
    # libuv reads it when it looks up its first name.
    os.environ.setdefault("UV_THREADPOOL_SIZE", str(RESOLVERS))
    # As far as it goes: an answer holds two files.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def use_own_threads() -> None:
    """Let the running loop have as many threads for what blocks as it is meant to have."""
    threads = ThreadPoolExecutor(THREADS, thread_name_prefix="blocking")
    asyncio.get_running_loop().set_default_executor(threads)


async def serve(asgi: Asgi, port: int, shutdown_timeout: int) -> None:
    """Serve until a signal comes, and then let open answers finish for so many seconds."""
    config = Config(
        asgi,
        host="0.0.0.0",  # noqa: S104 - of the container, whose network is internal
        port=port,
        http=Limited,
        ws="none",
        lifespan="off",
        backlog=BACKLOG,
        timeout_keep_alive=IDLE,
        timeout_graceful_shutdown=shutdown_timeout,
        # A request that waits behind another would inherit its context.
        reset_contextvars=True,
        proxy_headers=False,
        server_header=False,
        access_log=False,
        log_config=None,
    )
    # The server hands the signal on once it has stopped, when there is nothing left to be done.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    await Server(config).serve()


class Together(asyncio.Transport):
    """A connection on which the head of an answer goes together with what is written next.

    uvicorn writes the head and the body apart. As one piece they are there whole or not at all
    when the replica is killed, and cost a system call less.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        """Write to `transport`, and to that at the end of the turn of `loop` at the latest."""
        super().__init__()
        self._transport = transport
        self._loop = loop
        self._head = b""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send `data`, unless it is a head for which there may be more in this turn."""
        if self._head:
            head, self._head = self._head, b""
            self._transport.write(head + data)
        elif data[:5] == HEAD:
            self._head = bytes(data)
            self._loop.call_soon(self._flush)
        else:
            self._transport.write(data)

    def _flush(self) -> None:
        head, self._head = self._head, b""
        if head:
            self._transport.write(head)

    def write_eof(self) -> None:
        """Send what there is, and say that nothing follows."""
        self._flush()
        self._transport.write_eof()

    def close(self) -> None:
        """Send what there is, and close it then."""
        self._flush()
        self._transport.close()

    def abort(self) -> None:
        """Close it at once."""
        self._head = b""
        self._transport.abort()

    def is_closing(self) -> bool:
        """Return whether it is closed or about to be."""
        return self._transport.is_closing()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return what the connection knows of itself."""
        return self._transport.get_extra_info(name, default)

    def pause_reading(self) -> None:
        """Take nothing in."""
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Take it in again."""
        self._transport.resume_reading()


def write_chunk(cycle: RequestResponseCycle, data: bytes) -> bool:
    """Send a part of the body of `cycle`, which is sent in chunks: see `asgi.Write`."""
    # An empty chunk would be the end.
    if data and not cycle.disconnected:
        cycle.transport.write(b"%x\r\n%b\r\n" % (len(data), data))
    return not cycle.flow.write_paused


class Limited(HttpToolsProtocol):
    """uvicorn's protocol, which has no limits of its own on a request's head.

    It offers the application to write at once, too, where ASGI would take a coroutine each time.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Begin before the first request."""
        super().__init__(*args, **kwargs)
        self._in_head = True
        self._size = 0
        self._refused: HTTPStatus | None = None

    # uvicorn, too, narrows what asyncio says of the argument.
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Let one that never asks anything be idle no longer than others."""
        super().connection_made(Together(transport, self.loop))
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Keep nothing of it, however it ended."""
        super().connection_lost(exc)
        self._unset_keepalive_if_required()

    def data_received(self, data: bytes) -> None:
        """Take what came, unless the head is larger than it may be."""
        if self._refused:
            return
        super().data_received(data)
        if self._in_head and not self.transport.is_closing():
            self._size += len(data)
            if self._size > LARGEST_HEAD:
                self._refuse(self._fault() or HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
            else:
                self._wait()

    def on_message_begin(self) -> None:
        """Begin a head."""
        super().on_message_begin()
        self._in_head, self._size = True, 0

    def on_headers_complete(self) -> None:
        """End a head.

        Raises:
            ValueError: it is refused, which ends the parser's work.
        """
        self._in_head = False
        self._refused = self._fault()
        if self._refused:
            raise ValueError(self._refused.phrase)
        super().on_headers_complete()
        if self.cycle and self.scope["method"] != "HEAD":
            self.scope["extensions"] = {EXTENSION: {"write": partial(write_chunk, self.cycle)}}

    def send_400_response(self, msg: str) -> None:
        """Answer what the parser did not take, for whatever reason."""
        if self._refused:
            self._refuse(self._refused)
        else:
            super().send_400_response(msg)

    def _fault(self) -> HTTPStatus | None:
        if len(self.url) > LONGEST_TARGET:
            return HTTPStatus.REQUEST_URI_TOO_LONG
        if len(self.headers) > MOST_FIELDS:
            return HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
        return None

    def _wait(self) -> None:
        self._unset_keepalive_if_required()
        self.timeout_keep_alive_task = self.loop.call_later(
            self.timeout_keep_alive, self.timeout_keep_alive_handler
        )

    def _refuse(self, status: HTTPStatus) -> None:
        """Answer, and read on for a moment: the answer would get lost in a connection reset."""
        self._refused = status
        self._unset_keepalive_if_required()
        head = f"HTTP/1.1 {status.value} {status.phrase}\r\n"
        self.transport.write(f"{head}content-length: 0\r\nconnection: close\r\n\r\n".encode())
        self.transport.write_eof()
        self.loop.call_later(LINGER, self.transport.abort)
