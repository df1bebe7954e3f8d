"""Events of chats, as a provider sends them."""

from __future__ import annotations

import json
from typing import Any

DONE = b"data: [DONE]\n\n"


def event(data: Any) -> bytes:
    return b"data: " + json.dumps(data).encode() + b"\n\n"


def delta(**said: Any) -> bytes:
    return event({"choices": [{"index": 0, "delta": said, "finish_reason": None}]})


def finish(reason: str, **more: Any) -> bytes:
    return event({"choices": [{"index": 0, "delta": {}, "finish_reason": reason, **more}]})


def call(index: int, **function: Any) -> bytes:
    """Return a piece of a call: the first if it has a name."""
    first = {"id": f"call_{index}", "type": "function"} if "name" in function else {}
    return delta(tool_calls=[{"index": index, **first, "function": function}])


USAGE = event(
    {
        "choices": [],
        "usage": {
            "prompt_tokens": 7,
            "completion_tokens": 5,
            "total_tokens": 12,
            "prompt_tokens_details": {"cached_tokens": 3},
            "completion_tokens_details": {"reasoning_tokens": 2},
        },
    }
)
TEXT = [
    delta(role="assistant", content=""),
    delta(content="He"),
    delta(content="llo"),
    finish("stop"),
    USAGE,
    DONE,
]
CALLS = [
    delta(role="assistant", content="Let me see."),
    call(0, name="weather", arguments=""),
    call(0, arguments='{"city":'),
    call(0, arguments=' "Oslo"}'),
    call(1, name="time", arguments="{}"),
    finish("tool_calls"),
    USAGE,
    DONE,
]
THOUGHT = [
    delta(role="assistant", reasoning_content="Hm"),
    delta(reasoning_content="m."),
    *TEXT[1:],
]


def whole(message: dict[str, Any], reason: str = "stop", **more: Any) -> bytes:
    """Return a whole answer."""
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": reason}
    usage = {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}
    answer = {"id": "x", "object": "chat.completion", "created": 1, "model": "m"}
    return json.dumps({**answer, "choices": [choice], "usage": usage, **more}).encode()


WHOLE_CALLS = [
    {"id": "call_0", "type": "function", "function": {"name": "weather", "arguments": "{}"}},
    {"id": "call_1", "type": "function", "function": {"name": "time", "arguments": '{"a":1}'}},
]
