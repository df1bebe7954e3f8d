"""The chain: who is asked for a model, in which order, and for how long."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from http import HTTPStatus

from llm_api.allowed import EVERYTHING, Allowed
from llm_api.errors import ApiError
from llm_api.operations import Operation, Request
from llm_api.providers import sse
from llm_api.providers.base import Answer, ProviderError, RefusedError, Rest, Routed
from llm_api.providers.link import Call, Link
from llm_api.providers.turns import Candidate, in_turn, neighbourly
from llm_api.providers.way_out import WayOut
from llm_api.sink import Sink

logger = logging.getLogger(__name__)

RETRY_AFTER = 5
MODELS_NAMED = 5
BUSY = "busy"


class Chain:
    """Asks providers one after the other until one begins to answer.

    It never changes: other settings make another chain, which may have the same links.
    """

    def __init__(
        self, links: Sequence[tuple[Link, int]], aliases: Mapping[str, str], way_out: WayOut
    ) -> None:
        """Ask `links`, each with its weight, in their order, unless they are where no way leads.

        `aliases` has what the providers call a model that clients call something else.
        """
        self.links = [link for link, _ in links]
        self._places = neighbourly(links)
        self._shared = any(weight for _, weight in links)
        self._aliases = aliases
        self._way_out = way_out
        self._answering = 0
        self._unused = asyncio.Event()
        self._unused.set()

    async def unused(self) -> None:
        """Wait until no answer is under way."""
        await self._unused.wait()

    def models(self) -> list[tuple[str, str]]:
        """Return the models that can be asked for, each with its first provider, in order."""
        models: dict[str, str] = {}
        for link in self.links:
            for model in link.provider.models:
                models.setdefault(model, link.name)
        for alias, model in self._aliases.items():
            if first := self._first_with(model):
                models[alias] = first.name
        return list(models.items())

    def models_of(self, provider: str) -> tuple[str, ...]:
        """Return the models that `provider` may be asked for; none if there is no such provider."""
        return next((link.provider.models for link in self.links if link.name == provider), ())

    def has(self, model: str) -> bool:
        """Return whether some provider may be asked for `model`."""
        return self._first_with(self._aliases.get(model, model)) is not None

    def _first_with(self, model: str) -> Link | None:
        return next((link for link in self.links if link.model_for(model)), None)

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
        self._answering += 1
        self._unused.clear()
        try:
            for place, model in self._candidates(request, allowed):
                link = place.link
                if reason := self._passed_over(link):
                    reasons.append(f"{link.name}: {reason}")
                    busy = busy and reason is BUSY
                    continue
                with link.call() as call:
                    end = asyncio.get_running_loop().time() + link.provider.config.deadline
                    opening = link.provider.open(request, model)
                    try:
                        answer = await self._begin(opening, link, call, request)
                    except ProviderError as error:
                        reasons.append(f"{link.name}: {error}")
                        busy = busy and error.status == HTTPStatus.TOO_MANY_REQUESTS
                        _log("provider failed", link, model, error)
                        continue
                    try:
                        if answer.rest is not None:
                            rest = partial(_rest, answer.rest, call, model, end)
                            answer = Answer(answer.content_type, answer.first, rest)
                        yield Routed(link.name, model, answer)
                    finally:
                        await opening.__aexit__(None, None, None)
                    return
            raise _nobody("; ".join(reasons), busy=busy)
        finally:
            self._answering -= 1
            if not self._answering:
                self._unused.set()

    def _ready(self, link: Link) -> bool:
        """Return whether `link` can be asked now."""
        return link.ready and not (link.outside and self._way_out.gone)

    def _passed_over(self, link: Link) -> str:
        """Return why `link` is not asked now; empty if it is, and then it has to be."""
        if link.outside and self._way_out.gone:
            return "offline"
        if link.full:
            return BUSY
        return "" if link.breaker.allow() else "failed repeatedly, left alone for a moment"

    async def _begin(
        self,
        opening: AbstractAsyncContextManager[Answer],
        link: Link,
        call: Call,
        request: Request,
    ) -> Answer:
        """Enter `opening`, and return the answer that has begun, having noted how it went."""
        config = link.provider.config
        # A whole answer takes as long as it takes; a stream must begin.
        patience = config.first_chunk_timeout if request.stream else config.deadline
        try:
            async with asyncio.timeout(min(patience, config.deadline)) as limit:
                if link.outside:
                    with self._way_out.watched(limit):
                        answer = await opening.__aenter__()
                    self._way_out.seen()
                else:
                    answer = await opening.__aenter__()
        except (TimeoutError, ProviderError) as error:
            if link.outside and self._way_out.gone:
                call.abandoned()
                raise ProviderError("offline") from None
            reason = "no answer in time" if isinstance(error, TimeoutError) else str(error)
            call.failed(reason)
            if link.outside:
                self._way_out.doubt()
            raise ProviderError(reason, getattr(error, "status", None)) from None
        except RefusedError as refusal:
            call.refused()
            refusal.provider = link.name
            raise
        except BaseException:
            call.abandoned()
            raise
        call.began()
        return answer

    def _candidates(self, request: Request, allowed: Allowed) -> Iterable[Candidate]:
        """Return who may be asked, each with the model to ask for, in the order to ask them."""
        asked, operation = request.model, request.operation
        wanted = self._aliases.get(asked, asked)
        having = [(p, m) for p in self._places if (m := p.link.model_for(wanted, operation))]
        if not having:
            raise self._nobody_has(wanted, operation)
        having = [(p, m) for p, m in having if allowed.allows(p.link.name, m, asked)]
        if not having:
            message = f"This token may not ask for {asked[:100] or 'the default model'}."
            raise ApiError(403, message, code="model_not_allowed", param="model")
        able = [(p, m) for p, m in having if not p.link.provider.unsupported(request)]
        if not able:
            param = having[0][0].link.provider.unsupported(request)
            message = f"No provider of this model supports {param}."
            raise ApiError(400, message, code="unsupported_parameter", param=param)
        return in_turn(able, self._ready) if self._shared else able

    def _nobody_has(self, model: str, operation: Operation) -> ApiError:
        """Return the error for a `model`, empty for the default, that nobody has for that."""
        doing = [link.provider for link in self.links if operation in link.provider.operations]
        if not doing:
            message = f"No provider here does {operation}."
            return ApiError(400, message, code="unsupported_operation")
        if not model:
            message = f"No provider has a default model for {operation}: name one (GET /v1/models)."
            return ApiError(400, message, code="model_required", param="model")
        if any(model in link.provider.models for link in self.links):
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


async def _rest(rest: Rest, call: Call, model: str, end: float, sink: Sink) -> None:
    """Give the `rest` of an answer to `sink` up to the loop's time `end`, or else an error."""
    try:
        async with asyncio.timeout_at(end):
            await rest(sink)
    except TimeoutError:
        problem = "took longer than its deadline"
    except ProviderError as error:
        problem = f"broke off its answer: {error}"
    except Exception:  # whatever it was, the client must see that this is not the end
        logger.exception("answer failed")
        problem = "broke off its answer"
    else:
        return
    call.failed(problem)
    _log("answer broke off", call.link, model, problem)
    sink.take(sse.broken(f"The provider {call.link.name} {problem}."))


def _nobody(tried: str, *, busy: bool) -> ApiError:
    if busy:
        message, code = f"All providers are busy ({tried}).", "providers_busy"
        return ApiError(429, message, code=code, retry_after=RETRY_AFTER)
    # Not 502 or 503: these would make the gateway ask the other replicas, which have the same
    # providers, and take this one for a sick one.
    message, code = f"No provider answered ({tried}).", "provider_unavailable"
    return ApiError(504, message, code=code, retry_after=RETRY_AFTER)


def _log(event: str, link: Link, model: str, reason: object) -> None:
    fields = {"provider": link.name, "model": model, "reason": str(reason)}
    logger.warning(event, extra={"fields": fields})
