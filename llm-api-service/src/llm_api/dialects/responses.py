"""OpenAI's Responses: what such a request asks of a chat.

Nothing is kept here between requests, and there are no tools but the client's own. So whatever
refers to earlier responses, files or built-in tools is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from llm_api.checks import (
    Check,
    a_list,
    a_map,
    either,
    fault,
    flag,
    number,
    one_of,
    read_object,
    text,
    whole,
)
from llm_api.dialects.strict import (
    a_kind,
    by_kind,
    check_closed,
    closed,
    closed_schema,
    of_types,
    only,
)

# Parameters of a chat, as clients of this protocol know them.
NAMES: Mapping[str, str] = {
    "messages": "input",
    "max_tokens": "max_output_tokens",
    "max_completion_tokens": "max_output_tokens",
    "response_format": "text.format",
    "reasoning_effort": "reasoning.effort",
    "verbosity": "text.verbosity",
}
ROLES = ("system", "developer", "user", "assistant")

_STATUS = one_of("in_progress", "completed", "incomplete")
_ANY = Check(lambda _where, _value: None, {})
_DATA = closed({"data": text, "format": text}, ["data", "format"])
Kinds = Mapping[str, tuple[Mapping[str, Check], Sequence[str]]]

_TEXT_PARTS: Kinds = {"input_text": ({"text": text}, ["text"])}
_PARTS: Kinds = {
    **_TEXT_PARTS,
    "input_image": ({"image_url": text, "detail": text}, ["image_url"]),
    "input_audio": ({"input_audio": _DATA}, ["input_audio"]),
}
# What the model said before. Clients that write it themselves call it an input.
_PARTS_OF_MODEL: Kinds = {
    **_TEXT_PARTS,
    "output_text": ({"text": text, "annotations": _ANY, "logprobs": _ANY}, ["text"]),
    "refusal": ({"refusal": text}, ["refusal"]),
}
_CONTENTS: Mapping[str, Check] = {
    role: either(
        text, a_list(of_types(_PARTS_OF_MODEL if role == "assistant" else _PARTS), least=1)
    )
    for role in ROLES
}


def _message_of(roles: Sequence[str], content: Check) -> Check:
    known = {"role": one_of(*roles), "content": content}
    more = {"id": text, "status": _STATUS, "phase": text}
    return a_kind("message", {**known, **more}, ["role", "content"], named=False)


_MESSAGE_OF_ANY = _message_of(ROLES, _ANY)


def _a_message(where: str, value: Any) -> None:
    _MESSAGE_OF_ANY(where, value)
    _CONTENTS[value["role"]](f"{where}.content", value["content"])


_OTHERS = [role for role in ROLES if role != "assistant"]
_VARIANTS = (
    _message_of(_OTHERS, _CONTENTS["user"]),
    _message_of(["assistant"], _CONTENTS["assistant"]),
)
_MESSAGE = Check(_a_message, {"anyOf": [variant.schema for variant in _VARIANTS]})
_OTHER_ITEMS: Kinds = {
    "function_call": (
        {"call_id": text, "name": text, "arguments": text, "id": text, "status": _STATUS},
        ["call_id", "name", "arguments"],
    ),
    "function_call_output": (
        {
            "call_id": text,
            "output": either(text, a_list(of_types(_TEXT_PARTS), least=1)),
            "id": text,
            "status": _STATUS,
        },
        ["call_id", "output"],
    ),
    # The model's earlier thoughts are not shown to it again.
    "reasoning": (
        {
            "id": text,
            "summary": _ANY,
            "content": _ANY,
            "status": _STATUS,
            "encrypted_content": _ANY,
        },
        [],
    ),
}
_ITEM = by_kind(
    {"message": _MESSAGE, **{name: a_kind(name, *kind) for name, kind in _OTHER_ITEMS.items()}},
    default="message",
)
_ITEMS = a_list(_ITEM, least=1)


def _items(where: str, value: Any) -> None:
    _ITEMS(where, value)
    if all(item.get("type") == "reasoning" for item in value):
        raise fault(where, "must have more than reasoning")


_REASONING = {"required": ["type"], "properties": {"type": {"const": "reasoning"}}}
_INPUT = Check(_items, {**_ITEMS.schema, "contains": {"not": _REASONING}})
_FUNCTION = {
    "name": text,
    "description": text,
    "parameters": a_map(_ANY),
    "strict": flag,
}
_FORMATS: Mapping[str, tuple[Mapping[str, Check], Sequence[str]]] = {
    "text": ({}, []),
    "json_object": ({}, []),
    "json_schema": (
        {"name": text, "description": text, "schema": a_map(_ANY), "strict": flag},
        ["name", "schema"],
    ),
}
_CHOICES = of_types({"function": ({"name": text}, ["name"])})

CHECKS: Mapping[str, Check] = {
    "model": text,
    "input": either(text, _INPUT),
    "instructions": text,
    "max_output_tokens": whole(1, 2**31),
    "temperature": number(0, 2),
    "top_p": number(0, 1),
    "tools": a_list(of_types({"function": (_FUNCTION, ["name"])})),
    "tool_choice": either(one_of("none", "auto", "required"), _CHOICES),
    "parallel_tool_calls": flag,
    "text": closed({"format": of_types(_FORMATS), "verbosity": one_of("low", "medium", "high")}),
    "reasoning": closed(
        {
            "effort": text,
            # Summaries are what the provider gives away, whichever sort is asked for.
            "summary": one_of("auto", "concise", "detailed"),
            "generate_summary": one_of("auto", "concise", "detailed"),
        }
    ),
    "metadata": a_map(text),
    "user": text,
    "safety_identifier": text,
    "prompt_cache_key": text,
    "stream": flag,
    # Nothing but what everybody does who has no such feature.
    "background": only(False),
    "include": only([]),
    "service_tier": only("auto", "default"),
    "store": only(False),
    "stream_options": closed({"include_obfuscation": only(False)}),
    "top_logprobs": only(0),
    "truncation": only("disabled"),
}
REQUIRED = ("input",)
# What is said of one parameter depends on another: to have to choose, there must be tools.
SCHEMA = {
    **closed_schema(CHECKS, REQUIRED),
    "anyOf": [
        {"required": ["tools"], "properties": {"tools": {"type": "array", "minItems": 1}}},
        {"properties": {"tool_choice": {"enum": [None, "none", "auto"]}}},
    ],
}


def read(data: bytes) -> dict[str, Any]:
    """Return the request in the JSON text `data`.

    Raises:
        ApiError: 400, naming the parameter at fault.
    """
    body = read_object(data)
    check_closed(body, CHECKS, REQUIRED)
    choice = body.get("tool_choice")
    if not body.get("tools") and choice not in (None, "none", "auto"):
        raise fault("tool_choice", "needs tools to choose from")
    return body


def to_chat(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the chat that the request `body` asks for."""
    chat: dict[str, Any] = {
        "model": body.get("model"),
        "messages": _messages(body),
        "max_tokens": body.get("max_output_tokens"),
        "response_format": _format((body.get("text") or {}).get("format")),
        "reasoning_effort": (body.get("reasoning") or {}).get("effort"),
    }
    verbosity = (body.get("text") or {}).get("verbosity")
    chat["verbosity"] = None if verbosity == "medium" else verbosity
    for name in ("temperature", "top_p", "user", "safety_identifier", "prompt_cache_key"):
        chat[name] = body.get(name)
    if body.get("tools"):
        chat["tools"] = [_tool(tool) for tool in body["tools"]]
        chat["tool_choice"] = _choice(body.get("tool_choice"))
        chat["parallel_tool_calls"] = body.get("parallel_tool_calls")
    if body.get("stream"):
        chat |= {"stream": True, "stream_options": {"include_usage": True}}
    return {name: value for name, value in chat.items() if value is not None}


