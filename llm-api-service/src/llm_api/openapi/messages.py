"""Anthropic's Messages."""

from __future__ import annotations

from llm_api.dialects import anthropic
from llm_api.openapi.parts import (
    ASKING,
    Json,
    asking,
    described,
    errors,
    json_answer,
    schema_ref,
    whole_or_events,
)

TAG = "Messages"
ABOUT = "Anthropic's Messages, as a translation of a chat. Errors have Anthropic's shape, too."

COUNT = {
    "messages": "The conversation so far. The last message is not the model's.",
    "model": "One of `/v1/models`. Without one, or with `auto`, the default answers.",
    "system": "What comes before the conversation.",
    "tools": "Functions that the model may ask the client to call.",
    "tool_choice": "Whether it must.",
    "output_config": "Whether the answer is JSON, and how much a model that reasons should reason.",
    "thinking": "Whether to tell what the model thought before.",
    "cache_control": "Taken, and of no effect.",
}
REQUEST = {
    "max_tokens": "The most tokens to make.",
    **COUNT,
    "stream": "Whether the answer comes as server-sent events, as it is made.",
    "stop_sequences": "Texts that end the answer.",
    "temperature": "0 is the most predictable.",
    "top_p": "Only the most probable tokens that make up this share are used.",
    "top_k": "Only so many tokens, the most probable, are used.",
    "metadata": "The person for whom it is asked.",
}

_COUNT = {"type": "integer", "minimum": 0}
_TEXT_OR_NULL = {"type": ["string", "null"]}

SCHEMAS: Json = {
    "MessageRequest": described(anthropic.SCHEMA, REQUEST),
    "Message": {
        "type": "object",
        "required": ["id", "type", "role", "model", "content", "usage"],
        "properties": {
            "id": {"type": "string"},
            "type": {"const": "message"},
            "role": {"const": "assistant"},
            "model": {"type": "string"},
            "content": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["type"],
                    "properties": {
                        "type": {"enum": ["text", "tool_use", "thinking"]},
                        "text": {"type": "string"},
                        "thinking": {"type": "string"},
                        "id": {"type": "string"},
                        "name": {"type": "string"},
                        "input": {"type": "object"},
                    },
                },
            },
            "stop_reason": {
                **_TEXT_OR_NULL,
                "description": "`end_turn`, `max_tokens`, `stop_sequence`, `tool_use`, `refusal`.",
            },
            "stop_sequence": _TEXT_OR_NULL,
            "usage": {
                "type": "object",
                "description": "Tokens; an estimate where the provider does not count.",
                "properties": {"input_tokens": _COUNT, "output_tokens": _COUNT},
            },
        },
    },
    "MessageEvent": {
        "type": "object",
        "required": ["type"],
        "properties": {
            "type": {"type": "string", "description": "Such as `content_block_delta`."},
            "index": _COUNT,
            "delta": {"type": "object"},
            "message": schema_ref("Message"),
        },
    },
    "CountRequest": described(anthropic.COUNT_SCHEMA, COUNT),
    "Count": {
        "type": "object",
        "required": ["input_tokens"],
        "properties": {"input_tokens": {**_COUNT, "description": "An estimate."}},
    },
    "MessageError": {
        "type": "object",
        "required": ["type", "error", "request_id"],
        "properties": {
            "type": {"const": "error"},
            "error": {
                "type": "object",
                "required": ["type", "message"],
                "properties": {
                    "type": {"type": "string", "description": "What is wrong, for a program."},
                    "message": {"type": "string", "description": "What is wrong, for a person."},
                },
            },
            "request_id": {"type": "string"},
        },
    },
}

_FAILURES = {"application/json": {"schema": schema_ref("MessageError")}}
_FIRST = {
    "type": "content_block_delta",
    "index": 0,
    "delta": {"type": "text_delta", "text": "Paris"},
}
_MESSAGES = {"messages": [{"role": "user", "content": "What is the capital of France?"}]}
_QUESTION = {"max_tokens": 64, **_MESSAGES}

PATHS: Json = {
    "/v1/messages": asking(
        "createMessage",
        "Answer messages",
        "A stream ends with `message_stop`, or, if the provider breaks off, with an `error` event.",
        TAG,
        schema=schema_ref("MessageRequest"),
        examples={
            "whole": {"summary": "An answer", "value": _QUESTION},
            "stream": {"summary": "A stream", "value": {**_QUESTION, "stream": True}},
        },
        ok=whole_or_events("Message", "MessageEvent", first=_FIRST),
        failures=errors(*ASKING, content=_FAILURES),
    ),
    "/v1/messages/count_tokens": asking(
        "countTokens",
        "Estimate the tokens of messages",
        "No provider is asked: four characters are taken for a token.",
        TAG,
        schema=schema_ref("CountRequest"),
        examples={"one": {"summary": "A question", "value": _MESSAGES}},
        ok=json_answer("How many there are.", schema_ref("Count"), example={"input_tokens": 8}),
        failures=errors("400", "401", "403", "413", "429", "431", "500", content=_FAILURES),
    ),
}
