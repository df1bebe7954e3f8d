"""Anthropic's Messages: how an answer is written, as events and as a whole."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from typing import Any

from llm_api.dialects.anthropic import count_tokens, error_body, tokens_in
from llm_api.dialects.chunks import (
    Alive,
    Arguments,
    Call,
    Failure,
    Finish,
    Item,
    Reasoning,
    Refusal,
    Text,
    Usage,
)
from llm_api.providers import sse

STOP_REASONS: Mapping[str, str] = {
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
}
FAILED = 500


class Writer:
    """Writes one answer. `message` is the whole of it, as far as it has come."""

    def __init__(
        self, body: Mapping[str, Any], chat: Mapping[str, Any], model: str, request_id: str
    ) -> None:
        """Begin the answer of `model` to the request `body`, which was asked as `chat`."""
        self.failure: str | None = None
        self.message: dict[str, Any] = {
            "id": f"msg_{uuid.uuid4().hex}",
            "type": "message",
            "role": "assistant",
            "model": model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": _usage(0, 0),
        }
        # To others they would come as a surprise: many take the first block for the answer.
        self._thinking = (body.get("thinking") or {}).get("type") == "adaptive"
        self._chat = chat
        self._request_id = request_id
        self._finish = Finish("stop")
        self._usage: Usage | None = None
        self._refused = False
        self._said = 0
        """Characters of the answer, for an estimate."""
        self._block: dict[str, Any] = {}
        """The block that is being written, which is the last of the content; empty if none is."""
        self._pieces: list[str] = []

    def begin(self) -> bytes:
        """Return the first event. How many tokens the request has is known at the end only."""
        return _event("message_start", message=self.message)

    def take(self, item: Item) -> bytes:
        """Return the events for `item`."""
        if self.failure is not None:
            return b""
        events = b""
        match item:
            case Text(text):
                events = self._say("text", "text_delta", "text", text)
            case Refusal(text):
                self._refused = True
                events = self._say("text", "text_delta", "text", text)
            case Reasoning(text):
                if self._thinking:
                    events = self._say("thinking", "thinking_delta", "thinking", text)
                else:
                    self._said += len(text)
            case Call():
                block = {"type": "tool_use", "id": item.id, "name": item.name, "input": {}}
                events = self._close() + self._open(block)
            case Arguments(text):
                events = self._delta("input_json_delta", "partial_json", text)
            case Finish():
                self._finish = item
            case Usage():
                self._usage = item
            case Failure(message):
                events = self._fail(message)
            case Alive():
                events = _event("ping")
        return events

    def end(self) -> bytes:
        """Return the last events."""
        if self.failure is not None:
            return b""
        last = self._close(cut=self._finish.reason == "length")
        if self.failure is not None:
            return last
        self.message["usage"] = self._count()
        reason, sequence = self._stop()
        self.message |= {"stop_reason": reason, "stop_sequence": sequence}
        delta = {"stop_reason": reason, "stop_sequence": sequence}
        last += _event("message_delta", delta=delta, usage=self.message["usage"])
        return last + _event("message_stop")

    def _stop(self) -> tuple[str, str | None]:
        """Return why the answer ends, and the stop sequence that ended it, if that is known."""
        if self._refused:
            return "refusal", None
        if self._finish.reason in STOP_REASONS:
            return STOP_REASONS[self._finish.reason], None
        if any(block["type"] == "tool_use" for block in self.message["content"]):
            return "tool_use", None
        if self._finish.stop in self._chat.get("stop", ()):
            return "stop_sequence", self._finish.stop
        return "end_turn", None

    def _count(self) -> dict[str, int]:
        if self._usage is None:
            return _usage(count_tokens(self._chat), tokens_in(self._said))
        used = self._usage
        return _usage(used.prompt - used.cached, used.completion, used.cached)

    def _say(self, kind: str, delta: str, name: str, text: str) -> bytes:
        events = b""
        if self._block.get("type") != kind:
            signature = {"signature": ""} if kind == "thinking" else {}
            events = self._close() + self._open({"type": kind, name: "", **signature})
        return events + self._delta(delta, name, text)

    def _open(self, block: dict[str, Any]) -> bytes:
        self._block = block
        self._pieces = []
        self.message["content"].append(block)
        return _event("content_block_start", index=self._index, content_block=block)

    def _delta(self, kind: str, name: str, text: str) -> bytes:
        self._pieces.append(text)
        self._said += len(text)
        return _event("content_block_delta", index=self._index, delta={"type": kind, name: text})

    def _close(self, *, cut: bool = False) -> bytes:
        """Return the events that end the block that is being written, if there is one.

        One that was `cut` off need not be good: a call that is not is left out of the whole.
        """
        block, text = self._block, "".join(self._pieces)
        self._block = {}
        if not block:
            return b""
        stop = _event("content_block_stop", index=self._index)
        if block["type"] != "tool_use":
            block[block["type"]] = text
            return stop
        arguments = _arguments(text)
        if arguments is not None:
            block["input"] = arguments
        elif cut:
            self.message["content"].pop()
        else:
            return self._fail("The provider called a tool with arguments that are no JSON object.")
        return stop

    def _fail(self, message: str) -> bytes:
        self.failure = message
        return _event(**error_body(FAILED, message, self._request_id))

    @property
    def _index(self) -> int:
        return len(self.message["content"]) - 1


def _arguments(text: str) -> dict[str, Any] | None:
    """Return the JSON object `text`, or None if it is none."""
    try:
        arguments = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return None
    return arguments if isinstance(arguments, dict) else None


def _usage(prompt: int, completion: int, cached: int = 0) -> dict[str, int]:
    return {
        "input_tokens": max(prompt, 0),
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": cached,
        "output_tokens": completion,
    }


def _event(type: str, **fields: Any) -> bytes:  # noqa: A002
    return b"event: %s\n%s" % (type.encode(), sse.event({"type": type, **fields}))
