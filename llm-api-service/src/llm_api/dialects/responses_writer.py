"""OpenAI's Responses: how an answer is written, as events and as a whole."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from typing import Any

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

# Why an answer may be incomplete.
INCOMPLETE: Mapping[str, str] = {
    "length": "max_output_tokens",
    "content_filter": "content_filter",
}
# What the answer repeats of the request, and what stands there if that says nothing.
REPEATED: Mapping[str, Any] = {
    "instructions": None,
    "max_output_tokens": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "prompt_cache_key": None,
    "safety_identifier": None,
    "temperature": None,
    "tool_choice": "auto",
    "top_p": None,
    "user": None,
}


class Writer:
    """Writes one answer. `response` is the whole of it, as far as it has come."""

    def __init__(self, body: Mapping[str, Any], model: str) -> None:
        """Begin the answer of `model` to the request `body`."""
        self.failure: str | None = None
        self.response: dict[str, Any] = {
            "id": f"resp_{uuid.uuid4().hex}",
            "object": "response",
            "created_at": int(time.time()),
            "completed_at": None,
            "status": "in_progress",
            "background": False,
            "error": None,
            "incomplete_details": None,
            "model": model,
            "output": [],
            "previous_response_id": None,
            "service_tier": "default",
            "store": False,
            "truncation": "disabled",
            "usage": None,
            **{name: _given(body, name, default) for name, default in REPEATED.items()},
            "reasoning": _reasoning(body.get("reasoning") or {}),
            "text": {"verbosity": "medium", **_text(body.get("text") or {})},
            "tools": [_tool(tool) for tool in body.get("tools") or []],
        }
        self._sequence = 0
        self._finish = "stop"
        self._item: dict[str, Any] = {}
        """The item that is being written, which is the last of the output; empty if none is."""
        self._part: dict[str, Any] = {}
        """The part of a message that is being written, which is its last; empty if none is."""
        self._pieces: list[str] = []
        """The text of the part, of the summary, or of the arguments."""

    def begin(self) -> bytes:
        """Return the first events."""
        first = self._event("response.created", response=self.response)
        return first + self._event("response.in_progress", response=self.response)

    def take(self, item: Item) -> bytes:
        """Return the events for `item`."""
        if self.failure is not None:
            return b""
        events = b""
        match item:
            case Text(text):
                events = self._say("output_text", text)
            case Refusal(text):
                events = self._say("refusal", text)
            case Reasoning(text):
                events = self._think(text)
            case Call():
                events = self._call(item)
            case Arguments(text):
                self._pieces.append(text)
                events = self._event(
                    "response.function_call_arguments.delta", **self._at(), delta=text
                )
            case Finish(reason):
                self._finish = reason
            case Usage():
                self.response["usage"] = _usage(item)
            case Failure(message):
                events = self._fail(message)
            case Alive():
                events = sse.HEARTBEAT
        return events

    def end(self) -> bytes:
        """Return the last events."""
        if self.failure is not None:
            return b""
        reason = INCOMPLETE.get(self._finish)
        status = "incomplete" if reason else "completed"
        last = self._close(status)
        self.response["status"] = status
        if reason:
            self.response["incomplete_details"] = {"reason": reason}
        else:
            self.response["completed_at"] = int(time.time())
        return last + self._event(f"response.{status}", response=self.response)

    def _say(self, kind: str, text: str) -> bytes:
        events = b""
        if self._item.get("type") != "message":
            message = {"role": "assistant", "content": []}
            events += self._close() + self._open("message", "msg", **message)
        if self._part.get("type") != kind:
            events += self._close_part() + self._open_part(kind)
        self._pieces.append(text)
        return events + self._event(
            f"response.{kind}.delta", **self._at_part(), delta=text, **_logprobs(kind)
        )

    def _think(self, text: str) -> bytes:
        events = b""
        if self._item.get("type") != "reasoning":
            events += self._close() + self._open("reasoning", "rs", summary=[])
            part = {"type": "summary_text", "text": ""}
            events += self._event(
                "response.reasoning_summary_part.added", **self._at(), summary_index=0, part=part
            )
        self._pieces.append(text)
        return events + self._event(
            "response.reasoning_summary_text.delta", **self._at(), summary_index=0, delta=text
        )

    def _call(self, call: Call) -> bytes:
        called = {"call_id": call.id, "name": call.name, "arguments": ""}
        return self._close() + self._open("function_call", "fc", **called)

    def _fail(self, message: str) -> bytes:
        self.failure = message
        self._fill("incomplete")
        self.response["status"] = "failed"
        self.response["error"] = {"code": "server_error", "message": message}
        return self._event("response.failed", response=self.response)

    def _open(self, kind: str, prefix: str, **more: Any) -> bytes:
        self._item = {
            "id": f"{prefix}_{uuid.uuid4().hex}",
            "type": kind,
            "status": "in_progress",
            **more,
        }
        self._pieces = []
        self.response["output"].append(self._item)
        return self._event("response.output_item.added", output_index=self._index, item=self._item)

    def _open_part(self, kind: str) -> bytes:
        self._part = _part(kind, "")
        self._pieces = []
        self._item["content"].append(self._part)
        return self._event("response.content_part.added", **self._at_part(), part=self._part)

    def _close(self, status: str = "completed") -> bytes:
        """Return the events that end the item that is being written, if there is one."""
        item = self._item
        if not item:
            return b""
        events = self._close_part()
        at = self._at()
        self._fill(status)
        match item["type"]:
            case "reasoning":
                part, name = item["summary"][0], "response.reasoning_summary"
                where = {**at, "summary_index": 0}
                events += self._event(f"{name}_text.done", **where, text=part["text"])
                events += self._event(f"{name}_part.done", **where, part=part)
            case "function_call":
                done = {"name": item["name"], "arguments": item["arguments"]}
                events += self._event("response.function_call_arguments.done", **at, **done)
        events += self._event(
            "response.output_item.done", output_index=at["output_index"], item=item
        )
        return events

    def _close_part(self) -> bytes:
        if not self._part:
            return b""
        at, kind, part = self._at_part(), self._part["type"], self._part
        self._fill_part()
        done = {_content(kind): part[_content(kind)], **_logprobs(kind)}
        events = self._event(f"response.{kind}.done", **at, **done)
        return events + self._event("response.content_part.done", **at, part=part)

    def _fill(self, status: str) -> None:
        """Complete the item that is being written with what was said."""
        self._fill_part()
        if not self._item:
            return
        text = "".join(self._pieces)
        match self._item["type"]:
            case "reasoning":
                self._item["summary"] = [{"type": "summary_text", "text": text}]
            case "function_call":
                self._item["arguments"] = text
        self._item["status"] = status
        self._item = {}

    def _fill_part(self) -> None:
        if self._part:
            self._part[_content(self._part["type"])] = "".join(self._pieces)
            self._part = {}

    @property
    def _index(self) -> int:
        return len(self.response["output"]) - 1

    def _at(self) -> dict[str, Any]:
        """Return where the item is that is being written."""
        return {"item_id": self._item["id"], "output_index": self._index}

    def _at_part(self) -> dict[str, Any]:
        return {**self._at(), "content_index": len(self._item["content"]) - 1}

    def _event(self, kind: str, **fields: Any) -> bytes:
        data = {"type": kind, "sequence_number": self._sequence, **fields}
        self._sequence += 1
        return b"event: %s\n%s" % (kind.encode(), sse.event(data))


def _content(kind: str) -> str:
    return "refusal" if kind == "refusal" else "text"


def _part(kind: str, text: str) -> dict[str, Any]:
    if kind == "refusal":
        return {"type": kind, "refusal": text}
    return {"type": kind, "text": text, "annotations": [], "logprobs": []}


def _logprobs(kind: str) -> dict[str, Any]:
    return {"logprobs": []} if kind == "output_text" else {}


def _given(body: Mapping[str, Any], name: str, default: Any) -> Any:
    value = body.get(name)
    return default if value is None else value


def _reasoning(asked: Mapping[str, Any]) -> dict[str, Any]:
    summary = asked.get("summary") or asked.get("generate_summary")
    return {"effort": asked.get("effort"), "summary": summary}


def _text(asked: Mapping[str, Any]) -> dict[str, Any]:
    given = {name: value for name, value in asked.items() if value is not None}
    return {"format": {"type": "text"}, **given}


def _tool(tool: Mapping[str, Any]) -> dict[str, Any]:
    return {"description": None, "parameters": None, "strict": None, **tool}


def _usage(usage: Usage) -> dict[str, Any]:
    return {
        "input_tokens": usage.prompt,
        "input_tokens_details": {"cached_tokens": usage.cached, "cache_write_tokens": 0},
        "output_tokens": usage.completion,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": usage.prompt + usage.completion,
    }
