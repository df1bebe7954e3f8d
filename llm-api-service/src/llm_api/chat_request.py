"""A chat request: its body, checked once at the edge."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from llm_api.errors import ApiError

ROLES = ("system", "developer", "user", "assistant", "tool", "function")
# Parameters and their least and greatest values; the rest is the provider's to check.
RANGES: Mapping[str, tuple[type, float, float]] = {
    "temperature": (float, 0, 2),
    "top_p": (float, 0, 1),
    "frequency_penalty": (float, -2, 2),
    "presence_penalty": (float, -2, 2),
    "n": (int, 1, 128),
    "max_tokens": (int, 1, 2**31),
    "max_completion_tokens": (int, 1, 2**31),
    "top_logprobs": (int, 0, 20),
}
# What a message of the model may bring in place of a content.
INSTEAD_OF_CONTENT = ("tool_calls", "function_call", "refusal", "audio")
# Names that stand for the default.
DEFAULT_MODELS = ("", "auto", "default")
# How deep lists and objects may lie in each other.
MAX_DEPTH = 64


@dataclass(frozen=True)
class ChatRequest:
    """What a client asks for. `body` is the whole JSON object and is never changed."""

    body: Mapping[str, Any]
    raw: bytes | None = None
    """`body` as the client wrote it, where nothing was added to it."""

    @property
    def stream(self) -> bool:
        """Whether the answer is wanted as a stream."""
        return bool(self.body.get("stream"))

    @cached_property
    def model(self) -> str:
        """The model that is wanted; empty means the default."""
        model = self.body.get("model") or ""
        return "" if model in DEFAULT_MODELS else model

    def for_model(self, model: str) -> bytes:
        """Return the body to send to a provider that calls the model `model`."""
        if self.raw is not None and self.body.get("model") == model:
            return self.raw
        return json.dumps({**self.body, "model": model}).encode()


def parse(data: bytes, *, model: str = "", system_prompt: str = "") -> ChatRequest:
    """Return the request in the JSON text `data`.

    Args:
        data: the body of the HTTP request.
        model: used where the request names none.
        system_prompt: put before messages that bring no system message.

    Raises:
        ApiError: 400, naming the parameter at fault.
    """
    body = _read(data)
    _check(body)
    added: dict[str, Any] = {}
    if model and (body.get("model") or "") in DEFAULT_MODELS:
        added["model"] = model
    if system_prompt and not any(m["role"] in ("system", "developer") for m in body["messages"]):
        system = {"role": "system", "content": system_prompt}
        added["messages"] = [system, *body["messages"]]
    return ChatRequest({**body, **added}, None if added else data)


def _read(data: bytes) -> dict[str, Any]:
    try:
        body = json.loads(data.decode(), parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise ApiError(400, "The body is no valid JSON in UTF-8.", code="invalid_json") from None
    if not isinstance(body, dict):
        raise ApiError(400, "The body must be a JSON object.", code="invalid_json")
    # Each level takes a bracket: most bodies have too few of them to be counted level by level.
    if data.count(b"[") + data.count(b"{") > MAX_DEPTH and _deeper_than(MAX_DEPTH, body):
        message = f"The body has more than {MAX_DEPTH} levels of lists and objects."
        raise ApiError(400, message, code="invalid_json")
    return body


def _no_constant(name: str) -> None:
    """Refuse `NaN` and `Infinity`, which Python reads and JSON does not have."""
    raise ValueError(name)


def _deeper_than(depth: int, value: Any) -> bool:
    """Return whether `value` has more than `depth` levels of lists and objects."""
    level = [value]
    for _ in range(depth):
        values = (v.values() if isinstance(v, dict) else v for v in level)
        level = [item for items in values for item in items if isinstance(item, dict | list)]
    return bool(level)


def _check(body: Mapping[str, Any]) -> None:
    if not isinstance(body.get("model"), str | None):
        raise _fault("model", "must be a text")
    if not isinstance(body.get("stream"), bool | None):
        raise _fault("stream", "must be true or false")
    for name, (kind, low, high) in RANGES.items():
        value = body.get(name)
        if value is None:
            continue
        kinds = (int,) if kind is int else (int, float)
        if isinstance(value, bool) or not isinstance(value, kinds) or not low <= value <= high:
            sort = "whole number" if kind is int else "number"
            raise _fault(name, f"must be a {sort} from {low} to {high}")
    if not isinstance(body.get("stream_options"), dict | None):
        raise _fault("stream_options", "must be an object")
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise _fault("messages", "must be a list with at least one message")
    for index, message in enumerate(messages):
        _check_message(f"messages[{index}]", message)


def _check_message(where: str, message: Any) -> None:
    if not isinstance(message, dict):
        raise _fault(where, "must be an object")
    if message.get("role") not in ROLES:
        raise _fault(f"{where}.role", f"must be one of {', '.join(ROLES)}")
    content = message.get("content")
    if content is None and any(message.get(name) for name in INSTEAD_OF_CONTENT):
        return
    if isinstance(content, list) and all(
        isinstance(part, dict) and isinstance(part.get("type"), str) for part in content
    ):
        return
    if not isinstance(content, str):
        raise _fault(f"{where}.content", "must be a text or a list of content parts")


def _fault(param: str, problem: str) -> ApiError:
    return ApiError(400, f"{param} {problem}.", param=param, code="invalid_value")
