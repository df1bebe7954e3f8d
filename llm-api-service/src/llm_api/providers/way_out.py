"""The way out of the cluster: whether there is one, so that nobody waits for whom it leads to."""

from __future__ import annotations

import asyncio
import logging
from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import Context
from http import HTTPStatus

from yarl import URL

from llm_api.providers.base import Way

logger = logging.getLogger(__name__)

SILENCE = 1.0
"""Seconds without an answer after which it is doubted that there is a way, and then twice that."""
CALM = 1.0
"""Seconds after a sign of life from outside within which it is not doubted."""
PATIENCE = 2.0
"""Seconds that a probe may take."""
INTERVAL = 3.0
"""Seconds between two probes while there is no way."""
HEAD_START = 0.2
"""Seconds after which a probe asks all servers, not just the first."""
# The proxy may not go there, or wants to know who asks.
REFUSED = frozenset({HTTPStatus.FORBIDDEN, HTTPStatus.PROXY_AUTHENTICATION_REQUIRED})


class WayOut:
    """Notices that nobody outside the cluster can be reached, and that they can again.

    A request to outside that fails, or is silent for a while, casts doubt. Then one probe asks
    whether any of the servers outside can be reached. If none can, the requests to them that are
    still without an answer are given up at once, and until a further probe finds one they are
    not asked any more.
    """

    def __init__(self, ways: Callable[[], Sequence[Way]]) -> None:
        """Probe what `ways` returns at that time; there is a way until a probe finds none."""
        self._ways = ways
        self._waiting: set[asyncio.Timeout] = set()
        self._probing: asyncio.Task[None] | None = None
        self._alive = -CALM
        self.gone = False

    @contextmanager
    def watched(self, patience: asyncio.Timeout) -> Iterator[None]:
        """Cast doubt while this lasts, and end `patience` at once if the way is found gone."""
        loop = asyncio.get_running_loop()
        timer = loop.call_later(SILENCE, lambda: silent(SILENCE))

        def silent(so_far: float) -> None:
            nonlocal timer
            self.doubt()
            timer = loop.call_later(so_far, lambda: silent(2 * so_far))

        self._waiting.add(patience)
        try:
            yield
        finally:
            timer.cancel()
            self._waiting.discard(patience)

    def seen(self) -> None:
        """Note a sign of life from outside."""
        self._alive = asyncio.get_running_loop().time()

    def doubt(self) -> None:
        """Probe, unless a probe is under way or there was a sign of life just now."""
        now = asyncio.get_running_loop().time()
        if self._probing is None and now - self._alive >= CALM:
            # What it logs is no matter of the request that cast the doubt.
            self._probing = asyncio.create_task(self._probe(), context=Context())
            self._probing.add_done_callback(self._probed)

    async def close(self) -> None:
        """Probe no more."""
        if self._probing is not None:
            self._probing.cancel()
            with suppress(asyncio.CancelledError):
                await self._probing

    async def _probe(self) -> None:
        """Probe until somebody can be reached, or nobody is left to be reached."""
        while (ways := list(dict.fromkeys(self._ways()))) and not await _any_reached(ways):
            if not self.gone:
                self.gone = True
                logger.warning("there is no way out: providers outside the cluster are not asked")
            now = asyncio.get_running_loop().time()
            for patience in self._waiting:
                patience.reschedule(now)
            await asyncio.sleep(INTERVAL)
        if self.gone:
            self.gone = False
            logger.info("there is a way out again")
        self.seen()

    def _probed(self, task: asyncio.Task[None]) -> None:
        self._probing = None
        if not task.cancelled() and (error := task.exception()):
            logger.error("the probe failed", exc_info=error)


async def _any_reached(ways: Sequence[Way]) -> bool:
    """Return whether any of the servers can be reached, the first of them tried first."""

    async def reached_after(seconds: float, way: Way) -> bool:
        await asyncio.sleep(seconds)
        return await _reached(way)

    first, *others = ways
    tasks = [asyncio.create_task(reached_after(0, first))]
    tasks += [asyncio.create_task(reached_after(HEAD_START, way)) for way in others]
    try:
        for task in asyncio.as_completed(tasks):
            if await task:
                return True
        return False
    finally:
        for each in tasks:
            each.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _reached(way: Way) -> bool:
    """Return whether there is a connection to a server, to which nothing is said."""
    try:
        async with asyncio.timeout(PATIENCE):
            host, port = (way.proxy or way.url).host, (way.proxy or way.url).port
            reader, writer = await asyncio.open_connection(host, port)
            try:
                return way.proxy is None or await _reached_by(way, way.proxy, reader, writer)
            finally:
                writer.transport.abort()
    except (OSError, ValueError, LookupError):
        return False


async def _reached_by(
    way: Way, proxy: URL, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> bool:
    """Return whether the proxy reaches the server."""
    place = f"{way.url.host_subcomponent}:{way.url.port}"
    asked = f"CONNECT {place}" if way.url.scheme == "https" else f"HEAD http://{place}/"
    head = [f"{asked} HTTP/1.1", f"Host: {place}", "Connection: close"]
    if proxy.user:
        credentials = b64encode(f"{proxy.user}:{proxy.password or ''}".encode()).decode()
        head.append(f"Proxy-Authorization: Basic {credentials}")
    writer.write("\r\n".join([*head, "", ""]).encode())
    status = int((await reader.readline()).split(maxsplit=2)[1])
    return status < HTTPStatus.INTERNAL_SERVER_ERROR and status not in REFUSED
