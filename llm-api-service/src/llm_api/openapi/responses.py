"""OpenAI's Responses."""

from __future__ import annotations

from llm_api.dialects import responses
from llm_api.openapi.parts import Json, asking, described, schema_ref, whole_or_events

TAG = "Responses"
ABOUT = (
    "OpenAI's Responses, as a translation of a chat. Nothing is kept between requests, and there "
    "are no tools but the client's own: what would need that is refused."
)

REQUEST = {
    "input": "The conversation so far, or just a question.",
    "model": "One of `/v1/models`. Without one, or with `auto`, the default answers.",
    "instructions": "What comes before the conversation.",
    "stream": "Whether the answer comes as server-sent events, as it is made.",
    "max_output_tokens": "The most tokens to make.",
    "temperature": "0 is the most predictable.",
    "top_p": "Only the most probable tokens that make up this share are used.",
    "tools": "Functions that the model may ask the client to call.",
    "tool_choice": "Whether it must: `none`, `auto`, `required`, or a certain one.",
    "parallel_tool_calls": "Whether it may ask for several at once.",
    "text": "Whether the answer is JSON, and how long it is.",
    "reasoning": "How much a model that reasons should reason.",
    "metadata": "Pairs of texts that the answer repeats.",
    "user": "The person for whom it is asked.",
    "safety_identifier": "The same, for the provider's safety.",
    "prompt_cache_key": "Helps the provider to find what it has seen before.",
    "store": "Nothing is kept here.",
    "background": "There is no asking later.",
    "truncation": "What is too long is refused.",
}

_COUNT = {"type": "integer", "minimum": 0}
_TEXT_OR_NULL = {"type": ["string", "null"]}

SCHEMAS: Json = {
    "ResponseRequest": described(responses.SCHEMA, REQUEST),
    "Response": {
        "type": "object",
        "required": ["id", "object", "status", "model", "output"],
        "properties": {
            "id": {"type": "string"},
            "object": {"const": "response"},
            "created_at": {"type": "integer", "description": "Seconds since 1970."},
            "model": {"type": "string"},
            "status": {"enum": ["in_progress", "completed", "incomplete", "failed"]},
            "incomplete_details": {
                "type": ["object", "null"],
                "properties": {"reason": {"enum": ["max_output_tokens", "content_filter"]}},
            },
            "error": {
                "type": ["object", "null"],
                "properties": {"code": {"type": "string"}, "message": {"type": "string"}},
            },
            "output": {
                "type": "array",
                "description": "Messages, calls of functions, and reasoning.",
                "items": {
                    "type": "object",
                    "required": ["id", "type", "status"],
                    "properties": {
                        "id": {"type": "string"},
                        "type": {"enum": ["message", "function_call", "reasoning"]},
                        "status": {"enum": ["in_progress", "completed", "incomplete"]},
                        "content": {
                            "type": "array",
                            "items": {
                                "type": "object",
                                "required": ["type"],
                                "properties": {
                                    "type": {"enum": ["output_text", "refusal"]},
                                    "text": {"type": "string"},
                                    "refusal": {"type": "string"},
                                },
                            },
                        },
                        "summary": {
                            "type": "array",
                            "description": "What the model thought before.",
                            "items": {"type": "object", "properties": {"text": _TEXT_OR_NULL}},
                        },
                        "call_id": {"type": "string"},
                        "name": {"type": "string"},
                        "arguments": {"type": "string", "description": "JSON."},
                    },
                },
            },
            "store": {"const": False},
            "usage": {
                "type": ["object", "null"],
                "description": "Tokens, where the provider counts.",
                "properties": {
                    "input_tokens": _COUNT,
                    "output_tokens": _COUNT,
                    "total_tokens": _COUNT,
                },
            },
        },
    },
    "ResponseEvent": {
        "type": "object",
        "required": ["type", "sequence_number"],
        "properties": {
            "type": {"type": "string", "description": "Such as `response.output_text.delta`."},
            "sequence_number": _COUNT,
            "delta": {"type": "string"},
            "response": schema_ref("Response"),
        },
    },
}

_FIRST = {"type": "response.output_text.delta", "sequence_number": 4, "delta": "Paris"}
_QUESTION = {"input": "What is the capital of France?", "max_output_tokens": 64}

PATHS: Json = {
    "/v1/responses": asking(
        "createResponse",
        "Answer an input",
        "A stream ends with `response.completed`, `response.incomplete`, or, if the provider "
        "breaks off, `response.failed`.",
        TAG,
        schema=schema_ref("ResponseRequest"),
        examples={
            "whole": {"summary": "An answer", "value": _QUESTION},
            "stream": {"summary": "A stream", "value": {**_QUESTION, "stream": True}},
        },
        ok=whole_or_events("Response", "ResponseEvent", first=_FIRST),
    )
}
