"""From the body of a chat request to what the model is asked."""

from __future__ import annotations

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
        "model",
        "n",
        "presence_penalty",
        "reasoning_effort",
        "response_format",
        "seed",
        "stop",
        "stream",
        "stream_options",
        "temperature",
        "tool_choice",
        "tools",
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
    asked["messages"] = _messages(body.get("messages"), config)
    asked["max_tokens"] = _max_tokens(asked, config)
    asked.pop("max_completion_tokens", None)
    asked.setdefault("temperature", config.temperature)
    asked["model"] = config.model_id
    return asked


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
