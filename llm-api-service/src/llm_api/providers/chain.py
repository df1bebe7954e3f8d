"""The chain: who is asked for a model, in which order, and for how long."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from http import HTTPStatus

from llm_api.chat_request import ChatRequest
from llm_api.errors import ApiError
from llm_api.providers import sse
from llm_api.providers.base import Answer, Provider, ProviderError, RefusedError
from llm_api.providers.breaker import Breaker

logger = logging.getLogger(__name__)

RETRY_AFTER = 5
MODELS_NAMED = 5


@dataclass
class _Link:
    """A provider in the chain: its breaker, and how many requests it has."""

    provider: Provider
    breaker: Breaker
    under_way: int = 0

    @property
    def full(self) -> bool:
        limit = self.provider.config.max_concurrency
        return 0 < limit <= self.under_way


@dataclass(frozen=True)
class Routed:
    """An answer that has begun, and who gives it."""

    provider: str
    model: str
    answer: Answer


class Chain:
    """Asks providers one after the other until one begins to answer."""

    def __init__(self, providers: Sequence[Provider]) -> None:
        """Ask `providers` in their order."""
        self._links = [_Link(provider, Breaker()) for provider in providers]

    def models(self) -> list[tuple[str, str]]:
        """Return the models that can be asked for, each with its first provider, in order."""
        models: dict[str, str] = {}
        for link in self._links:
            for model in link.provider.models:
                models.setdefault(model, link.provider.config.name)
        return list(models.items())

    async def open(self, request: ChatRequest) -> Routed:
        """Return the first answer that begins in time.

        After its first byte no other provider is tried: a stream that breaks then ends with an
        error event.

        Raises:
            ApiError: 404 for a model that nobody has, 400 for a parameter that nobody honours,
                429 if all were busy, 504 if none answered.
            RefusedError: a provider refused the request itself.
        """
        reasons: list[str] = []
        busy = True
        for link, model in self._candidates(request):
            name = link.provider.config.name
            if link.full:
                reasons.append(f"{name}: busy")
                continue
            if not link.breaker.allow():
                reasons.append(f"{name}: failed repeatedly, left alone for a moment")
                busy = False
                continue
            try:
                return Routed(name, model, await self._ask(link, request, model))
            except ProviderError as error:
                reasons.append(f"{name}: {error}")
                busy = busy and error.status == HTTPStatus.TOO_MANY_REQUESTS
                logger.warning("provider failed", extra={"fields": _fields(name, model, error)})
        tried = "; ".join(reasons)
        if busy:
            raise ApiError(
                429,
                f"All providers are busy ({tried}).",
                code="providers_busy",
                retry_after=RETRY_AFTER,
            )
        # Not 502 or 503: these would make the gateway ask the other replicas, which have the same
        # providers, and take this one for a sick one.
        raise ApiError(
            504,
            f"No provider answered ({tried}).",
            code="provider_unavailable",
            retry_after=RETRY_AFTER,
        )

    def _candidates(self, request: ChatRequest) -> list[tuple[_Link, str]]:
        """Return who may be asked, each with the model to ask for."""
        having = []
        for link in self._links:
            model = request.model or link.provider.default_model
            if model and (not link.provider.models or model in link.provider.models):
                having.append((link, model))
        if not having:
            names = [model for model, _ in self.models()]
            some = ", ".join(names[:MODELS_NAMED])
            more = f" and {len(names) - MODELS_NAMED} more" if len(names) > MODELS_NAMED else ""
            raise ApiError(
                404,
                f"The model {request.model[:100]} does not exist here. Available: {some}{more} "
                "(GET /v1/models lists all).",
                code="model_not_found",
                param="model",
            )
        able = [(link, m) for link, m in having if not link.provider.unsupported(request)]
        if not able:
            param = having[0][0].provider.unsupported(request)
            raise ApiError(
                400,
                f"No provider of this model supports {param}.",
                code="unsupported_parameter",
                param=param,
            )
        return able

    async def _ask(self, link: _Link, request: ChatRequest, model: str) -> Answer:
        config = link.provider.config
        deadline = asyncio.get_running_loop().time() + config.deadline
        link.under_way += 1
        try:
            # A whole answer takes as long as it takes; a stream must begin.
            patience = config.first_chunk_timeout if request.stream else config.deadline
            async with asyncio.timeout(min(patience, config.deadline)):
                answer = await link.provider.open(request, model)
        except TimeoutError:
            link.breaker.failed()
            link.under_way -= 1
            raise ProviderError("no answer in time") from None
        except ProviderError:
            link.breaker.failed()
            link.under_way -= 1
            raise
        except RefusedError:
            link.breaker.succeeded()
            link.under_way -= 1
            raise
        except BaseException:
            link.breaker.abandoned()
            link.under_way -= 1
            raise
        link.breaker.succeeded()
        return Answer(answer.content_type, answer.first, self._until(deadline, answer.rest, link))

    async def _until(
        self, deadline: float, rest: AsyncGenerator[bytes, None], link: _Link
    ) -> AsyncGenerator[bytes, None]:
        """Yield `rest`, but not beyond `deadline`, and then let the provider have the next."""
        try:
            async with aclosing(rest) as chunks:
                while True:
                    async with asyncio.timeout_at(deadline):
                        chunk = await anext(chunks, None)
                    if chunk is None:
                        return
                    yield chunk
        except TimeoutError:
            name = link.provider.config.name
            yield sse.broken(f"The provider {name} took longer than its deadline.")
        finally:
            link.under_way -= 1

    async def close(self) -> None:
        """Close all providers."""
        for link in self._links:
            await link.provider.close()


def _fields(provider: str, model: str, error: ProviderError) -> dict[str, str]:
    return {"provider": provider, "model": model, "reason": str(error)}
