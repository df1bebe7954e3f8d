"""What the routes use: the configuration, the providers, and a limit on answers under way."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from contextlib import AbstractAsyncContextManager
from http import HTTPStatus
from typing import cast

from flask import current_app

from llm_api.caller import Caller, current_caller
from llm_api.config import Config, ConfigError
from llm_api.errors import ApiError
from llm_api.meter import size_of
from llm_api.operations import Request
from llm_api.providers.base import RefusedError, Routed
from llm_api.providers.pool import Pool
from llm_api.providers.registry import plan, relevant
from llm_api.providers.status import ProviderStatus
from llm_api.settings import Settings
from llm_api.state import Snapshot, State, UsageEntry
from llm_api.stream import Stream

logger = logging.getLogger(__name__)

EXTENSION = "llm_api"
RETRY_AFTER = 1


class Service:
    """The service of one process."""

    def __init__(self, config: Config) -> None:
        """Build the chain of `config`. Nothing runs before `start`.

        Raises:
            ConfigError: no provider can be used.
        """
        self.config = config
        self.state = State(config)
        # What the environment wants must do, whatever is stored.
        self._plan = plan(config.settings, config.egress_proxy)
        self._followed = relevant(config.settings)
        self._following = threading.Lock()
        self._pool = Pool()
        self._under_way = 0
        self._loop: asyncio.AbstractEventLoop | None = None

    async def start(self) -> None:
        """Start the state and the providers, on the loop on which requests are answered.

        Raises:
            StateError: the database cannot be reached or used.
        """
        await asyncio.to_thread(self.state.start)
        await self._pool.adopt(self._plan)
        self._loop = asyncio.get_running_loop()
        self.state.on_change(self._follow)
        await asyncio.to_thread(self._follow, self.state.snapshot)

    async def close(self) -> None:
        """Close the providers, and write what the state still has to."""
        # Its thread may be about to follow a change, for which it needs this loop.
        await asyncio.to_thread(self.state.stop)
        if self._loop:
            self._loop = None
            await self._pool.close()

    def _follow(self, _: Snapshot) -> None:
        """Let the providers be as the settings want them now, if they can. Not on the loop."""
        with self._following:
            settings = self.settings
            if not self._loop or relevant(settings) == self._followed:
                return
            self._followed = relevant(settings)
            try:
                wanted = plan(settings, self.config.egress_proxy)
                asyncio.run_coroutine_threadsafe(self._pool.adopt(wanted), self._loop).result()
            except ConfigError as error:
                logger.error("the providers stay as they were: %s", error)  # noqa: TRY400
            else:
                logger.info("the providers follow the settings")

    @property
    def settings(self) -> Settings:
        """The settings that hold now."""
        return self.state.snapshot.settings

    @property
    def ready(self) -> bool:
        """Whether requests can be answered."""
        return self._loop is not None

    def check(self, settings: Settings) -> None:
        """Check that the providers could follow `settings`.

        Raises:
            ConfigError: none of them can be used, or none has the default model.
        """
        plan(settings, self.config.egress_proxy)

    def models(self) -> list[tuple[str, str]]:
        """Return the models that can be asked for, each with its first provider."""
        return self._pool.models()

    def providers(self) -> list[ProviderStatus]:
        """Return how the providers do, in the order in which they are asked. Not on the loop."""
        if not self._loop:
            return []
        return asyncio.run_coroutine_threadsafe(self._pool.statuses(), self._loop).result()

    def models_of(self, provider: str) -> tuple[str, ...]:
        """Return the models that `provider` may be asked for; none if there is no such provider."""
        return self._pool.models_of(provider)

    async def chat(self, request: Request) -> Stream:
        """Return the answer to `request`, which has begun. It must be closed.

        Raises:
            ApiError: nobody answered, or too many answers are under way.
            RefusedError: a provider refused the request.
        """
        begun = time.monotonic()
        caller = current_caller()
        try:
            routed = await self._open(opening := self._pool.open(request, caller.allowed))
        except (ApiError, RefusedError) as error:
            # Without the model: that is whatever the client has written.
            self._note(caller, error.status, begun)
            raise
        first, asked = time.monotonic(), size_of(request)

        def ended(stream: Stream) -> None:
            self._under_way -= 1
            tokens = stream.meter.tokens(request, asked)
            self._note(caller, HTTPStatus.OK, begun, routed=routed, first=first, tokens=tokens)

        return Stream(opening, routed, ended)

    async def _open(self, opening: AbstractAsyncContextManager[Routed]) -> Routed:
        """Enter `opening` and take one of the places, which has to be given back, for it."""
        if not self._loop:
            raise ApiError(503, "This replica has not started yet.", retry_after=RETRY_AFTER)
        if self._under_way >= self.config.max_streams:
            raise ApiError(
                503,
                "This replica has as many answers under way as it may. Try again shortly.",
                code="too_many_streams",
                retry_after=RETRY_AFTER,
            )
        self._under_way += 1
        try:
            return await opening.__aenter__()
        except BaseException:
            self._under_way -= 1
            raise

    def _note(
        self,
        caller: Caller,
        status: int,
        begun: float,
        *,
        routed: Routed | None = None,
        first: float | None = None,
        tokens: tuple[int, int] = (0, 0),
    ) -> None:
        now = time.monotonic()
        entry = UsageEntry(
            token_id=caller.token.id if caller.token else 0,
            model=routed.model if routed else "",
            provider=routed.provider if routed else "",
            status=status,
            prompt_tokens=tokens[0],
            completion_tokens=tokens[1],
            seconds=now - begun,
            first_byte_seconds=(now if first is None else first) - begun,
        )
        self.state.usage.note(entry)


def current_settings() -> Settings:
    """Return the settings that hold now for whoever has sent the current request."""
    return current_caller().settings(current_service().settings)


def current_service() -> Service:
    """Return the service of the application that handles the current request."""
    return cast(Service, current_app.extensions[EXTENSION])
