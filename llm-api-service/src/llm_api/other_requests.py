"""Requests for completions, embeddings and images: their bodies, checked once at the edge."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from llm_api import chat_request
from llm_api.chat_request import GENERATION, ChatRequest
from llm_api.checks import (
    Check,
    a_list,
    check_all,
    fault,
    flag,
    missing,
    one_of,
    read_object,
    text,
    whole,
)
from llm_api.operations import (
    DEFAULT_MODELS,
    EmbeddingsRequest,
    ImagesRequest,
    Operation,
    Request,
)

_TOKEN = whole(0, 2**31)


_TEXTS = a_list(text, least=1)
_TOKENS = a_list(_TOKEN, least=1)
_MANY_TOKENS = a_list(_TOKENS, least=1)


def _texts_or_tokens(where: str, value: Any) -> None:
    if isinstance(value, str):
        return
    if not isinstance(value, list) or not value:
        raise fault(where, "must be a text, or a list of texts or tokens with at least one item")
    first = value[0]
    of = _TEXTS if isinstance(first, str) else _TOKENS
    (_MANY_TOKENS if isinstance(first, list) else of)(where, value)


TEXTS_OR_TOKENS = Check(
    _texts_or_tokens,
    {"anyOf": [check.schema for check in (text, _TEXTS, _TOKENS, _MANY_TOKENS)]},
)


COMPLETION: Mapping[str, Check] = {
    **GENERATION,
    "prompt": TEXTS_OR_TOKENS,
    "best_of": whole(1, 20),
    "echo": flag,
    "logprobs": whole(0, 5),
    "suffix": text,
}
_COMPLETION_ONLY = ("prompt", "echo", "suffix", "logprobs", "best_of")
EMBEDDINGS: Mapping[str, Check] = {
    "model": text,
    "input": TEXTS_OR_TOKENS,
    "encoding_format": one_of("float", "base64"),
    "dimensions": whole(1, 2**31),
    "user": text,
}


def _not_empty(where: str, value: Any) -> None:
    text(where, value)
    if not value:
        raise fault(where, "must not be empty")


def _no_stream(where: str, value: Any) -> None:
    flag(where, value)
    if value:
        raise fault(where, "must be false: images come whole only")


IMAGES: Mapping[str, Check] = {
    "model": text,
    "prompt": Check(_not_empty, {"type": "string", "minLength": 1}),
    "n": whole(1, 10),
    "size": text,
    "quality": text,
    "style": text,
    "response_format": one_of("url", "b64_json"),
    "background": text,
    "moderation": text,
    "output_format": text,
    "output_compression": whole(0, 100),
    "stream": Check(_no_stream, {"const": False}),
    "user": text,
}


@dataclass(frozen=True)
class CompletionRequest(Request):
    """A request for the continuation of a text."""

    operation = Operation.COMPLETIONS

    system_prompt: str = ""
    """For providers that have to be asked for it as a chat."""

    def unlike_a_chat(self) -> str | None:
        """Return the name of a parameter that a chat has nothing for."""
        body = self.body
        prompt = body["prompt"]
        if isinstance(prompt, list) and (len(prompt) > 1 or not isinstance(prompt[0], str)):
            return "prompt"
        for name in ("echo", "suffix"):
            if body.get(name):
                return name
        if body.get("logprobs") is not None:
            return "logprobs"
        return "best_of" if (body.get("best_of") or 1) > (body.get("n") or 1) else None

    def as_chat(self) -> ChatRequest:
        """Return a chat request for the same, where nothing is unlike a chat."""
        body = {k: v for k, v in self.body.items() if k not in _COMPLETION_ONLY}
        prompt = self.body["prompt"]
        question = {"role": "user", "content": prompt if isinstance(prompt, str) else prompt[0]}
        return chat_request.from_body(
            {**body, "messages": [question]}, system_prompt=self.system_prompt
        )


def parse_completion(data: bytes, *, model: str = "", system_prompt: str = "") -> CompletionRequest:
    """Return the request for a completion in the JSON text `data`.

    Args:
        data: the body of the HTTP request.
        model: used where the request names none.
        system_prompt: used where the provider has to be asked for a chat.

    Raises:
        ApiError: 400, naming the parameter at fault.
    """
    body = _checked(data, COMPLETION, "prompt")
    if model and (body.get("model") or "") in DEFAULT_MODELS:
        return CompletionRequest({**body, "model": model}, None, system_prompt)
    return CompletionRequest(body, data, system_prompt)


def parse_embeddings(data: bytes) -> EmbeddingsRequest:
    """Return the request for embeddings in the JSON text `data`.

    Raises:
        ApiError: 400, naming the parameter at fault.
    """
    return EmbeddingsRequest(_checked(data, EMBEDDINGS, "input"), data)


def parse_images(data: bytes) -> ImagesRequest:
    """Return the request for images in the JSON text `data`.

    Raises:
        ApiError: 400, naming the parameter at fault.
    """
    return ImagesRequest(_checked(data, IMAGES, "prompt"), data)


def _checked(data: bytes, checks: Mapping[str, Check], required: str) -> dict[str, Any]:
    body = read_object(data)
    check_all(body, checks)
    if body.get(required) is None:
        raise missing(required)
    return body
