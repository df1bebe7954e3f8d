"""Anthropic's Messages: what such a request asks of a chat.

Hints that change no answer (`cache_control` and the like) are taken and left at that. What cannot
be honoured is refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from llm_api.chat_request import MOST_STOPS
from llm_api.checks import (
    Check,
    a_list,
    a_map,
    an_object,
    either,
    fault,
    flag,
    number,
    one_of,
    read_object,
    text,
    whole,
)
from llm_api.dialects.strict import check_closed, closed, closed_schema, of_types, only

# Parameters of a chat, as clients of this protocol know them.
NAMES: Mapping[str, str] = {
    "max_completion_tokens": "max_tokens",
    "stop": "stop_sequences",
    "user": "metadata.user_id",
    "parallel_tool_calls": "tool_choice.disable_parallel_tool_use",
    "response_format": "output_config.format",
    "reasoning_effort": "output_config.effort",
}
ERRORS: Mapping[int, str] = {
    HTTPStatus.UNAUTHORIZED: "authentication_error",
    HTTPStatus.PAYMENT_REQUIRED: "billing_error",
    HTTPStatus.FORBIDDEN: "permission_error",
    HTTPStatus.NOT_FOUND: "not_found_error",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "request_too_large",
    HTTPStatus.TOO_MANY_REQUESTS: "rate_limit_error",
    HTTPStatus.SERVICE_UNAVAILABLE: "overloaded_error",
    HTTPStatus.GATEWAY_TIMEOUT: "timeout_error",
}
CHARACTERS_PER_TOKEN = 4
# About what one of a megapixel costs at most providers.
TOKENS_PER_IMAGE = 1500

Kinds = Mapping[str, tuple[Mapping[str, Check], Sequence[str]]]

_ANY = Check(lambda _where, _value: None, {})
_HINTS: Mapping[str, Check] = {"cache_control": an_object()}
_TEXT: Kinds = {"text": ({"text": text, "citations": only([]), **_HINTS}, ["text"])}
_SOURCES: Kinds = {
    "base64": ({"media_type": text, "data": text}, ["media_type", "data"]),
    "url": ({"url": text}, ["url"]),
}
_TEXTS = either(text, a_list(of_types(_TEXT)))
_OF_USER: Kinds = {
    **_TEXT,
    "image": ({"source": of_types(_SOURCES), **_HINTS}, ["source"]),
    "tool_result": (
        {"tool_use_id": text, "content": _TEXTS, "is_error": flag, **_HINTS},
        ["tool_use_id"],
    ),
}
_DIRECT = closed({"type": only("direct")}, ["type"])
_OF_MODEL: Kinds = {
    **_TEXT,
    "tool_use": (
        {"id": text, "name": text, "input": an_object(), "caller": _DIRECT, **_HINTS},
        ["id", "name", "input"],
    ),
    # The model's earlier thoughts are not shown to it again.
    "thinking": ({"thinking": text, "signature": text}, []),
    "redacted_thinking": ({"data": text}, []),
}
_MESSAGES = {
    "user": either(text, a_list(of_types(_OF_USER), least=1)),
    "assistant": either(text, a_list(of_types(_OF_MODEL))),
    "system": _TEXTS,
}


def _message(where: str, message: Any) -> None:
    _ROLE(where, message)
    _MESSAGES[message["role"]](f"{where}.content", message["content"])


_ROLE = closed({"role": one_of(*_MESSAGES), "content": _ANY}, ["role", "content"])
_MESSAGE = Check(
    _message,
    {
        "anyOf": [
            closed({"role": only(role), "content": content}, ["role", "content"]).schema
            for role, content in _MESSAGES.items()
        ]
    },
)
_TOOL: Mapping[str, Check] = {
    "name": text,
    "description": text,
    "input_schema": a_map(_ANY),
    "strict": flag,
    "allowed_callers": only(["direct"]),
    "defer_loading": only(False),
    # They stream as the provider sends them.
    "eager_input_streaming": flag,
    **_HINTS,
}
_ONE_AT_A_TIME = {"disable_parallel_tool_use": flag}
_CHOICES: Kinds = {
    "auto": (_ONE_AT_A_TIME, []),
    "any": (_ONE_AT_A_TIME, []),
    "tool": ({"name": text, **_ONE_AT_A_TIME}, ["name"]),
    "none": ({}, []),
}
_FORMATS: Kinds = {"json_schema": ({"schema": a_map(_ANY)}, ["schema"])}

COUNTED: Mapping[str, Check] = {
    "model": text,
    "messages": a_list(_MESSAGE, least=1),
    "system": _TEXTS,
    "tools": a_list(of_types({"custom": (_TOOL, ["name", "input_schema"])}, default="custom")),
    "tool_choice": of_types(_CHOICES),
    "output_config": closed({"effort": text, "format": of_types(_FORMATS)}),
    # A budget cannot be kept to: how long a model thinks is its provider's.
    "thinking": of_types({"disabled": ({}, []), "adaptive": ({"display": only("summarized")}, [])}),
    "speed": only("standard"),
    **_HINTS,
}
CHECKS: Mapping[str, Check] = {
    **COUNTED,
    "max_tokens": whole(1, 2**31),
    "stop_sequences": a_list(text, most=MOST_STOPS),
    "temperature": number(0, 1),
    "top_p": number(0, 1),
    "top_k": whole(0, 2**31),
    "metadata": closed({"user_id": text}),
    "service_tier": only("auto", "standard_only"),
    "stream": flag,
}
REQUIRED = ("max_tokens", "messages")
COUNT_REQUIRED = ("messages",)
# To have to choose, there must be tools.
_NO_CHOICE = {"required": ["type"], "properties": {"type": {"enum": ["auto", "none"]}}}
_TOOLS_TO_CHOOSE_FROM = {
    "anyOf": [
        {"required": ["tools"], "properties": {"tools": {"type": "array", "minItems": 1}}},
        {"properties": {"tool_choice": {"anyOf": [{"type": "null"}, _NO_CHOICE]}}},
    ]
}
SCHEMA = {**closed_schema(CHECKS, REQUIRED), **_TOOLS_TO_CHOOSE_FROM}
COUNT_SCHEMA = {**closed_schema(COUNTED, COUNT_REQUIRED), **_TOOLS_TO_CHOOSE_FROM}


def read(data: bytes) -> dict[str, Any]:
    """Return the request for a message in the JSON text `data`.

    Raises:
        ApiError: 400, naming the parameter at fault.
    """
    return _read(data, CHECKS, REQUIRED)


def read_count(data: bytes) -> dict[str, Any]:
    """Return the request for a count of tokens in the JSON text `data`.

    Raises:
        ApiError: 400, naming the parameter at fault.
    """
    return _read(data, COUNTED, COUNT_REQUIRED)


def _read(data: bytes, checks: Mapping[str, Check], required: Sequence[str]) -> dict[str, Any]:
    body = read_object(data)
    check_closed(body, checks, required)
    if body["messages"][-1]["role"] == "assistant":
        # Most providers would answer it instead of going on with it.
        raise fault("messages", "must not end with the answer's beginning")
    if not body.get("tools") and (body.get("tool_choice") or {}).get("type") in ("any", "tool"):
        raise fault("tool_choice", "needs tools to choose from")
    return body


def to_chat(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the chat that the request `body` asks for."""
    config = body.get("output_config") or {}
    chat: dict[str, Any] = {
        "model": body.get("model"),
        "messages": _messages(body),
        "max_tokens": body.get("max_tokens"),
        "stop": body.get("stop_sequences") or None,
        "user": (body.get("metadata") or {}).get("user_id"),
        "reasoning_effort": config.get("effort"),
        "response_format": _format(config.get("format")),
    }
    for name in ("temperature", "top_p", "top_k"):
        chat[name] = body.get(name)
    if body.get("tools"):
        chat["tools"] = [_tool(tool) for tool in body["tools"]]
        chat |= _choice(body.get("tool_choice") or {"type": "auto"})
    if body.get("stream"):
        chat |= {"stream": True, "stream_options": {"include_usage": True}}
    return {name: value for name, value in chat.items() if value is not None}


