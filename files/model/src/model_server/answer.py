"""From the model's chunks to what OpenAI's clients read: a stream of events, or one document."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from model_server.engine import Chunk
from model_server.errors import ApiError

# What the engine adds to OpenAI's format, and what nobody should rely on.
PRIVATE = ("timings", "system_fingerprint", "__verbose")
# Sent nowhere, but the server sees at it whether the client is still there, and closes if not.
NOTHING = b""


def events(chunks: Iterable[Chunk | None], model: str, *, usage: bool) -> Iterator[bytes]:
    """Yield the server-sent events of an answer by `model`, with its `usage` if that was asked."""
    try:
        for chunk in tidy(chunks, model):
            if chunk is None:
                yield NOTHING
            elif chunk["choices"] or usage:
                yield _event(chunk)
    except ApiError as error:
        # The status has gone out already: the error is an event, and no [DONE] follows it.
        yield _event(error.body)
        return
    yield b"data: [DONE]\n\n"


def document(chunks: Iterable[Chunk | None], model: str) -> Iterator[bytes]:
    """Yield a whole answer by `model` as one JSON document, at its end."""
    whole: dict[str, Any] = {"object": "chat.completion", "choices": []}
    choices: dict[int, dict[str, Any]] = {}
    try:
        for chunk in tidy(chunks, model):
            yield NOTHING
            if chunk is not None:
                whole = chunk | whole
                for part in chunk["choices"]:
                    _add(choices.setdefault(part["index"], _choice(part["index"])), part)
    except ApiError as error:
        # The status has gone out already; at least the body says what happened.
        yield json.dumps(error.body).encode()
        return
    whole["choices"] = [choices[index] for index in sorted(choices)]
    yield json.dumps(whole).encode()


def tidy(chunks: Iterable[Chunk | None], model: str) -> Iterator[Chunk | None]:
    """Yield the chunks without the engine's additions, and with one usage for all choices, last."""
    last: Chunk | None = None
    for chunk in chunks:
        if chunk is None or "prompt_progress" in chunk:
            yield None
            continue
        public = {k: v for k, v in chunk.items() if k not in PRIVATE} | {"model": model}
        if public["choices"]:
            yield public
        elif last is None:
            last = public
        else:
            for count in ("completion_tokens", "total_tokens"):
                last["usage"][count] += public["usage"]["completion_tokens"]
    if last:
        yield last


def _event(data: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(data, separators=(",", ":")).encode() + b"\n\n"


def _choice(index: int) -> dict[str, Any]:
    message = {"role": "assistant", "content": "", "refusal": None}
    return {"index": index, "message": message, "logprobs": None, "finish_reason": None}


def _add(choice: dict[str, Any], part: dict[str, Any]) -> None:
    """Add `part`, a chunk's share of a choice, to that `choice`."""
    message, delta = choice["message"], part["delta"]
    for name in ("content", "reasoning_content"):
        if delta.get(name) is not None:
            message[name] = (message.get(name) or "") + delta[name]
    for call in delta.get("tool_calls") or []:
        message["content"] = message["content"] or None
        _add_call(message.setdefault("tool_calls", []), call)
    if part.get("logprobs"):
        choice["logprobs"] = choice["logprobs"] or {"content": []}
        choice["logprobs"]["content"] += part["logprobs"]["content"]
    choice["finish_reason"] = part.get("finish_reason") or choice["finish_reason"]


def _add_call(calls: list[dict[str, Any]], part: dict[str, Any]) -> None:
    if part["index"] == len(calls):
        calls.append({"id": None, "type": "function", "function": {"name": "", "arguments": ""}})
    call = calls[part["index"]]
    call["id"] = part.get("id") or call["id"]
    for name, text in part.get("function", {}).items():
        call["function"][name] += text
