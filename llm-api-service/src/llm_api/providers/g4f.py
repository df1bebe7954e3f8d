"""A provider class of g4f, asked without anything that g4f builds around it.

g4f's own client keeps conversations between users, writes usage files, fetches lists from its
home and has no timeouts. None of that happens where a provider's `create_async_generator` is
called directly. What the class itself does over the network is up to it: it is a third party
that sees the prompts.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import tempfile
import time
import uuid
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import aiohttp

from llm_api.chat_request import ChatRequest
from llm_api.config import ProviderConfig
from llm_api.errors import error_body
from llm_api.providers import sse
from llm_api.providers.base import Answer, ProviderError, RefusedError, nothing

# What `create_async_generator` passes on to a provider; anything else it drops without a word.
HONOURED = ("temperature", "top_p", "max_tokens", "stop")
# What a request may carry without it changing the answer.
HARMLESS = frozenset(
    {"messages", "model", "stream", "stream_options", "user", "metadata", "store", "service_tier"}
)
STATUS = re.compile(r"(?:Error|Response) (\d{3})")
BAD_REQUEST = 400
CHARACTERS_PER_TOKEN = 4


class UnknownClassError(LookupError):
    """The installed g4f has no usable class of that name."""


def load_class(name: str) -> Any:
    """Return the provider class `name` of the installed g4f.

    Raises:
        UnknownClassError: there is none, or it cannot be imported.
    """
    _contain()
    from g4f.Provider import ProviderLoader  # noqa: PLC0415 (not before its home is set)

    try:
        provider = ProviderLoader.from_name(name)
    except Exception as error:  # the modules of g4f fail in many ways, and none may stop the start
        raise UnknownClassError(f"g4f has no usable provider {name}: {error!r}") from error
    if provider is None or not hasattr(provider, "create_async_generator"):
        raise UnknownClassError(f"g4f has no provider {name} that can chat")
    return provider


def _contain() -> None:
    """Keep g4f from writing outside the temporary folder and from asking for newer versions."""
    home = Path(tempfile.gettempdir()) / "g4f"
    os.environ.setdefault("G4F_CONFIG_DIR", str(home / "config"))
    os.environ.setdefault("G4F_CACHE_DIR", str(home / "cache"))
    from g4f import debug  # noqa: PLC0415 (not before its home is set)

    debug.version_check = False
    debug.logging = False


class G4FProvider:
    """A provider class of g4f."""

    def __init__(self, config: ProviderConfig, provider: Any, proxy: str) -> None:
        """Ask the class `provider`, through `proxy` if there is one."""
        self.config = config
        self._provider = provider
        self._proxy = proxy or None

    @property
    def models(self) -> tuple[str, ...]:
        """What is configured, or else what the class lists without asking anybody."""
        if self.config.models:
            return self.config.models
        listed = getattr(self._provider, "models", None) or ()
        return tuple(dict.fromkeys([self.default_model, *map(str, listed)]))

    @property
    def default_model(self) -> str:
        """What is configured, or else the default of the class."""
        configured = self.config.default_model or next(iter(self.config.models), "")
        return configured or str(getattr(self._provider, "default_model", "") or "")

    def unsupported(self, request: ChatRequest) -> str | None:
        """Return the first parameter that g4f would drop without a word."""
        for name, value in request.body.items():
            if name in HONOURED or name in HARMLESS or value is None:
                continue
            if name == "n" and value == 1:
                continue
            return name
        return None

    async def open(self, request: ChatRequest, model: str) -> Answer:
        """Ask, and return the answer once its first text is here.

        Raises:
            ProviderError: anything went wrong before that.
            RefusedError: the provider called the request a bad one.
        """
        _own_connector()
        writer = _Writer(model, request)
        try:
            chunks = self._provider.create_async_generator(
                model=model,
                messages=list(request.body["messages"]),
                stream=True,
                proxy=self._proxy,
                **{n: request.body[n] for n in HONOURED if request.body.get(n) is not None},
            )
            if asyncio.iscoroutine(chunks):
                chunks = await chunks
        except Exception as error:
            raise _failure(error) from error
        first = b""
        try:
            while not first:
                first = writer.take(await anext(chunks))
        except StopAsyncIteration:
            raise ProviderError("an empty answer") from None
        except BaseException as error:
            await chunks.aclose()
            if isinstance(error, Exception):
                raise _failure(error) from error
            raise
        if request.stream:
            return Answer(sse.CONTENT_TYPE, first, self._stream(chunks, writer))
        async with aclosing(chunks):
            try:
                async for chunk in chunks:
                    writer.take(chunk)
            except Exception as error:
                raise _failure(error) from error
        return Answer("application/json", writer.whole(), nothing())

    async def _stream(self, chunks: Any, writer: _Writer) -> AsyncGenerator[bytes, None]:
        async with aclosing(chunks):
            try:
                async for chunk in chunks:
                    if data := writer.take(chunk):
                        yield data
            except Exception:  # whatever it was, the client must see that this is not the end
                yield sse.broken(f"The provider {self.config.name} broke off its answer.")
                return
        yield writer.end()

    async def close(self) -> None:
        """Do nothing: g4f's sessions end with each call."""


