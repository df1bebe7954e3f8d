"""A proxy in this process that passes connections on through others.

So one address is enough for g4f's classes, which differ in the kinds of proxies that they know, and
none of them learns a proxy's password.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any

from python_socks import ProxyError
from python_socks.async_.asyncio.v2 import Proxy
from yarl import URL

logger = logging.getLogger(__name__)

CONNECT_TIMEOUT = 5.0
"""Seconds that each proxy gets."""
HEAD_TIMEOUT = 10.0
"""Seconds for the head of a request."""
PIECE = 64 * 1024
ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"
FAILED = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Forwarder:
    """Listens on the loopback interface, and uses `proxies` in turn."""

    def __init__(self, proxies: Sequence[str], egress_proxy: str = "") -> None:
        """Use `proxies`, each through `egress_proxy` if there is one."""
        self._proxies = proxies
        self._egress_proxy = egress_proxy
        self._next = 0
        self._connections: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server
        self.url = ""

    async def start(self) -> None:
        """Listen on a free port."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"

    async def close(self) -> None:
        """Listen no more, and drop what is open."""
        self._server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._forward(reader, writer))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(OSError, ValueError, asyncio.IncompleteReadError):
                async with asyncio.timeout(HEAD_TIMEOUT):
                    head = await reader.readuntil(b"\r\n\r\n")
                target, first = _read(head)
                if (far := await self._connect(target)) is None:
                    writer.write(FAILED)
                    await writer.drain()
                    return
                far_reader, far_writer = far
                try:
                    (far_writer if first else writer).write(first or ESTABLISHED)
                    await _first_of(_pass(reader, far_writer), _pass(far_reader, writer))
                finally:
                    far_writer.close()
        finally:
            writer.close()

    async def _connect(
        self, target: URL
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        """Return a connection by the first proxy that makes one, beginning with the next."""
        first, self._next = self._next, (self._next + 1) % len(self._proxies)
        for proxy in islice([*self._proxies, *self._proxies], first, first + len(self._proxies)):
            hop = Proxy.from_url(self._egress_proxy) if self._egress_proxy else None
            try:
                stream = await Proxy.from_url(proxy, rdns=True, forward=hop).connect(
                    target.host or "", target.port or 0, timeout=CONNECT_TIMEOUT
                )
            except (ProxyError, OSError) as error:
                fields = {"proxy": URL(proxy).host, "reason": type(error).__name__}
                logger.warning("a proxy failed", extra={"fields": fields})
            else:
                return stream.reader, stream.writer
        return None


def _read(head: bytes) -> tuple[URL, bytes]:
    """Return where a request to a proxy goes, and what of its head is for there."""
    method, place, version = head.partition(b"\r\n")[0].decode().split(" ")
    if method == "CONNECT":
        return URL(f"//{place}"), b""
    url = URL(place)
    fields = [line for line in head.split(b"\r\n")[1:-2] if not _of_connection(line)]
    first = f"{method} {url.raw_path_qs} {version}".encode()
    return url, b"\r\n".join([first, *fields, b"Connection: close", b"", b""])


def _of_connection(field: bytes) -> bool:
    name = field.partition(b":")[0].strip().lower()
    return name == b"connection" or name.startswith(b"proxy-")


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass everything on, up to the end."""
    while data := await reader.read(PIECE):
        writer.write(data)
        await writer.drain()


async def _first_of(*directions: Coroutine[Any, Any, None]) -> None:
    """Run all until the first ends: who has gone hears nothing, who has ended wants nothing."""
    tasks = [asyncio.create_task(direction) for direction in directions]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
