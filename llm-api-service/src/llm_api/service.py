"""What the routes use: the configuration, the providers, and a limit on answers under way."""

from __future__ import annotations

import threading
import time
from http import HTTPStatus
from typing import cast

from flask import current_app

from llm_api.allowed import Allowed
from llm_api.bridge import Loop, Stream
from llm_api.caller import Caller, current_caller
from llm_api.config import Config
from llm_api.errors import ApiError
from llm_api.meter import size_of
from llm_api.operations import Request
from llm_api.providers.base import RefusedError, Routed
from llm_api.providers.registry import build
from llm_api.settings import Settings
from llm_api.state import State, UsageEntry

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
        self._chain = build(config.settings, config.egress_proxy)
        self._places = threading.BoundedSemaphore(config.max_streams)
        self._loop: Loop | None = None

    def start(self) -> None:
        """Start the state and the provider loop, in the process that handles requests.

        Raises:
            StateError: the database cannot be reached or used.
        """
        self.state.start()
        self._loop = Loop()
        self._loop.run(self._chain.start())

    def close(self) -> None:
        """Close the providers, stop the loop, and write what the state still has to."""
        if self._loop:
            self._loop.run(self._chain.close())
            self._loop.stop()
            self._loop = None
        self.state.stop()

    @property
    def settings(self) -> Settings:
        """The settings that hold now."""
        return self.state.snapshot.settings

    @property
    def ready(self) -> bool:
        """Whether requests can be answered."""
        return self._loop is not None and self._loop.alive

    def check(self, settings: Settings) -> None:
        """Check that the providers could follow `settings`.

        Raises:
            ConfigError: none of them can be used, or none has the default model.
        """
        build(settings, self.config.egress_proxy)

    def models(self) -> list[tuple[str, str]]:
        """Return the models that can be asked for, each with its first provider."""
        return self._chain.models()

    def chat(self, request: Request) -> Stream:
        """Return the answer to `request`, which has begun. It must be closed.

        Raises:
            ApiError: nobody answered, or too many answers are under way.
            RefusedError: a provider refused the request.
        """
        begun = time.monotonic()
        caller = current_caller()
        try:
            stream = self._open(request, caller.allowed)
        except (ApiError, RefusedError) as error:
            # Without the model: that is whatever the client has written.
            self._note(caller, error.status, begun)
            raise
        first, asked = time.monotonic(), size_of(request)

        def ended() -> None:
            tokens = stream.meter.tokens(request, asked)
            routed = stream.routed
            self._note(caller, HTTPStatus.OK, begun, routed=routed, first=first, tokens=tokens)

        stream.then(ended)
        return stream

    def _open(self, request: Request, allowed: Allowed) -> Stream:
        if not self._loop:
            raise ApiError(503, "This replica has not started yet.", retry_after=RETRY_AFTER)
        if not self._places.acquire(blocking=False):
            raise ApiError(
                503,
                "This replica has as many answers under way as it may. Try again shortly.",
                code="too_many_streams",
                retry_after=RETRY_AFTER,
            )
        return self._loop.stream(self._chain.open(request, allowed), self._places.release)

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


def current_service() -> Service:
    """Return the service of the application that handles the current request."""
    return cast(Service, current_app.extensions[EXTENSION])
