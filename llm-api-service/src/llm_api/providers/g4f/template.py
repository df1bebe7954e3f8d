"""Servers that a class of g4f only says the place of, since they speak OpenAI's protocol.

Most classes with a key, and some without, add nothing to g4f's template. They are asked here as
the template asks, but by the service's own client: the template's way, with a session of aiohttp
for each request, takes as much time as all else that the service does for it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from yarl import URL

from llm_api.errors import error_body
from llm_api.http_client import HttpError, Origin, Response
from llm_api.providers import sse
from llm_api.providers.base import ProviderError, RefusedError
from llm_api.providers.g4f.events import Events, read_end
from llm_api.providers.openai import has_error

TEMPLATE = "g4f.Provider.template.OpenaiTemplate"
# What makes a request, and what can be different without that.
ASKING = ("create_async_generator", "get_headers", "raise_error")
# Bytes of an error that are read, and those that an answer, and a line of one, may have.
LARGEST_ERROR = 64 * 1024
LARGEST_ANSWER = 64 * 1024 * 1024
LARGEST_LINE = 4 * 1024 * 1024

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

    async def ask(
        self, model: str, messages: Sequence[Mapping[str, Any]], given: Mapping[str, Any]
    ) -> AsyncGenerator[Any, None]:
        """Yield the answer of `model` to `messages`, as one of g4f's classes does.

        Args:
            model: as a client names it.
            messages: each with a role and a text.
            given: further parameters.

        Raises:
            ProviderError: it did not answer, or not to the end.
            RefusedError: it called the request a bad one.
        """
        body = {
            "model": self._provider.get_model(model),
            "messages": messages,
            **self._always,
            **given,
        }
        try:
            response = await self._origin.ask(self._head, _encode(body).encode())
            try:
                await _check(response)
                said = _Said()
                if not _is_stream(response):
                    # Not every server knows streams.
                    for item in said.items(await response.read_up_to(LARGEST_ANSWER)):
                        yield item
                    return
                events = Events()
                while not events.over:
                    for data in events.take(await response.read()):
                        for item in said.items(data):
                            yield item
                    if events.waiting > LARGEST_LINE:
                        raise ProviderError("an event that is too large")
                if not response.over:
                    await read_end(response.read)
            finally:
                response.close()
        except HttpError as error:
            raise ProviderError(str(error)) from error


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
    if not base or (provider.needs_auth and not key):
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
        raise refused(await response.read_up_to(LARGEST_ERROR))
    if response.status != HTTPStatus.OK:
        raise ProviderError(f"status {response.status}", response.status)


def _is_stream(response: Response) -> bool:
    return response.headers.get(b"content-type", b"").startswith(sse.CONTENT_TYPE.encode())


def _method(kind: Any, name: str) -> Any:
    method = getattr(kind, name)
    return getattr(method, "__func__", method)
