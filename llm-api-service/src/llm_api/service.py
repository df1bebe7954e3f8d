"""What the routes use: the configuration, the providers, and a limit on answers under way."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import cast

import aiohttp
from flask import current_app

from llm_api.bridge import Loop, Stream
from llm_api.chat_request import ChatRequest
from llm_api.config import Config
from llm_api.errors import ApiError
from llm_api.providers.base import Answer
from llm_api.providers.chain import Chain, Routed
from llm_api.providers.openai import new_session
from llm_api.providers.registry import build

logger = logging.getLogger(__name__)

EXTENSION = "llm_api"
RETRY_AFTER = 1


class Service:
    """The service of one process."""

    def __init__(self, config: Config) -> None:
        """Start the provider loop and build the chain of `config`.

        Raises:
            ConfigError: no provider can be used.
        """
        self.config = config
        self._places = threading.BoundedSemaphore(config.max_streams)
        self._loop = Loop()
        try:
            self._session, self._chain = self._loop.run(self._start())
        except BaseException:
            self._loop.stop()
            raise

    async def _start(self) -> tuple[aiohttp.ClientSession, Chain]:
        session = new_session()
        try:
            return session, build(self.config, session)
        except BaseException:
            await session.close()
            raise

    @property
    def ready(self) -> bool:
        """Whether requests can be answered."""
        return self._loop.alive

    def models(self) -> list[tuple[str, str]]:
        """Return the models that can be asked for, each with its first provider."""
        return self._chain.models()

    def chat(self, request: ChatRequest) -> tuple[Routed, Stream]:
        """Return an answer that has begun, and its bytes. They must be closed.

        Raises:
            ApiError: nobody answered, or too many answers are under way.
            RefusedError: a provider refused the request.
        """
        if not self._places.acquire(blocking=False):
            raise ApiError(
                503,
                "This replica has as many answers under way as it may. Try again shortly.",
                code="too_many_streams",
                retry_after=RETRY_AFTER,
            )
        start = time.monotonic()
        try:
            routed = self._loop.run(self._chain.open(request))
        except BaseException:
            self._places.release()
            raise

        def on_close() -> None:
            self._places.release()
            fields = {
                "provider": routed.provider,
                "model": routed.model,
                "stream": request.stream,
                "seconds": round(time.monotonic() - start, 3),
            }
            logger.debug("answer ended", extra={"fields": fields})

        return routed, self._loop.iterate(_all(routed.answer), on_close)

    def close(self) -> None:
        """Close the providers and stop the loop."""
        self._loop.run(self._chain.close())
        self._loop.run(self._session.close())
        self._loop.stop()


async def _all(answer: Answer) -> AsyncGenerator[bytes, None]:
    yield answer.first
    async with aclosing(answer.rest) as rest:
        async for chunk in rest:
            yield chunk


def current_service() -> Service:
    """Return the service of the application that handles the current request."""
    return cast(Service, current_app.extensions[EXTENSION])