class _Writer:
    """Writes what a g4f provider yields as OpenAI's chunks, or as one answer."""

    def __init__(self, model: str, request: ChatRequest) -> None:
        self._base = {
            "id": f"chatcmpl-{uuid.uuid4().hex}",
            "created": int(time.time()),
            "model": model,
        }
        self._request = request
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._finish = "stop"
        self._usage: dict[str, Any] | None = None

    def take(self, item: Any) -> bytes:
        """Note `item` and return the event for it, which is empty if it says nothing."""
        kind = type(item).__name__
        if isinstance(item, str):
            return self._delta(self._text, "content", item)
        if kind == "Reasoning":
            return self._delta(self._reasoning, "reasoning_content", str(item))
        if kind == "FinishReason":
            self._finish = str(item.reason or "stop")
        elif kind == "Usage":
            self._usage = {
                name: value
                for name, value in item.get_dict().items()
                if name in ("prompt_tokens", "completion_tokens", "total_tokens")
            }
        elif (text := str(item)) and kind in ("Sources", "SourceLink", "ImageResponse"):
            return self._delta(self._text, "content", text)
        return b""

    def _delta(self, parts: list[str], name: str, text: str) -> bytes:
        if not text:
            return b""
        first = not self._text and not self._reasoning
        parts.append(text)
        role = {"role": "assistant"} if first else {}
        return self._chunk([{"index": 0, "delta": {**role, name: text}, "finish_reason": None}])

    def end(self) -> bytes:
        """Return the last events: the reason, the usage if it was asked for, and `[DONE]`."""
        last = self._chunk([{"index": 0, "delta": {}, "finish_reason": self._finish}])
        options = self._request.body.get("stream_options")
        if isinstance(options, dict) and options.get("include_usage"):
            last += self._chunk([], usage=self.usage())
        return last + sse.DONE

    def whole(self) -> bytes:
        """Return the answer as one JSON object."""
        message: dict[str, Any] = {"role": "assistant", "content": "".join(self._text)}
        if self._reasoning:
            message["reasoning_content"] = "".join(self._reasoning)
        choice = {"index": 0, "message": message, "finish_reason": self._finish}
        answer = {**self._base, "object": "chat.completion", "choices": [choice]}
        return json.dumps({**answer, "usage": self.usage()}).encode()

    def usage(self) -> dict[str, Any]:
        """Return the provider's token counts, or an estimate where it gives none."""
        if self._usage:
            counted = {"prompt_tokens": 0, "completion_tokens": 0, **self._usage}
        else:
            asked = sum(len(str(m.get("content") or "")) for m in self._request.body["messages"])
            said = sum(map(len, self._text + self._reasoning))
            counted = {
                "prompt_tokens": -(-asked // CHARACTERS_PER_TOKEN),
                "completion_tokens": -(-said // CHARACTERS_PER_TOKEN),
            }
        counted["total_tokens"] = counted["prompt_tokens"] + counted["completion_tokens"]
        return counted

    def _chunk(self, choices: list[dict[str, Any]], **more: Any) -> bytes:
        return sse.event(
            {**self._base, "object": "chat.completion.chunk", "choices": choices, **more}
        )


def _own_connector() -> None:
    """Replace g4f's shared connector, which allows 20 connections to a host, by a free one."""
    from g4f.requests import aiohttp as shared  # noqa: PLC0415 (not before its home is set)

    loop = asyncio.get_running_loop()
    connector = shared._loop_connectors.get(loop)
    if connector is None or connector.closed:
        shared._loop_connectors[loop] = aiohttp.TCPConnector(limit=0)


def _failure(error: Exception) -> ProviderError | RefusedError:
    """Return what `error` of a g4f provider means; g4f tells the HTTP status in the text only."""
    if isinstance(error, ProviderError | RefusedError):
        return error
    found = STATUS.match(str(error))
    status = int(found.group(1)) if found else None
    if status == BAD_REQUEST or type(error).__name__ == "BadRequestError":
        body = error_body(BAD_REQUEST, "The provider calls this a bad request.")
        return RefusedError(BAD_REQUEST, json.dumps(body).encode(), "application/json")
    reason = f"status {status}" if status else type(error).__name__
    return ProviderError(reason, status)
