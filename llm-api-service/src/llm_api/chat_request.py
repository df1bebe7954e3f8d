"""A chat request: its body, checked once at the edge."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llm_api.checks import (
    Check,
    Schema,
    a_list,
    a_map,
    an_object,
    by_type,
    check_all,
    either,
    fault,
    flag,
    missing,
    number,
    one_of,
    read_object,
    text,
    whole,
)
from llm_api.operations import DEFAULT_MODELS, Operation, Request

ROLES = ("system", "developer", "user", "assistant", "tool", "function")
# What a message of the model may bring in place of a content.
INSTEAD_OF_CONTENT = ("tool_calls", "function_call", "refusal", "audio")
MOST_STOPS = 4

# What all operations that generate text take.
GENERATION: Mapping[str, Check] = {
    "model": text,
    "stream": flag,
    "stream_options": an_object({"include_usage": flag}),
    "temperature": number(0, 2),
    "top_p": number(0, 1),
    "frequency_penalty": number(-2, 2),
    "presence_penalty": number(-2, 2),
    "n": whole(1, 128),
    "max_tokens": whole(1, 2**31),
    "seed": whole(-(2**63), 2**63 - 1),
    "stop": either(text, a_list(text, least=1, most=MOST_STOPS)),
    "logit_bias": a_map(number(-100, 100)),
    "user": text,
}
_NAMED = an_object({"name": text}, required=["name"])
_CALL = an_object(
    {
        "id": text,
        "type": text,
        "function": an_object({"name": text, "arguments": text}, required=["name"]),
    }
)
_PARTS: Mapping[str, Check] = {
    "text": an_object({"text": text}, required=["text"]),
    "refusal": an_object({"refusal": text}, required=["refusal"]),
    "image_url": an_object(
        {"image_url": an_object({"url": text}, required=["url"])}, required=["image_url"]
    ),
    "input_audio": an_object(
        {"input_audio": an_object({"data": text, "format": text}, required=["data", "format"])},
        required=["input_audio"],
    ),
    "file": an_object({"file": an_object()}, required=["file"]),
}


_KNOWN_IN_MESSAGES: Mapping[str, Check] = {
    "content": either(text, a_list(by_type(_PARTS), least=1)),
    "name": text,
    "tool_call_id": text,
    "tool_calls": a_list(_CALL),
    "function_call": _NAMED,
    "refusal": text,
    "audio": an_object(),
}
_MESSAGE = an_object({"role": one_of(*ROLES), **_KNOWN_IN_MESSAGES}, required=["role"])


def _message(where: str, message: Any) -> None:
    _MESSAGE(where, message)
    if message.get("content") is None and not any(message.get(n) for n in INSTEAD_OF_CONTENT):
        raise fault(f"{where}.content", "must be a text or a list of content parts")


# What makes each of them more than nothing.
_FILLED: Mapping[str, Schema] = {
    "content": {"not": {"type": "null"}},
    "tool_calls": {"type": "array", "minItems": 1},
    "function_call": {"type": "object", "minProperties": 1},
    "refusal": {"type": "string", "minLength": 1},
    "audio": {"type": "object", "minProperties": 1},
}
MESSAGE = Check(
    _message,
    {
        **_MESSAGE.schema,
        "anyOf": [
            {"required": [name], "properties": {name: filled}} for name, filled in _FILLED.items()
        ],
    },
)

# The rest is the provider's to check, and so is what the service does not know.
CHAT: Mapping[str, Check] = {
    **GENERATION,
    "messages": a_list(MESSAGE, least=1),
    "max_completion_tokens": whole(1, 2**31),
    "logprobs": flag,
    "top_logprobs": whole(0, 20),
    "tools": a_list(an_object({"type": text, "function": _NAMED}, required=["type"])),
    "tool_choice": either(text, an_object({"type": text, "function": _NAMED}, required=["type"])),
    "parallel_tool_calls": flag,
    "functions": a_list(_NAMED),
    "function_call": either(text, _NAMED),
    "response_format": an_object({"type": text, "json_schema": an_object()}, required=["type"]),
    "reasoning_effort": text,
    "modalities": a_list(text),
    "metadata": a_map(text),
    "store": flag,
    "service_tier": text,
}


class ChatRequest(Request):
    """A request for the next message of a conversation."""

    operation = Operation.CHAT


def parse(data: bytes, *, model: str = "", system_prompt: str = "") -> ChatRequest:
    """Return the request in the JSON text `data`.

    Args:
        data: the body of the HTTP request.
        model: used where the request names none.
        system_prompt: put before messages that bring no system message.

    Raises:
        ApiError: 400, naming the parameter at fault.
    """
    return from_body(read_object(data), data, model=model, system_prompt=system_prompt)


def from_body(
    body: Mapping[str, Any],
    raw: bytes | None = None,
    *,
    model: str = "",
    system_prompt: str = "",
) -> ChatRequest:
    """Return the request with the JSON object `body`, which was read from `raw` if that is given.

    The rest is as in `parse`.
    """
    check_all(body, CHAT)
    if body.get("messages") is None:
        raise missing("messages")
    added: dict[str, Any] = {}
    if model and (body.get("model") or "") in DEFAULT_MODELS:
        added["model"] = model
    if system_prompt and not any(m["role"] in ("system", "developer") for m in body["messages"]):
        system = {"role": "system", "content": system_prompt}
        added["messages"] = [system, *body["messages"]]
    return ChatRequest({**body, **added}, None if added else raw)
