"""What the routes of translated protocols share: asking a chat, and writing its answer."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any, Protocol

from flask import Response

from llm_api import chat_request
from llm_api.dialects.chunks import Alive, Item, Reader
from llm_api.errors import ApiError
from llm_api.providers import sse
from llm_api.providers.base import RefusedError
from llm_api.routes.answers import ask, error_of, respond_events
from llm_api.service import current_settings
from llm_api.sink import Sink, Through
from llm_api.stream import Stream

PARAMETER = re.compile(r"\w+")


class Writer(Protocol):
    """Writes an answer in some protocol."""

    failure: str | None
    """Why the answer is none."""

    def begin(self) -> bytes:
        """Return the first events."""

    def take(self, item: Item) -> bytes:
        """Return the events for `item`."""

    def end(self) -> bytes:
        """Return the last events."""


async def ask_chat(chat: Mapping[str, Any], names: Mapping[str, str]) -> Stream:
    """Return the answer to `chat`, which has begun. It must be closed.

    Args:
        chat: the body of a request for a chat.
        names: what its parameters are called in the protocol of the client.

    Raises:
        ApiError: nobody answered, or a provider refused the request.
    """
    try:
        try:
            return await _ask(chat)
        except RefusedError as refusal:
            refused = error_of(refusal)
            if not _wants_other_limit(refused):
                raise refused from refusal
            others = {name: value for name, value in chat.items() if name != "max_tokens"}
            return await _ask({**others, "max_completion_tokens": chat["max_tokens"]})
    except RefusedError as refusal:
        raise _renamed(error_of(refusal), names) from refusal
    except ApiError as error:
        raise _renamed(error, names) from error


async def _ask(chat: Mapping[str, Any]) -> Stream:
    now = current_settings()
    return await ask(chat_request.from_body(chat, model=now.model, system_prompt=now.system_prompt))


def _wants_other_limit(refused: ApiError) -> bool:
    """Return whether a limit on tokens was `refused` because of its old name.

    Newer models at OpenAI insist on the new one, which other servers do not know and ignore.
    """
    error = refused.body["error"]
    return error["param"] == "max_tokens" and "max_completion_tokens" in str(error["message"])


def _renamed(error: ApiError, names: Mapping[str, str]) -> ApiError:
    """Return `error` with the client's name for the parameter that is at fault."""
    about = error.body["error"]
    found = PARAMETER.match(about["param"] or "")
    if found is None or found[0] not in names:
        return error
    param = names[found[0]]
    message = f"{about['message']} Here, that is {param}."
    return ApiError(
        error.status, message, code=about["code"], param=param, retry_after=error.retry_after
    )


async def read_whole(stream: Stream, writer: Writer) -> None:
    """Write the whole answer `stream`, and close that.

    Raises:
        ApiError: 504, it is none.
    """
    async with stream:
        data = await stream.read()
    reader = Reader()
    for item in (*reader.whole(data), *reader.end()):
        writer.take(item)
    writer.end()
    if writer.failure is not None:
        raise ApiError(HTTPStatus.GATEWAY_TIMEOUT, writer.failure, code="provider_unavailable")


def respond_translated(stream: Stream, writer: Writer) -> Response:
    """Return the response that streams `stream` as `writer` writes it."""
    return respond_events(Events(stream, writer), stream.routed)


class Events:
    """The events of an answer, in some protocol, as the answer comes. To be closed."""

    def __init__(self, stream: Stream, writer: Writer) -> None:
        """Translate `stream`, which is closed with this."""
        self._stream = stream
        self._writer = writer
        self._reader = Reader()

    async def into(self, sink: Sink) -> None:
        """Give the events to `sink`; for some of the provider's there are none."""
        if not sink.take(self._writer.begin()):
            await sink.ready()
        await self._stream.into(Through(self._translated, sink))
        sink.take(self._end())

    def alive(self) -> bytes:
        """Return a sign of life."""
        return self._writer.take(Alive())

    def broken(self, message: str) -> bytes:
        """Return the last events of an answer that is not whole."""
        return self._written(self._reader.events(sse.broken(message))) + self._end()

    async def close(self) -> None:
        """Close the answer. May be called more than once."""
        await self._stream.close()

    def _translated(self, data: bytes) -> bytes:
        return self._written(self._reader.events(data))

    def _end(self) -> bytes:
        return self._written(self._reader.end()) + self._writer.end()

    def _written(self, items: Iterator[Item]) -> bytes:
        return b"".join(map(self._writer.take, items))
