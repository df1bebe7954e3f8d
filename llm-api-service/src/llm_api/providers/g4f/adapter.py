"""A provider class of g4f as a provider of ours."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from yarl import URL

from llm_api.config import ProviderConfig
from llm_api.operations import Operation, Request
from llm_api.providers import sse
from llm_api.providers.base import Answer, ProviderError, RefusedError, Way
from llm_api.providers.g4f import containment, images, template
from llm_api.providers.g4f.connections import connections
from llm_api.providers.g4f.items import Generated, Items
from llm_api.providers.g4f.writer import Writer
from llm_api.sink import Sink

if TYPE_CHECKING:
    from llm_api.providers.g4f.forwarder import Forwarder

# What is passed on to classes that take it, under g4f's name for it.
PASSED_ON: Mapping[str, str] = {
    "temperature": "temperature",
    "top_p": "top_p",
    "max_tokens": "max_tokens",
    "max_completion_tokens": "max_tokens",
    "stop": "stop",
}
# What a request may carry without it changing the answer.
HARMLESS = frozenset(
    {"messages", "model", "stream", "stream_options", "user", "metadata", "store", "service_tier"}
)
# Values that say no more than leaving the parameter out; many clients always send them.
NEUTRAL: Mapping[str, tuple[Any, ...]] = {
    "n": (1,),
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "logprobs": (False,),
    "logit_bias": ({},),
    "tools": ([],),
    "tool_choice": ("none",),
    "parallel_tool_calls": (True, False),
    "modalities": (["text"],),
    "response_format": ({"type": "text"},),
}
ROLES: Mapping[str, str] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
}
# Whether a class yields what it sends, too, for which nobody waits here.
SAYS_ITS_REQUEST = "yield_request"
STATUS = re.compile(r"(?:Error|Response) (\d{3})")


@dataclass(frozen=True)
class Surroundings:
    """What a class is given apart from its own configuration."""

    egress_proxy: str = ""
    proxies: tuple[str, ...] = ()
    """To be used in turn, each through the egress proxy."""
    cookies: Mapping[str, str] = field(default_factory=dict)
    """Those of its site."""
    remove_sources: bool = False
    """Whether lists of sources that it sends apart from its text are left out."""


PLAIN = Surroundings()


class G4FProvider:
    """A provider class of g4f."""

    def __init__(
        self,
        config: ProviderConfig,
        provider: Any,
        *,
        surroundings: Surroundings = PLAIN,
    ) -> None:
        """Ask the class `provider` in such `surroundings`."""
        self.config = config
        texts, pictures = containment.listed_models(provider), images.listed_models(provider)
        self.models = config.models or tuple(dict.fromkeys(texts + pictures))
        """What is configured, or else what the class lists without asking anybody."""
        self.operations = frozenset(map(Operation, config.operations)) or _operations(provider)
        """What is configured, or else what the class seems to be for."""
        self._listed = {Operation.CHAT: texts, Operation.IMAGES: pictures}
        self._provider = containment.without_lookups(provider, self.models)
        self._honoured = containment.honoured_parameters(provider)
        self._passed_on = {ours: its for ours, its in PASSED_ON.items() if its in self._honoured}
        always = {"cookies": dict(surroundings.cookies), "api_key": config.api_key}
        self._always: dict[str, Any] = {
            n: v for n, v in always.items() if v and n in self._honoured
        }
        if SAYS_ITS_REQUEST in self._honoured:
            self._always[SAYS_ITS_REQUEST] = False
        self._remove_sources = surroundings.remove_sources
        self._proxy = surroundings.egress_proxy or None
        self._server: template.Server | None = None
        self._forwarder: Forwarder | None = None
        if surroundings.proxies:
            # Not before: it needs what few clusters do.
            from llm_api.providers.g4f.forwarder import Forwarder  # noqa: PLC0415

            self._forwarder = Forwarder(surroundings.proxies, surroundings.egress_proxy)
        else:
            self._server = template.server_of(self._provider, config.api_key, self._proxy)

    def models_for(self, operation: Operation) -> tuple[str, ...]:
        """Return what is configured, or else what the class lists for that."""
        return self.config.models or self._listed.get(operation, ())

    def default_for(self, operation: Operation) -> str:
        """Return what is configured, or else the default of the class."""
        configured = self.config.default_model if operation is self._main else ""
        return configured or next(iter(self.models_for(operation)), "")

    @property
    def _main(self) -> Operation:
        """What its configured default model is for."""
        return Operation.CHAT if Operation.CHAT in self.operations else Operation.IMAGES

    def unsupported(self, request: Request) -> str | None:
        """Return the first parameter, or part of a message, that g4f would drop without a word."""
        if request.operation is Operation.IMAGES:
            return images.unsupported(request, self._honoured, fetching=bool(self._proxy))
        for name, value in request.body.items():
            if name in HARMLESS or name in self._passed_on or value is None:
                continue
            if value not in NEUTRAL.get(name, ()):
                return name
        for index, message in enumerate(request.body["messages"]):
            if message["role"] not in ROLES or message.get("tool_calls"):
                return f"messages[{index}].role"
            if _text(message) is None:
                return f"messages[{index}].content"
        return None

    @property
    def way(self) -> Way | None:
        """How the class reaches its server, as far as it says."""
        url = self._server.url if self._server else containment.address(self._provider)
        return Way(url, URL(self._proxy) if self._proxy else None) if url else None

    async def start(self) -> None:
        """Listen for what goes through proxies in turn, or else let connections be kept."""
        if self._forwarder:
            # For each request the next of them, so each needs a connection of its own.
            await self._forwarder.start()
            self._proxy = self._forwarder.url
        else:
            connections().join(self._proxy)

    async def close(self) -> None:
        """Give back what `start` took."""
        if self._server:
            self._server.close()
        if self._forwarder:
            await self._forwarder.close()
        else:
            await connections().leave(self._proxy)

    @asynccontextmanager
    async def open(self, request: Request, model: str) -> AsyncIterator[Answer]:
        """Ask, and enter the answer: a stream's once its first text is here, a whole one's whole.

        Raises:
            ProviderError: anything went wrong before that.
            RefusedError: the provider called the request a bad one.
        """
        if request.operation is Operation.IMAGES:
            yield Answer("application/json", await self._images(request, model))
            return
        writer = Writer(model, request, remove_sources=self._remove_sources)
        async with AsyncExitStack() as stack:
            try:
                # A whole answer, too, comes in pieces here, so silence need not last to its end.
                async with asyncio.timeout(self.config.first_chunk_timeout):
                    items = await stack.enter_async_context(self._ask(request, model))
                    first = await _first(items, writer)
                if not request.stream:
                    await _all(items, writer)
            except Exception as error:
                raise _failure(error) from error
            if request.stream:
                yield Answer(sse.CONTENT_TYPE, first, partial(_rest, items, writer))
            else:
                yield Answer("application/json", writer.whole())

    @asynccontextmanager
    async def _ask(self, request: Request, model: str) -> AsyncIterator[Items]:
        """Enter the answer to a chat."""
        body = request.body
        messages = [{"role": ROLES[m["role"]], "content": _text(m)} for m in body["messages"]]
        passed_on = self._passed_on.items()
        given = {its: v for ours, its in passed_on if (v := body.get(ours)) is not None}
        if self._server:
            async with self._server.ask(model, messages, given) as items:
                yield items
        else:
            async with aclosing(await self._generate(model, messages, given)) as generator:
                yield Generated(generator)

    async def _images(self, request: Request, model: str) -> bytes:
        messages = [{"role": "user", "content": request.body["prompt"]}]
        given = images.parameters(request, self._honoured)
        async with aclosing(await self._generate(model, messages, given)) as items:
            try:
                return await images.answer(items, request, self._proxy)
            except Exception as error:
                raise _failure(error) from error

    async def _generate(
        self, model: str, messages: Sequence[Mapping[str, Any]], given: Mapping[str, Any]
    ) -> AsyncGenerator[Any, None]:
        """Return what the class yields."""
        try:
            items = self._provider.create_async_generator(
                model=model,
                messages=messages,
                stream=True,
                proxy=self._proxy,
                **self._always,
                **given,
            )
            if asyncio.iscoroutine(items):
                items = await items
        except Exception as error:
            raise _failure(error) from error
        generator: AsyncGenerator[Any, None] = items
        return generator


def _operations(provider: Any) -> frozenset[Operation]:
    """Return what a class is for, as far as its lists of models tell."""
    pictures = images.listed_models(provider)
    texts = set(containment.listed_models(provider)) - set(pictures)
    found = {Operation.IMAGES} if pictures else set()
    if texts or not pictures or getattr(provider, "default_vision_model", None):
        found.add(Operation.CHAT)
    return frozenset(found)


async def _first(items: Items, writer: Writer) -> bytes:
    """Return the first events that say something."""
    events: list[bytes] = []

    def take(some: Sequence[Any]) -> bool:
        events.extend(map(writer.take, some))
        return not writer.begun

    await items.pour(take)
    if not writer.begun:
        raise ProviderError("an empty answer")
    return b"".join(events)


async def _all(items: Items, writer: Writer) -> None:
    def take(some: Sequence[Any]) -> bool:
        for item in some:
            writer.take(item)
        return True

    await items.pour(take)


async def _rest(items: Items, writer: Writer, sink: Sink) -> None:
    def take(some: Sequence[Any]) -> bool:
        data = b"".join(map(writer.take, some))
        return not data or sink.take(data)

    try:
        while not await items.pour(take):
            await sink.ready()
    except Exception as error:
        raise ProviderError(str(_failure(error))) from error
    sink.take(writer.end())


def _text(message: Mapping[str, Any]) -> str | None:
    """Return the text of `message`, or None if it holds more than text."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    parts = content or []
    if any(part.get("type") != "text" or not isinstance(part.get("text"), str) for part in parts):
        return None
    return "\n".join(part["text"] for part in parts)


def _failure(error: Exception) -> ProviderError | RefusedError:
    """Return what `error` of a g4f provider means; g4f tells the HTTP status in the text only."""
    if isinstance(error, ProviderError | RefusedError):
        return error
    if isinstance(error, TimeoutError):
        return ProviderError("no answer in time")
    found = STATUS.match(str(error))
    status = int(found.group(1)) if found else None
    if status == HTTPStatus.BAD_REQUEST or type(error).__name__ == "BadRequestError":
        return template.refused()
    reason = f"status {status}" if status else type(error).__name__
    return ProviderError(reason, status)
