"""What an OpenAI-compatible server says it has, asked for in the background now and then."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping
from http import HTTPStatus

from yarl import URL

from llm_api.http_client import HttpError, Origin

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

    def __init__(self, name: str, origin: Origin, url: URL, headers: Mapping[str, str]) -> None:
        """Ask `origin` for `url`, with `headers`; the provider's `name` is for the log."""
        self._name = name
        self._origin = origin
        self._head = origin.head("GET", url, headers)
        self.models: tuple[str, ...] = ()
        """Empty until the server has said."""

    async def follow(self) -> None:
        """Keep the list fresh for ever."""
        told = ""
        while True:
            problem = await self._fetch()
            # One that has no such list says so each time.
            if problem and problem != told:
                fields = {"provider": self._name, "reason": problem}
                logger.warning("no list of models", extra={"fields": fields})
            told = problem
            await asyncio.sleep(AGAIN if self.models else RETRY)

    async def _fetch(self) -> str:
        """Take the server's list, and return why that was not possible."""
        try:
            async with asyncio.timeout(TIMEOUT):
                response = await self._origin.ask(self._head)
                try:
                    if response.status != HTTPStatus.OK:
                        return f"status {response.status}"
                    body = b""
                    while chunk := await response.read():
                        body += chunk
                        if len(body) > LARGEST:
                            return "a list that is too large"
                finally:
                    response.close()
        except TimeoutError:
            return "no list in time"
        except HttpError as error:
            return str(error)
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
