"""Servers that a class of g4f only says the place of, since they speak OpenAI's protocol.

A sixth of g4f's classes add nothing to its template, LLM7 and Groq among them. They are asked here
as the template asks, but by the service's own client: the template's way, with a session of aiohttp
for each request, takes as much time as all else that the service does for it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from http import HTTPStatus
from typing import Any

from yarl import URL

from llm_api.errors import error_body
from llm_api.http_client import HttpError, Origin, Response
from llm_api.providers import sse
from llm_api.providers.base import ProviderError, RefusedError
from llm_api.providers.g4f.events import Events, read_end
from llm_api.providers.g4f.items import Items, Take
from llm_api.providers.openai import (
    LARGEST_ANSWER,
    LARGEST_EVENT,
    LARGEST_REFUSAL,
    has_error,
)

TEMPLATE = "g4f.Provider.template.OpenaiTemplate"
# What a class must have from the template to be asked as that asks.
ASKING = ("create_async_generator", "get_headers", "raise_error")

_encode = json.JSONEncoder(separators=(",", ":")).encode


class Server:
    """A server that is asked as g4f's template does it."""

    def __init__(self, provider: Any, base: str, key: str, proxy: str | None) -> None:
        """Ask at the URL `base`, with `key` if there is one, as the class `provider` says."""
        endpoint = URL(provider.api_endpoint or f"{base.rstrip('/')}/chat/completions")
        headers = provider.get_headers(True, key) | {"Accept-Encoding": "identity"}
        self.url = URL(base)
        self._provider = provider
        self._origin = Origin(endpoint, URL(proxy) if proxy else None)
        self._head = self._origin.head("POST", endpoint, headers)
        self._always: dict[str, Any] = {"stream": True, "stream_options": {"include_usage": True}}
        if provider.max_tokens is not None:
            self._always["max_tokens"] = provider.max_tokens

    def close(self) -> None:
        """Close the connections."""
        self._origin.close()

    @asynccontextmanager
    async def ask(
        self, model: str, messages: Sequence[Mapping[str, Any]], given: Mapping[str, Any]
    ) -> AsyncIterator[Items]:
        """Enter the answer of `model` to `messages` once its head is here.

        Args:
            model: as a client names it.
            messages: each with a role and a text.
            given: further parameters.

        Raises:
            ProviderError: it did not answer.
            RefusedError: it called the request a bad one.
        """
        name = self._provider.get_model(model)
        body = {"model": name, "messages": messages, **self._always, **given}
        with _failing():
            response = await self._origin.ask(self._head, _encode(body).encode())
        try:
            with _failing():
                await _check(response)
            yield _Spoken(response)
        finally:
            response.close()


class _Spoken:
    """The items of an answer, pushed as they come: no task wakes up for each of them."""

    def __init__(self, response: Response) -> None:
        self._response = response
        self._events = Events()
        self._said = _Said()
        self._over = False

    async def pour(self, take: Take) -> bool:
        """Give the items of what has come."""
        if not self._over:
            with _failing():
                self._over = await (self._stream(take) if self._streams else self._whole(take))
        return self._over

    @property
    def _streams(self) -> bool:
        kind = self._response.headers.get(b"content-type", b"")
        return kind.startswith(sse.CONTENT_TYPE.encode())

    async def _stream(self, take: Take) -> bool:
        def pieces(piece: bytes) -> bool:
            parts = self._events.take(piece)
            if self._events.waiting > LARGEST_EVENT:
                raise ProviderError("an event that is too large")
            room = take([item for part in parts for item in self._said.items(part)])
            return room and not self._events.over

        if await self._response.pour(pieces):
            # The last line may have no end.
            pieces(b"")
        if self._events.over and not self._response.over:
            await read_end(self._response.read)
        return self._events.over

    async def _whole(self, take: Take) -> bool:
        """Do it for a server that knows no streams."""
        take(list(self._said.items(await self._response.read_up_to(LARGEST_ANSWER))))
        return True


class _Said:
    """What the parts of one answer say."""

    def __init__(self) -> None:
        from g4f.providers import response  # noqa: PLC0415 (not before its home is set)

        self._kinds = response
        self._begun = False

    def items(self, data: bytes) -> Iterator[Any]:
        """Yield what an event, or a whole answer, says, as g4f's classes do.

        Raises:
            ProviderError: it is an error.
            ValueError: it is no JSON.
        """
        part = json.loads(data.decode())
        if part.get("error") or part.get("error_message"):
            raise ProviderError("an error in place of an answer")
        choice: dict[str, Any] = next(iter(part.get("choices") or ()), {})
        delta = choice.get("delta") or choice.get("message") or {}
        if text := delta.get("content"):
            # Many begin with empty lines.
            text = text if self._begun else text.lstrip()
            self._begun = self._begun or bool(text)
            yield text
        if reasoning := delta.get("reasoning_content") or delta.get("reasoning"):
            yield self._kinds.Reasoning(reasoning)
        if usage := part.get("usage"):
            yield self._kinds.Usage.from_dict(usage)
        if reason := choice.get("finish_reason"):
            yield self._kinds.FinishReason(reason)


def server_of(provider: Any, key: str, proxy: str | None) -> Server | None:
    """Return the server of a class that only says where one is, to be asked with `key` if any.

    It is None for classes that have code of their own, or another part of the template's.
    """
    template = next((kind for kind in provider.__mro__ if kind.__module__ == TEMPLATE), None)
    if template is None or any(_method(provider, n) is not _method(template, n) for n in ASKING):
        return None
    if provider.image_models or provider.ssl is not None:
        return None
    key = key or provider.api_key or ""
    own = provider.is_provider_api_key(key)
    base = (not own and provider.backup_url) or provider.base_url or ""
    if not own and not base.startswith(sys.modules[TEMPLATE].SPACE_URL):
        # It is one for g4f's own servers, and none of others' business.
        key = ""
    if not base.startswith(("http://", "https://")) or (provider.needs_auth and not key):
        return None
    return Server(provider, base, key, proxy)


def refused(body: bytes = b"") -> RefusedError:
    """Return what a request is that a provider calls a bad one, in its own words if it has any."""
    status = HTTPStatus.BAD_REQUEST
    if not has_error(body):
        body = json.dumps(error_body(status, "The provider calls this a bad request.")).encode()
    return RefusedError(status, body)


async def _check(response: Response) -> None:
    """Check that `response` has the status of an answer.

    Raises:
        HttpError: the rest does not come.
        ProviderError: it has another one.
        RefusedError: it has the one of a bad request.
    """
    if response.status == HTTPStatus.BAD_REQUEST:
        raise refused(await response.read_up_to(LARGEST_REFUSAL))
    if response.status != HTTPStatus.OK:
        raise ProviderError(f"status {response.status}", response.status)


@contextmanager
def _failing() -> Iterator[None]:
    """Let the connection's failures be the provider's."""
    try:
        yield
    except HttpError as error:
        raise ProviderError(str(error)) from error


def _method(kind: Any, name: str) -> Any:
    method = getattr(kind, name)
    return getattr(method, "__func__", method)
