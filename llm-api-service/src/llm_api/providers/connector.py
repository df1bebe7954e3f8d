"""Connections to providers, which outlive the requests that they are made for."""

from __future__ import annotations

import asyncio
from contextvars import Context
from typing import Any

import aiohttp
from aiohttp.client_proto import ResponseHandler

# Seconds that an idle connection is kept.
KEEP_ALIVE = 30.0


class Connector(aiohttp.TCPConnector):
    """A connector without limits: the chain has its own."""

    def __init__(self) -> None:
        """Belong to the running loop."""
        super().__init__(limit=0, limit_per_host=0, keepalive_timeout=KEEP_ALIVE)

    async def _create_connection(self, *args: Any, **kwargs: Any) -> ResponseHandler:
        """Connect away from the context of the current request.

        A connection keeps the context that it was made in, and with it the request, for as long
        as it is kept itself.
        """
        connecting = super()._create_connection(*args, **kwargs)
        return await asyncio.get_running_loop().create_task(connecting, context=Context())
