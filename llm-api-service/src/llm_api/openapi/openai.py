"""OpenAI's protocol: chats, completions, embeddings and images."""

from __future__ import annotations

from llm_api import chat_request, other_requests
from llm_api.openapi.parts import Json, answer, asking, body, json_answer, schema_ref
from llm_api.providers import sse

TAG = "OpenAI"
ABOUT = "OpenAI's protocol. What a provider cannot do is refused, and nothing is left out silently."

GENERATION = {
    "model": "One of `/v1/models`. Without one, or with `auto`, the default answers.",
    "stream": "Whether the answer comes as server-sent events, as it is made.",
    "stream_options": "`include_usage` adds a last chunk that counts the tokens.",
    "max_tokens": "The most tokens to make.",
    "temperature": "0 is the most predictable.",
    "top_p": "Only the most probable tokens that make up this share are used.",
    "n": "How many answers to make.",
    "stop": "Texts that end the answer.",
    "seed": "The same seed should give the same answer.",
    "presence_penalty": "Above 0 leads to new subjects.",
    "frequency_penalty": "Above 0 leads to fewer repetitions.",
    "logit_bias": "Makes tokens, by their number, more or less likely.",
    "user": "The person for whom it is asked.",
}
CHAT = {
    "messages": "The conversation so far.",
    **GENERATION,
    "max_completion_tokens": "The newer name of `max_tokens`.",
    "tools": "Functions that the model may ask the client to call.",
    "tool_choice": "Whether it must: `none`, `auto`, `required`, or a certain one.",
    "parallel_tool_calls": "Whether it may ask for several at once.",
    "response_format": "`json_object`, or `json_schema` with a schema, instead of `text`.",
    "logprobs": "Whether to tell how probable the tokens were.",
    "top_logprobs": "How many alternatives to tell for each token.",
    "reasoning_effort": "How much a model that reasons should reason.",
    "modalities": "Kinds of output.",
    "metadata": "Pairs of texts to keep with the request.",
    "store": "Whether the provider should keep the answer.",
    "service_tier": "The provider's class of service.",
    "functions": "The older form of `tools`.",
    "function_call": "The older form of `tool_choice`.",
}
COMPLETION = {
    "prompt": "What to continue. A provider that has only chats takes one text.",
    **GENERATION,
    "best_of": "How many to make, of which the best `n` are told. Not with a chat's provider.",
    "echo": "Whether to repeat the prompt. Not with a chat's provider.",
    "logprobs": "How many alternatives to tell for each token. Not with a chat's provider.",
    "suffix": "What comes after. Not with a chat's provider.",
}
EMBEDDINGS = {
    "input": "What to turn into vectors: a text, texts, or their tokens.",
    "model": "One that makes embeddings.",
    "encoding_format": "How to write the numbers.",
    "dimensions": "How many numbers a vector should have.",
    "user": GENERATION["user"],
}
IMAGES = {
    "prompt": "What the image should show.",
    "model": "One that makes images.",
    "n": "How many to make.",
    "size": "Such as `1024x1024`.",
    "response_format": "Whether to answer with a link, or with the image.",
    "quality": "Such as `hd`.",
    "style": "Such as `vivid`.",
    "background": "Such as `transparent`.",
    "moderation": "How strict the provider is.",
    "output_format": "Such as `png`.",
    "output_compression": "From 0 to 100.",
    "user": GENERATION["user"],
}

_COUNT = {"type": "integer", "minimum": 0}
_TEXT_OR_NULL = {"type": ["string", "null"]}
_BASE = {
    "id": {"type": "string"},
    "created": {"type": "integer", "description": "Seconds since 1970."},
    "model": {"type": "string"},
}
_CALLS = {"type": ["array", "null"], "items": {"type": "object"}}
_MESSAGE = {
    "type": "object",
    "properties": {
        "role": _TEXT_OR_NULL,
        "content": _TEXT_OR_NULL,
        "reasoning_content": {**_TEXT_OR_NULL, "description": "What the model thought before."},
        "refusal": _TEXT_OR_NULL,
        "tool_calls": _CALLS,
    },
}
_FINISH = {
    **_TEXT_OR_NULL,
    "description": "`stop`, `length`, `tool_calls` or `content_filter`; null before the end.",
}


def _choices(part: Json) -> Json:
    properties = {"index": {"type": "integer"}, **part, "finish_reason": _FINISH}
    return {"type": "array", "items": {"type": "object", "properties": properties}}


def _result(kind: str, properties: Json, *required: str) -> Json:
    whole = {**_BASE, "object": {"const": kind}, **properties, "usage": schema_ref("Usage")}
    return {"type": "object", "required": list(required), "properties": whole}


