"""What an OpenAI-compatible server says it has, asked for in the background now and then."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping
from http import HTTPStatus

import aiohttp

from llm_api.config import ProviderConfig

logger = logging.getLogger(__name__)

TIMEOUT = 10.0
"""Seconds that an answer may take."""
AGAIN = 300.0
"""Seconds from one list to the next, which may have new models."""
RETRY = 30.0
"""Seconds to the next try where there is no list yet."""
LARGEST = 4 * 1024 * 1024
MOST = 5000
LONGEST_NAME = 200


class ModelList:
    """The models of a server; the last known ones while it does not answer."""

    def __init__(
        self, config: ProviderConfig, headers: Mapping[str, str], proxy: str | None
    ) -> None:
        """Ask the server of `config`, with `headers` and through `proxy` if there is one."""
        self._name = config.name
        self._url = f"{config.base_url.rstrip('/')}/models"
        self._headers = headers
        self._proxy = proxy
        self.models: tuple[str, ...] = ()
        """Empty until the server has said."""

    async def follow(self, session: aiohttp.ClientSession) -> None:
        """Keep the list fresh for ever."""
        told = ""
        while True:
            problem = await self._fetch(session)
            # One that has no such list says so each time.
            if problem and problem != told:
                fields = {"provider": self._name, "reason": problem}
                logger.warning("no list of models", extra={"fields": fields})
            told = problem
            await asyncio.sleep(AGAIN if self.models else RETRY)

    async def _fetch(self, session: aiohttp.ClientSession) -> str:
        """Take the server's list, and return why that was not possible."""
        try:
            async with (
                asyncio.timeout(TIMEOUT),
                session.get(
                    self._url, headers=self._headers, proxy=self._proxy, allow_redirects=False
                ) as response,
            ):
                if response.status != HTTPStatus.OK:
                    return f"status {response.status}"
                body = b""
                while chunk := await response.content.readany():
                    body += chunk
                    if len(body) > LARGEST:
                        return "a list that is too large"
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return type(error).__name__
        if not (names := _names(body)):
            return "a list without models"
        self.models = names
        return ""


def _names(body: bytes) -> tuple[str, ...]:
    """Return the names in a list of models; those that could not be asked for are left out."""
    try:
        entries = json.loads(body)["data"]
        names = [entry["id"] for entry in entries[:MOST]]
    except (ValueError, LookupError, TypeError, RecursionError):
        return ()
    good = (n for n in names if isinstance(n, str) and 0 < len(n) <= LONGEST_NAME)
    return tuple(dict.fromkeys(name for name in good if name.isprintable()))
