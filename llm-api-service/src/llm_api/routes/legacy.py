"""Free-GPT4-WEB-API's protocol: a question in the query, the answer as plain text."""

from __future__ import annotations

import json
from contextlib import closing

from flask import Blueprint, Response, request

from llm_api.chat_request import parse
from llm_api.errors import ApiError
from llm_api.providers.base import RefusedError
from llm_api.service import current_service
from llm_api.sources import remove_sources

blueprint = Blueprint("legacy", __name__)

NO_QUESTION = "<p id='response'>Please enter a question</p>"


@blueprint.get("/")
def ask() -> Response:
    """Answer the question in `text`."""
    question = request.args.get("text", "")
    if not question.strip():
        return Response(NO_QUESTION, content_type="text/html; charset=utf-8")
    service = current_service()
    config = service.config
    body = {"messages": [{"role": "user", "content": question}]}
    asked = parse(json.dumps(body).encode(), model=config.model, system_prompt=config.system_prompt)
    try:
        routed, stream = service.chat(asked)
    except RefusedError as refusal:
        raise ApiError(refusal.status, "The provider refused the question.") from refusal
    with closing(stream):
        answer = json.loads(b"".join(stream))
    text = answer["choices"][0]["message"].get("content") or ""
    if config.remove_sources:
        text = remove_sources(text)
    response = Response(text, content_type="text/plain; charset=utf-8")
    response.headers["X-Provider"] = routed.provider
    return response