def count_tokens(chat: Mapping[str, Any]) -> int:
    """Return an estimate of the tokens of the messages and tools of `chat`."""
    characters, images = 0, 0
    for message in chat["messages"]:
        content = message.get("content") or ""
        for part in [{"text": content}] if isinstance(content, str) else content:
            characters += len(part.get("text", ""))
            images += "image_url" in part
        characters += _length(message.get("tool_calls"))
    characters += _length(chat.get("tools"))
    return tokens_in(characters) + images * TOKENS_PER_IMAGE


def _length(value: Any) -> int:
    return len(json.dumps(value)) if value else 0


def tokens_in(characters: int) -> int:
    """Return an estimate of the tokens in so many characters."""
    return -(-characters // CHARACTERS_PER_TOKEN)


def error_body(status: int, message: str, request_id: str) -> dict[str, Any]:
    """Return the JSON body of an error."""
    fallback = (
        "api_error" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else "invalid_request_error"
    )
    error = {"type": ERRORS.get(status, fallback), "message": message}
    return {"type": "error", "error": error, "request_id": request_id}


def _messages(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []
    if body.get("system"):
        messages.append({"role": "system", "content": _texts(body["system"])})
    for message in body["messages"]:
        role, content = message["role"], message["content"]
        if isinstance(content, str):
            messages.append({"role": role, "content": content})
        elif role == "system":
            messages.append({"role": role, "content": _texts(content)})
        elif role == "assistant":
            messages.append(_of_model(content))
        else:
            messages += _of_user(content)
    return messages


def _texts(content: str | Sequence[Mapping[str, Any]]) -> str:
    if isinstance(content, str):
        return content
    return "\n\n".join(block["text"] for block in content)


def _of_model(blocks: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    said = "".join(block["text"] for block in blocks if block["type"] == "text")
    calls = [_call(block) for block in blocks if block["type"] == "tool_use"]
    if calls:
        return {"role": "assistant", "content": said or None, "tool_calls": calls}
    return {"role": "assistant", "content": said}


def _call(block: Mapping[str, Any]) -> dict[str, Any]:
    function = {"name": block["name"], "arguments": json.dumps(block["input"])}
    return {"id": block["id"], "type": "function", "function": function}


def _of_user(blocks: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the results of tools, which are messages of their own in a chat, and the rest."""
    messages = [_result(block) for block in blocks if block["type"] == "tool_result"]
    rest = [_part(block) for block in blocks if block["type"] != "tool_result"]
    if len(rest) == 1 and rest[0]["type"] == "text":
        messages.append({"role": "user", "content": rest[0]["text"]})
    elif rest:
        messages.append({"role": "user", "content": rest})
    return messages


def _result(block: Mapping[str, Any]) -> dict[str, Any]:
    content = _texts(block.get("content") or "")
    if block.get("is_error"):
        # A chat has no other place for this.
        content = f"Error: {content}"
    return {"role": "tool", "tool_call_id": block["tool_use_id"], "content": content}


def _part(block: Mapping[str, Any]) -> dict[str, Any]:
    if block["type"] == "text":
        return {"type": "text", "text": block["text"]}
    source = block["source"]
    if source["type"] == "url":
        url = source["url"]
    else:
        url = f"data:{source['media_type']};base64,{source['data']}"
    return {"type": "image_url", "image_url": {"url": url}}


def _tool(tool: Mapping[str, Any]) -> dict[str, Any]:
    known = {"name": "name", "description": "description", "parameters": "input_schema"}
    function = {ours: tool[its] for ours, its in known.items() if tool.get(its) is not None}
    if tool.get("strict") is not None:
        function["strict"] = tool["strict"]
    return {"type": "function", "function": function}


def _choice(choice: Mapping[str, Any]) -> dict[str, Any]:
    match choice["type"]:
        case "any":
            asked: Any = "required"
        case "tool":
            asked = {"type": "function", "function": {"name": choice["name"]}}
        case kind:
            asked = kind
    at_once = {"parallel_tool_calls": False} if choice.get("disable_parallel_tool_use") else {}
    return {"tool_choice": asked, **at_once}


def _format(asked: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if not asked:
        return None
    schema = {"name": "answer", "schema": asked["schema"], "strict": True}
    return {"type": "json_schema", "json_schema": schema}
