"""The connections of g4f's classes, which outlive the requests that they are made for.

By itself, g4f allows 20 connections to a host, and through a proxy it makes a new one, with a new
TLS handshake, for each request.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import Context
from typing import Any, cast

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp_socks import ProxyConnector

# Seconds that an idle connection is kept. Many servers hang up after five, and a request that meets
# that moment is lost: a POST is not sent twice.
KEEP_ALIVE = 4.0


class Kept(aiohttp.TCPConnector):
    """A connector without limits, since the chain has its own, that only its last user closes."""

    users = 0

    async def close(self, *, abort_ssl: bool = False) -> None:
        """Do nothing: each of g4f's sessions closes what it was given."""

    async def end(self) -> None:
        """Close it in truth."""
        await super().close()

    async def _create_connection(self, *args: Any, **kwargs: Any) -> ResponseHandler:
        """Connect away from the context of the current request.

        A connection keeps the context that it was made in, and with it the request, for as long
        as it is kept itself.
        """
        connecting = super()._create_connection(*args, **kwargs)
        return await asyncio.get_running_loop().create_task(connecting, context=Context())


class KeptProxied(Kept, ProxyConnector):
    """The same, through a proxy."""


class Connections:
    """Gives g4f's classes their connectors, in place of its own function `get_connector`."""

    def __init__(self, original: Callable[..., Any]) -> None:
        """Leave to `original` what nobody has joined."""
        self._original = original
        self._kept: dict[tuple[asyncio.AbstractEventLoop, str | None], Kept] = {}

    def __call__(self, connector: Any = None, proxy: str | None = None, rdns: bool = False) -> Any:
        """Return what leads through `proxy`; the arguments are g4f's."""
        kept = self._kept.get((asyncio.get_running_loop(), proxy))
        if connector is not None or kept is None:
            return self._original(connector, proxy, rdns)
        return kept

    def join(self, proxy: str | None) -> None:
        """Keep what leads through `proxy`, or directly, on the running loop; once for each user."""
        key = (asyncio.get_running_loop(), proxy)
        if key not in self._kept:
            self._kept[key] = _connector(proxy)
        self._kept[key].users += 1

    async def leave(self, proxy: str | None) -> None:
        """Do without it; once for each that has joined."""
        key = (asyncio.get_running_loop(), proxy)
        kept = self._kept[key]
        kept.users -= 1
        if not kept.users:
            # First, since meanwhile somebody may join.
            del self._kept[key]
            await kept.end()


def _connector(proxy: str | None) -> Kept:
    options: dict[str, Any] = {
        "limit": 0,
        "limit_per_host": 0,
        "keepalive_timeout": KEEP_ALIVE,
    }
    return cast(Kept, KeptProxied.from_url(proxy, **options)) if proxy else Kept(**options)


def connections() -> Connections:
    """Return the one that g4f's classes use; where none is in place yet, put it there."""
    from g4f.requests import aiohttp as shared  # noqa: PLC0415 (not before its home is set)

    if not isinstance(shared.get_connector, Connections):
        shared.get_connector = Connections(shared.get_connector)
    return shared.get_connector
