"""What a g4f provider yields, written in OpenAI's format."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from llm_api.operations import Request
from llm_api.providers import sse

_encode = json.JSONEncoder(separators=(",", ":")).encode
CHARACTERS_PER_TOKEN = 4
# What OpenAI's clients know, and what else g4f's providers call it.
FINISH_REASONS = {
    "stop": "stop",
    "length": "length",
    "max_tokens": "length",
    "content_filter": "content_filter",
    "safety": "content_filter",
}
COUNTS = ("prompt_tokens", "completion_tokens")
SOURCES = ("Sources", "SourceLink", "SearchResults")
# Items that are part of the answer. The many others speak about it.
TEXTS = ("ImageResponse", *SOURCES)


class Writer:
    """Writes the items of one answer as OpenAI's chunks, or as one JSON object."""

    def __init__(self, model: str, request: Request, *, remove_sources: bool) -> None:
        """Begin the answer of `model` to `request`."""
        self._base = {
            "id": f"chatcmpl-{secrets.token_hex(16)}",
            "created": int(time.time()),
            "model": model,
        }
        self._request = request
        self._stream = request.stream
        self._with_usage = bool((request.body.get("stream_options") or {}).get("include_usage"))
        self._texts = [name for name in TEXTS if not remove_sources or name not in SOURCES]
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._finish = "stop"
        self._usage: dict[str, int] = {}

    def take(self, item: Any) -> bytes:
        """Note `item` and return the event for it, if it says something and they are wanted."""
        if isinstance(item, str):
            return self._delta(self._text, "content", item)
        # By name: importing g4f's classes here would cost every replica that has no g4f provider.
        kind = type(item).__name__
        if kind == "Reasoning":
            # Without a token it is news of the progress.
            return self._delta(self._reasoning, "reasoning_content", item.token or "")
        if kind in self._texts:
            return self._delta(self._text, "content", str(item))
        if kind == "FinishReason":
            self._finish = FINISH_REASONS.get(str(item.reason).lower(), "stop")
        elif kind == "Usage":
            given = item.get_dict()
            self._usage = {name: int(given.get(name) or 0) for name in COUNTS}
        return b""

    @cached_property
    def _begin(self) -> str:
        """All that comes before the choices in an event."""
        begin = {**self._base, "object": "chat.completion.chunk"}
        return f'data: {_encode(begin)[:-1]},"choices":'

    @property
    def begun(self) -> bool:
        """Whether anything has been said."""
        return bool(self._text or self._reasoning)

    def end(self) -> bytes:
        """Return the last events: the reason, the usage if it was asked for, and `[DONE]`."""
        last = self._chunk([{"index": 0, "delta": {}, "finish_reason": self._finish}])
        if self._with_usage:
            last += self._chunk([], usage=self._counts())
        return last + sse.DONE

    def whole(self) -> bytes:
        """Return the answer as one JSON object."""
        message: dict[str, Any] = {"role": "assistant", "content": "".join(self._text)}
        if self._reasoning:
            message["reasoning_content"] = "".join(self._reasoning)
        choice = {"index": 0, "message": message, "finish_reason": self._finish}
        answer = {**self._base, "object": "chat.completion", "choices": [choice]}
        return json.dumps({**answer, "usage": self._counts()}).encode()

    def _delta(self, parts: list[str], name: str, text: str) -> bytes:
        if not text:
            return b""
        first = not self.begun
        parts.append(text)
        if not self._stream:
            return b""
        role = '"role":"assistant",' if first else ""
        delta = f'{{"index":0,"delta":{{{role}"{name}":{_encode(text)}}},"finish_reason":null}}'
        return f"{self._begin}[{delta}]{self._no_usage}}}\n\n".encode()

    @cached_property
    def _no_usage(self) -> str:
        # Where it was asked for, every chunk has the field.
        return ',"usage":null' if self._with_usage else ""

    def _chunk(
        self, choices: list[dict[str, Any]], usage: Mapping[str, int] | None = None
    ) -> bytes:
        end = f',"usage":{_encode(usage)}' if usage else self._no_usage
        return f"{self._begin}{_encode(choices)}{end}}}\n\n".encode()

    def _counts(self) -> dict[str, int]:
        """Return the provider's token counts, or an estimate where it gives none."""
        counts = self._usage
        if not any(counts.values()):
            asked = sum(len(str(m.get("content") or "")) for m in self._request.body["messages"])
            said = sum(map(len, self._text + self._reasoning))
            estimates = (-(-length // CHARACTERS_PER_TOKEN) for length in (asked, said))
            counts = dict(zip(COUNTS, estimates, strict=True))
        return {**counts, "total_tokens": sum(counts.values())}
