"""Free-GPT4-WEB-API's protocol: a question in the query, the answer as plain text."""

from __future__ import annotations

import json
from contextlib import closing
from http import HTTPStatus
from typing import Any

from flask import Blueprint, Response, request

from llm_api.chat_request import ChatRequest, parse
from llm_api.errors import ApiError
from llm_api.providers.base import RefusedError
from llm_api.routes.answers import ask
from llm_api.service import current_service
from llm_api.sources import remove_sources

blueprint = Blueprint("legacy", __name__)

NO_QUESTION = "<p id='response'>Please enter a question</p>"


@blueprint.get("/")
def answer_question() -> Response:
    """Answer the question in `text`."""
    question = request.args.get("text", "")
    if not question.strip():
        return Response(NO_QUESTION, content_type="text/html; charset=utf-8")
    settings = current_service().settings
    body = {"messages": [{"role": "user", "content": question}]}
    asked = parse(
        json.dumps(body).encode(), model=settings.model, system_prompt=settings.system_prompt
    )
    text = _text(_answer(asked))
    if settings.remove_sources:
        text = remove_sources(text)
    return Response(text, content_type="text/plain; charset=utf-8")


def _answer(asked: ChatRequest) -> bytes:
    try:
        stream = ask(asked)
    except RefusedError as refusal:
        raise ApiError(refusal.status, "The provider refused the question.") from refusal
    with closing(stream):
        return b"".join(stream)


def _text(answer: bytes) -> str:
    """Return the text of the chat completion `answer`."""
    try:
        message: dict[str, Any] = json.loads(answer)["choices"][0]["message"]
    except (ValueError, LookupError, TypeError) as error:
        raise ApiError(
            HTTPStatus.GATEWAY_TIMEOUT,
            "The provider's answer is no chat completion.",
            code="provider_unavailable",
        ) from error
    return str(message.get("content") or "")
