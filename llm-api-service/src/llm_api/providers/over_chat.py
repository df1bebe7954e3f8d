"""Completions by providers that have only chats: a prompt becomes a message, a message a text."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any, cast

from llm_api.operations import Operation, Request
from llm_api.other_requests import CompletionRequest
from llm_api.providers import sse
from llm_api.providers.base import Answer, Provider, ProviderError, Rest
from llm_api.sink import Sink, Through


class CompletionsOverChat:
    """A provider that has chats, and so has completions."""

    def __init__(self, provider: Provider) -> None:
        """Ask `provider`."""
        self._provider = provider
        self.config = provider.config
        self.way = provider.way
        self.operations = provider.operations | {Operation.COMPLETIONS}

    @property
    def models(self) -> tuple[str, ...]:
        """All that it may be asked for."""
        return self._provider.models

    def models_for(self, operation: Operation) -> tuple[str, ...]:
        """Return what it may be asked for to do that."""
        return self._provider.models_for(_below(operation))

    def default_for(self, operation: Operation) -> str:
        """Return the model that is asked where the request names none."""
        return self._provider.default_for(_below(operation))

    def unsupported(self, request: Request) -> str | None:
        """Return the name of a parameter of `request` that it cannot honour."""
        if isinstance(request, CompletionRequest):
            return request.unlike_a_chat() or self._provider.unsupported(request.as_chat())
        return self._provider.unsupported(request)

    async def start(self) -> None:
        """Start the provider."""
        await self._provider.start()

    async def close(self) -> None:
        """Close the provider."""
        await self._provider.close()

    def open(self, request: Request, model: str) -> AbstractAsyncContextManager[Answer]:
        """Enter the provider's answer to `request`, translated where it is a completion.

        Raises:
            ProviderError: another provider may answer.
            RefusedError: no provider would.
        """
        if isinstance(request, CompletionRequest):
            return self._open(request.as_chat(), model)
        return self._provider.open(request, model)

    @asynccontextmanager
    async def _open(self, chat: Request, model: str) -> AsyncIterator[Answer]:
        async with self._provider.open(chat, model) as answer:
            yield _translated(answer)


def _below(operation: Operation) -> Operation:
    """Return what the provider is asked to do for `operation`."""
    return Operation.CHAT if operation is Operation.COMPLETIONS else operation


def _translated(answer: Answer) -> Answer:
    if answer.rest is None:
        # It has been looked at.
        return Answer(answer.content_type, _whole(answer.first))
    return Answer(answer.content_type, _events(answer.first), partial(_rest, answer.rest))


async def _rest(rest: Rest, sink: Sink) -> None:
    await rest(Through(_events, sink))


def _events(data: bytes) -> bytes:
    """Return the whole events in `data`, each chunk of a chat as one of a completion."""
    return b"".join(
        sse.DONE if payload == sse.DONE_PAYLOAD else sse.event(_completion(_read(payload)))
        for payload in sse.payloads(data)
    )


def _whole(data: bytes) -> bytes:
    return json.dumps(_completion(_read(data))).encode()


def _read(data: bytes) -> dict[str, Any]:
    try:
        return cast(dict[str, Any], json.loads(data))
    except ValueError:
        raise ProviderError("an answer that is no JSON") from None


def _completion(chat: Mapping[str, Any]) -> dict[str, Any]:
    try:
        choices = [_choice(choice) for choice in chat["choices"]]
    except (LookupError, TypeError, AttributeError):
        raise ProviderError("an answer that is no chat") from None
    return {**chat, "object": "text_completion", "choices": choices}


def _choice(chat: Mapping[str, Any]) -> dict[str, Any]:
    message = chat.get("message") or chat.get("delta") or {}
    return {
        "index": chat.get("index", 0),
        "text": message.get("content") or "",
        "logprobs": None,
        "finish_reason": chat.get("finish_reason"),
    }
