"""The chain: who is asked for a model, in which order, and for how long."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus

from llm_api.allowed import EVERYTHING, Allowed
from llm_api.errors import ApiError
from llm_api.operations import Operation, Request
from llm_api.providers import sse
from llm_api.providers.base import Answer, Provider, ProviderError, RefusedError, Routed
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
    def name(self) -> str:
        return self.provider.config.name

    @property
    def full(self) -> bool:
        limit = self.provider.config.max_concurrency
        return 0 < limit <= self.under_way

    def model_for(self, wanted: str, operation: Operation = Operation.CHAT) -> str:
        """Return the model to ask for; empty if this provider does not have it for that."""
        if operation not in self.provider.operations:
            return ""
        models = self.provider.models_for(operation)
        model = wanted or self.provider.default_for(operation)
        return model if not models or model in models else ""

    def enter(self, stack: AsyncExitStack) -> None:
        """Count one more request until `stack` is left."""

        def leave() -> None:
            self.under_way -= 1

        self.under_way += 1
        stack.callback(leave)


class Chain:
    """Asks providers one after the other until one begins to answer."""

    def __init__(self, providers: Sequence[Provider]) -> None:
        """Ask `providers` in their order."""
        self._links = [_Link(provider, Breaker()) for provider in providers]

    async def start(self) -> None:
        """Get all providers ready, on the running loop."""
        for link in self._links:
            await link.provider.start()

    async def close(self) -> None:
        """Close all providers."""
        for link in self._links:
            await link.provider.close()

    def models(self) -> list[tuple[str, str]]:
        """Return the models that can be asked for, each with its first provider, in order."""
        models: dict[str, str] = {}
        for link in self._links:
            for model in link.provider.models:
                models.setdefault(model, link.name)
        return list(models.items())

    def models_of(self, provider: str) -> tuple[str, ...]:
        """Return the models that `provider` may be asked for; none if there is no such provider."""
        return next((link.provider.models for link in self._links if link.name == provider), ())

    def has(self, model: str) -> bool:
        """Return whether some provider may be asked for `model`."""
        return any(link.model_for(model) for link in self._links)

    @asynccontextmanager
    async def open(self, request: Request, allowed: Allowed = EVERYTHING) -> AsyncIterator[Routed]:
        """Enter the first answer that begins in time; leaving ends the provider's call.

        After its first byte no other provider is tried: a stream that breaks then ends with an
        error event.

        Raises:
            ApiError: 404 for a model that nobody has, 403 for one that is not `allowed`, 400 for
                a parameter that nobody honours, 429 if all were busy, 504 if none answered.
            RefusedError: a provider refused the request itself.
        """
        reasons: list[str] = []
        busy = True
        for link, model in self._candidates(request, allowed):
            if link.full:
                reasons.append(f"{link.name}: busy")
                continue
            if not link.breaker.allow():
                reasons.append(f"{link.name}: failed repeatedly, left alone for a moment")
                busy = False
                continue
            async with AsyncExitStack() as stack:
                link.enter(stack)
                end = asyncio.get_running_loop().time() + link.provider.config.deadline
                try:
                    answer = await _begin(stack, link, request, model)
                except ProviderError as error:
                    reasons.append(f"{link.name}: {error}")
                    busy = busy and error.status == HTTPStatus.TOO_MANY_REQUESTS
                    _log("provider failed", link, model, error)
                    continue
                rest = _rest(answer, end, link, model)
                yield Routed(link.name, model, Answer(answer.content_type, answer.first, rest))
                return
        raise _nobody("; ".join(reasons), busy=busy)

    def _candidates(self, request: Request, allowed: Allowed) -> list[tuple[_Link, str]]:
        """Return who may be asked, each with the model to ask for."""
        wanted, operation = request.model, request.operation
        having = [(link, m) for link in self._links if (m := link.model_for(wanted, operation))]
        if not having:
            raise self._nobody_has(wanted, operation)
        having = [(link, m) for link, m in having if allowed.allows(link.name, m, wanted)]
        if not having:
            message = f"This token may not ask for {wanted[:100] or 'the default model'}."
            raise ApiError(403, message, code="model_not_allowed", param="model")
        able = [(link, m) for link, m in having if not link.provider.unsupported(request)]
        if not able:
            param = having[0][0].provider.unsupported(request)
            message = f"No provider of this model supports {param}."
            raise ApiError(400, message, code="unsupported_parameter", param=param)
        return able

    def _nobody_has(self, model: str, operation: Operation) -> ApiError:
        """Return the error for a `model`, empty for the default, that nobody has for that."""
        doing = [link.provider for link in self._links if operation in link.provider.operations]
        if not doing:
            message = f"No provider here does {operation}."
            return ApiError(400, message, code="unsupported_operation")
        if not model:
            message = f"No provider has a default model for {operation}: name one (GET /v1/models)."
            return ApiError(400, message, code="model_required", param="model")
        if any(model in link.provider.models for link in self._links):
            names = dict.fromkeys(name for p in doing for name in p.models_for(operation))
            message = f"The model {model[:100]} does no {operation}. {_some(list(names))}"
            return ApiError(400, message, code="unsupported_operation", param="model")
        return self._unknown(model)

    def _unknown(self, model: str) -> ApiError:
        names = [name for name, _ in self.models()]
        return ApiError(
            404,
            f"The model {model[:100]} does not exist here. {_some(names)}",
            code="model_not_found",
            param="model",
        )


def _some(models: Sequence[str]) -> str:
    """Return a sentence that names some of `models`."""
    some = ", ".join(models[:MODELS_NAMED])
    more = f" and {len(models) - MODELS_NAMED} more" if len(models) > MODELS_NAMED else ""
    return f"Available: {some}{more} (GET /v1/models lists all)."


async def _begin(stack: AsyncExitStack, link: _Link, request: Request, model: str) -> Answer:
    """Return an answer that has begun, and tell the breaker how it went."""
    config = link.provider.config
    # A whole answer takes as long as it takes; a stream must begin.
    patience = config.first_chunk_timeout if request.stream else config.deadline
    try:
        async with asyncio.timeout(min(patience, config.deadline)):
            answer = await stack.enter_async_context(link.provider.open(request, model))
    except TimeoutError:
        link.breaker.failed()
        raise ProviderError("no answer in time") from None
    except ProviderError:
        link.breaker.failed()
        raise
    except RefusedError:
        link.breaker.succeeded()
        raise
    except BaseException:
        link.breaker.abandoned()
        raise
    link.breaker.succeeded()
    return answer


async def _rest(answer: Answer, end: float, link: _Link, model: str) -> AsyncGenerator[bytes, None]:
    """Yield the rest of `answer` up to the loop's time `end`, and an error where it breaks."""
    try:
        async with aclosing(answer.rest) as chunks:
            while True:
                async with asyncio.timeout_at(end):
                    chunk = await anext(chunks, None)
                if chunk is None:
                    return
                yield chunk
    except TimeoutError:
        problem = "took longer than its deadline"
    except ProviderError as error:
        problem = f"broke off its answer: {error}"
    except Exception:  # whatever it was, the client must see that this is not the end
        logger.exception("answer failed")
        problem = "broke off its answer"
    link.breaker.failed()
    _log("answer broke off", link, model, problem)
    yield sse.broken(f"The provider {link.name} {problem}.")


def _nobody(tried: str, *, busy: bool) -> ApiError:
    if busy:
        message, code = f"All providers are busy ({tried}).", "providers_busy"
        return ApiError(429, message, code=code, retry_after=RETRY_AFTER)
    # Not 502 or 503: these would make the gateway ask the other replicas, which have the same
    # providers, and take this one for a sick one.
    message, code = f"No provider answered ({tried}).", "provider_unavailable"
    return ApiError(504, message, code=code, retry_after=RETRY_AFTER)


def _log(event: str, link: _Link, model: str, reason: object) -> None:
    fields = {"provider": link.name, "model": model, "reason": str(reason)}
    logger.warning(event, extra={"fields": fields})
