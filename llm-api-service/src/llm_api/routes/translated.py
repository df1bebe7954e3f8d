"""What the routes of translated protocols share: asking a chat, and writing its answer."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from http import HTTPStatus
from typing import Any, Protocol

from flask import Response

from llm_api import bridge, chat_request
from llm_api.bridge import Stream
from llm_api.dialects.chunks import Alive, Item, Reader
from llm_api.errors import ApiError
from llm_api.providers.base import RefusedError
from llm_api.routes.answers import ask, error_of, respond_events
from llm_api.service import current_settings

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


def ask_chat(chat: Mapping[str, Any], names: Mapping[str, str]) -> Stream:
    """Return the answer to `chat`, which has begun. It must be closed.

    Args:
        chat: the body of a request for a chat.
        names: what its parameters are called in the protocol of the client.

    Raises:
        ApiError: nobody answered, or a provider refused the request.
    """
    try:
        try:
            return _ask(chat)
        except RefusedError as refusal:
            refused = error_of(refusal)
            if not _wants_other_limit(refused):
                raise refused from refusal
            others = {name: value for name, value in chat.items() if name != "max_tokens"}
            return _ask({**others, "max_completion_tokens": chat["max_tokens"]})
    except RefusedError as refusal:
        raise _renamed(error_of(refusal), names) from refusal
    except ApiError as error:
        raise _renamed(error, names) from error


def _ask(chat: Mapping[str, Any]) -> Stream:
    now = current_settings()
    return ask(chat_request.from_body(chat, model=now.model, system_prompt=now.system_prompt))


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


def read_whole(stream: Stream, writer: Writer) -> None:
    """Write the whole answer `stream`, and close that.

    Raises:
        ApiError: 504, it is none.
    """
    with closing(stream):
        data = b"".join(stream)
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
        self._events = self._translate()
        self._last = time.monotonic()

    def __iter__(self) -> Iterator[bytes]:
        """Return the iterator, which is this."""
        return self

    def __next__(self) -> bytes:
        """Return the next events, or nothing, or a sign of life.

        Raises:
            StopIteration: the answer has ended.
        """
        return next(self._events)

    def close(self) -> None:
        """Close the answer. May be called more than once."""
        self._stream.close()

    def _translate(self) -> Iterator[bytes]:
        writer, reader = self._writer, self._reader
        yield writer.begin()
        for data in self._stream:
            # Nothing is passed on, too: the server sees by it whether the client is still there.
            yield self._written(reader.events(data))
        yield self._written(reader.end()) + writer.end()

    def _written(self, items: Iterator[Item]) -> bytes:
        events = b"".join(map(self._writer.take, items))
        now = time.monotonic()
        # What the provider says need not be for the client, who should hear something even so.
        if not events and now - self._last >= bridge.HEARTBEAT:
            events = self._writer.take(Alive())
        if events:
            self._last = now
        return events
