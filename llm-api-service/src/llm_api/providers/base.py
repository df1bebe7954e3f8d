"""What a provider is, and what it says."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from yarl import URL

from llm_api.config import ProviderConfig
from llm_api.operations import Operation, Request
from llm_api.sink import Sink


class ProviderError(Exception):
    """A provider failed, through no fault of the request. Before it began, the next may answer."""

    def __init__(self, reason: str, status: int | None = None) -> None:
        """Say why, briefly and without secrets, and with the provider's HTTP status if any."""
        super().__init__(reason)
        self.status = status


class RefusedError(Exception):
    """A provider refused the request itself; every other would, too. The answer is the client's."""

    def __init__(self, status: int, body: bytes) -> None:
        """Keep the provider's answer: its HTTP status, and a JSON body in OpenAI's shape."""
        super().__init__(f"status {status}")
        self.status = status
        self.body = body
        self.provider = ""
        """Who it was, which the chain knows."""


Rest = Callable[[Sink], Awaitable[None]]
"""Gives all that follows to a sink. Raises ProviderError where the provider breaks off."""


@dataclass(frozen=True)
class Answer:
    """An answer that has begun, in OpenAI's format: a JSON object, or the events of a stream.

    Each piece of it holds whole events only. An answer that is whole has no rest.
    """

    content_type: str
    first: bytes
    rest: Rest | None = None


@dataclass(frozen=True)
class Routed:
    """An answer that has begun, and who gives it."""

    provider: str
    model: str
    answer: Answer


@dataclass(frozen=True)
class Way:
    """How a server outside the cluster is reached."""

    url: URL
    proxy: URL | None = None


class Provider(Protocol):
    """Somebody who answers requests."""

    config: ProviderConfig

    @property
    def way(self) -> Way | None:
        """How it is reached, if it is outside the cluster and that is known."""

    @property
    def operations(self) -> frozenset[Operation]:
        """What it can be asked to do."""

    @property
    def models(self) -> tuple[str, ...]:
        """All that it may be asked for; empty means anything."""

    def models_for(self, operation: Operation) -> tuple[str, ...]:
        """Return what it may be asked for to do that; empty means anything."""

    def default_for(self, operation: Operation) -> str:
        """Return the model that is asked where a request names none; empty if there is none."""

    def unsupported(self, request: Request) -> str | None:
        """Return the name of a parameter of `request` that it cannot honour."""

    async def start(self) -> None:
        """Get ready, on the loop on which it will be asked."""

    def open(self, request: Request, model: str) -> AbstractAsyncContextManager[Answer]:
        """Enter the answer to `request` by `model` once its first bytes are here.

        Leaving ends the call, wherever it is, and gives back its connection.

        Raises:
            ProviderError: another provider may answer.
            RefusedError: no provider would.
        """

    async def close(self) -> None:
        """Give back what `start` took."""
