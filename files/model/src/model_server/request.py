"""From the body of a chat request to what the model is asked."""

from __future__ import annotations

import json
from typing import Any

from model_server.config import Config
from model_server.errors import ApiError

# What the model honours.
HONOURED = frozenset(
    [
        "frequency_penalty",
        "logit_bias",
        "logprobs",
        "max_completion_tokens",
        "max_tokens",
        "messages",
        "min_p",
        "model",
        "n",
        "presence_penalty",
        "reasoning_effort",
        "repeat_penalty",
        "response_format",
        "seed",
        "stop",
        "stream",
        "stream_options",
        "temperature",
        "tool_choice",
        "tools",
        "top_k",
        "top_logprobs",
        "top_p",
    ]
)
# What changes nothing about an answer, and is therefore no reason to refuse one.
HARMLESS = frozenset(
    [
        "metadata",
        "parallel_tool_calls",
        "prompt_cache_key",
        "safety_identifier",
        "service_tier",
        "store",
        "user",
    ]
)
# The rest is as the model likes it: what it takes in silence and should not.
RANGES: dict[str, tuple[float, float]] = {
    "frequency_penalty": (-2, 2),
    "min_p": (0, 1),
    "presence_penalty": (-2, 2),
    "repeat_penalty": (0, 2),
    "temperature": (0, 2),
    "top_k": (0, 100_000),
    "top_logprobs": (0, 20),
    "top_p": (0, 1),
}
OBJECTS = ("logit_bias", "response_format", "stream_options")
FLAGS = ("logprobs", "stream")
MAX_CONSTRAINTS = 8192
"""Characters of tools and response_format: what follows from them is weighed at each token, in the
one thread that generates for all, and ten times as many cost it seconds for each."""


def to_model(body: Any, config: Config) -> dict[str, Any]:
    """Return what the model is asked for the request `body`.

    Raises:
        ApiError: 400 for a body that cannot be answered, 404 for a model that is not here.
    """
    if not isinstance(body, dict):
        raise ApiError(400, "The body must be a JSON object.")
    for name in body:
        if name not in HONOURED | HARMLESS:
            raise ApiError(400, f"This model does not support {name}.", param=name)
    if body.get("model") not in (None, config.model_id):
        raise ApiError(
            404,
            f"The model {body['model']} does not exist here: {config.model_id} does.",
            code="model_not_found",
            param="model",
        )
    asked = {name: value for name, value in body.items() if name in HONOURED and value is not None}
    _check(asked)
    asked["messages"] = _messages(body.get("messages"), config)
    asked["max_tokens"] = _max_tokens(asked, config)
    asked.pop("max_completion_tokens", None)
    asked.setdefault("temperature", config.temperature)
    asked["model"] = config.model_id
    # Only a stream can be cancelled, and only one that reports its progress while it reads.
    asked |= {"stream": True, "return_progress": True, "stream_options": {"include_usage": True}}
    return asked


def _check(asked: dict[str, Any]) -> None:
    for name, (low, high) in RANGES.items():
        value = asked.get(name, low)
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or not low <= value <= high
        ):
            raise ApiError(400, f"{name} must be a number from {low} to {high}.", param=name)
    for name in OBJECTS:
        if not isinstance(asked.get(name, {}), dict):
            raise ApiError(400, f"{name} must be an object.", param=name)
    for name in FLAGS:
        if not isinstance(asked.get(name, False), bool):
            raise ApiError(400, f"{name} must be true or false.", param=name)
    stop = asked.get("stop", [])
    if not isinstance(stop, str) and not _is_strings(stop):
        raise ApiError(400, "stop must be a string or a list of strings.", param="stop")
    constraints = [asked[name] for name in ("response_format", "tools") if name in asked]
    if constraints and len(json.dumps(constraints)) > MAX_CONSTRAINTS:
        raise ApiError(
            400, f"response_format and tools are limited to {MAX_CONSTRAINTS} characters."
        )


def _is_strings(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _messages(messages: Any, config: Config) -> list[dict[str, Any]]:
    if not isinstance(messages, list) or not messages:
        raise ApiError(400, "messages must be a list with at least one message.", param="messages")
    if not all(isinstance(message, dict) and "role" in message for message in messages):
        raise ApiError(400, "Each message must be an object with a role.", param="messages")
    # The model knows no developer: to it, that is the system.
    known: list[dict[str, Any]] = [
        m | {"role": "system"} if m["role"] == "developer" else m for m in messages
    ]
    if config.system_prompt and not any(m["role"] == "system" for m in known):
        known.insert(0, {"role": "system", "content": config.system_prompt})
    return known


def _max_tokens(body: dict[str, Any], config: Config) -> int:
    asked = body.get("max_completion_tokens", body.get("max_tokens", config.max_tokens))
    if not isinstance(asked, int) or isinstance(asked, bool) or asked < 1:
        raise ApiError(400, "max_tokens must be a whole number from 1 on.", param="max_tokens")
    return min(asked, config.max_tokens)