def _messages(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []
    if body.get("instructions"):
        messages.append({"role": "system", "content": body["instructions"]})
    if isinstance(body["input"], str):
        return [*messages, {"role": "user", "content": body["input"]}]
    for item in body["input"]:
        match item.get("type") or "message":
            case "message":
                messages.append(_message(item))
            case "function_call":
                _caller(messages)["tool_calls"].append(_call(item))
            case "function_call_output":
                output = item["output"]
                content = output if isinstance(output, str) else _joined(output)
                called = {"tool_call_id": item["call_id"], "content": content}
                messages.append({"role": "tool", **called})
    return messages


def _message(item: Mapping[str, Any]) -> dict[str, Any]:
    role, content = item["role"], item["content"]
    if isinstance(content, str):
        return {"role": role, "content": content}
    if role == "assistant":
        refusal = "".join(part["refusal"] for part in content if part["type"] == "refusal")
        said = _joined(content)
        if refusal:
            return {"role": role, "content": said or None, "refusal": refusal}
        return {"role": role, "content": said}
    if len(content) == 1 and content[0]["type"] == "input_text":
        return {"role": role, "content": content[0]["text"]}
    return {"role": role, "content": [_part(part) for part in content]}


def _part(part: Mapping[str, Any]) -> dict[str, Any]:
    match part["type"]:
        case "input_image":
            image = {"url": part["image_url"], "detail": part.get("detail")}
            url = {name: value for name, value in image.items() if value is not None}
            return {"type": "image_url", "image_url": url}
        case "input_audio":
            return {"type": "input_audio", "input_audio": part["input_audio"]}
    return {"type": "text", "text": part["text"]}


def _joined(parts: Sequence[Mapping[str, Any]]) -> str:
    return "".join(part["text"] for part in parts if "text" in part)


def _caller(messages: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the message of the model at the end of `messages`, which calls functions."""
    if not messages or messages[-1]["role"] != "assistant":
        messages.append({"role": "assistant", "content": None})
    messages[-1].setdefault("tool_calls", [])
    return messages[-1]


def _call(item: Mapping[str, Any]) -> dict[str, Any]:
    function = {"name": item["name"], "arguments": item["arguments"]}
    return {"id": item["call_id"], "type": "function", "function": function}


def _tool(tool: Mapping[str, Any]) -> dict[str, Any]:
    function = {n: tool[n] for n in _FUNCTION if tool.get(n) is not None}
    return {"type": "function", "function": function}


def _choice(choice: Any) -> Any:
    if isinstance(choice, dict):
        return {"type": "function", "function": {"name": choice["name"]}}
    return choice


def _format(asked: Any) -> dict[str, Any] | None:
    if asked is None or asked["type"] == "text":
        return None
    if asked["type"] == "json_object":
        return {"type": "json_object"}
    known = ("name", "description", "schema", "strict")
    schema = {name: asked[name] for name in known if asked.get(name) is not None}
    return {"type": "json_schema", "json_schema": schema}