SCHEMAS: Json = {
    "ChatRequest": body(chat_request.CHAT, ["messages"], CHAT),
    "ChatCompletion": _result(
        "chat.completion", {"choices": _choices({"message": _MESSAGE})}, "choices"
    ),
    "ChatCompletionChunk": _result(
        "chat.completion.chunk", {"choices": _choices({"delta": _MESSAGE})}, "choices"
    ),
    "CompletionRequest": body(other_requests.COMPLETION, ["prompt"], COMPLETION),
    "Completion": _result(
        "text_completion", {"choices": _choices({"text": {"type": "string"}})}, "choices"
    ),
    "EmbeddingsRequest": body(other_requests.EMBEDDINGS, ["input"], EMBEDDINGS),
    "Embeddings": {
        "type": "object",
        "required": ["data"],
        "properties": {
            "object": {"const": "list"},
            "model": {"type": "string"},
            "data": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "object": {"const": "embedding"},
                        "index": _COUNT,
                        "embedding": {
                            "anyOf": [
                                {"type": "array", "items": {"type": "number"}},
                                {"type": "string", "contentEncoding": "base64"},
                            ]
                        },
                    },
                },
            },
            "usage": schema_ref("Usage"),
        },
    },
    "ImagesRequest": body(other_requests.IMAGES, ["prompt"], IMAGES),
    "Images": {
        "type": "object",
        "required": ["data"],
        "properties": {
            "created": {"type": "integer"},
            "data": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "url": _TEXT_OR_NULL,
                        "b64_json": _TEXT_OR_NULL,
                        "revised_prompt": _TEXT_OR_NULL,
                    },
                },
            },
        },
    },
    "Usage": {
        "type": ["object", "null"],
        "description": "Tokens; an estimate where the provider does not count.",
        "properties": {
            "prompt_tokens": _COUNT,
            "completion_tokens": _COUNT,
            "total_tokens": _COUNT,
        },
    },
}

STREAM = (
    "A stream has one event for each chunk and ends with `data: [DONE]`. While the provider is "
    "silent, it has a comment every ten seconds. If the provider breaks off, the last event is an "
    "error, and no `[DONE]` follows."
)


def _event(chunk: str) -> Json:
    content = {"contentMediaType": "application/json", "contentSchema": schema_ref(chunk)}
    data = {"anyOf": [{"const": sse.DONE_PAYLOAD.decode()}, {"type": "string", **content}]}
    return {
        "type": "object",
        "description": "One event of the stream.",
        "required": ["data"],
        "properties": {"data": data},
    }


def _whole_or_stream(name: str, chunk: str, example: Json) -> Json:
    return answer(
        f"The answer: whole, or a stream of `{chunk}` where `stream` is true.",
        {
            "application/json": {"schema": schema_ref(name)},
            "text/event-stream": {
                "schema": _event(chunk),
                "example": (sse.event(example) + sse.DONE).decode(),
            },
        },
        provider=True,
    )


_QUESTION = [{"role": "user", "content": "What is the capital of France?"}]
_PART = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "smollm2-135m"}
_DELTA = {"index": 0, "delta": {"role": "assistant", "content": "Paris"}, "finish_reason": None}
_CHUNK: Json = {**_PART, "choices": [_DELTA]}
_TEXT = {"index": 0, "text": "Paris", "logprobs": None, "finish_reason": None}
_TEXT_CHUNK: Json = {**_PART, "object": "text_completion", "choices": [_TEXT]}

PATHS: Json = {
    "/v1/chat/completions": asking(
        "createChatCompletion",
        "Answer a chat",
        f"Every parameter reaches the provider, also those that are not listed here. {STREAM}",
        TAG,
        schema=schema_ref("ChatRequest"),
        examples={
            "whole": {"summary": "An answer", "value": {"messages": _QUESTION, "max_tokens": 64}},
            "stream": {
                "summary": "A stream",
                "value": {"messages": _QUESTION, "max_tokens": 64, "stream": True},
            },
        },
        ok=_whole_or_stream("ChatCompletion", "ChatCompletionChunk", _CHUNK),
    ),
    "/v1/completions": asking(
        "createCompletion",
        "Continue a text",
        "A provider that has only chats is asked for a chat, with the prompt as the message. "
        f"{STREAM}",
        TAG,
        schema=schema_ref("CompletionRequest"),
        examples={
            "whole": {"summary": "A text", "value": {"prompt": "Once upon", "max_tokens": 64}}
        },
        ok=_whole_or_stream("Completion", "Completion", _TEXT_CHUNK),
    ),
    "/v1/embeddings": asking(
        "createEmbedding",
        "Turn texts into vectors",
        "By providers that say they have embeddings. The embedded model has none.",
        TAG,
        schema=schema_ref("EmbeddingsRequest"),
        examples={
            "two": {"summary": "Two texts", "value": {"model": "embedder", "input": ["a", "b"]}}
        },
        ok=json_answer("The vectors.", schema_ref("Embeddings"), provider=True),
    ),
    "/v1/images/generations": asking(
        "createImage",
        "Make images",
        "By providers that say they make images. The embedded model makes none.",
        TAG,
        schema=schema_ref("ImagesRequest"),
        examples={"cat": {"summary": "A cat", "value": {"prompt": "A cat", "size": "512x512"}}},
        ok=json_answer("The images.", schema_ref("Images"), provider=True),
    ),
}
