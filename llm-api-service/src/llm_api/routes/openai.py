"""OpenAI's protocol: chats, as one answer or as a stream."""

from __future__ import annotations

from contextlib import closing

from flask import Blueprint, Response, g, request
from werkzeug.exceptions import RequestEntityTooLarge

from llm_api.chat_request import parse
from llm_api.providers import sse
from llm_api.providers.base import RefusedError
from llm_api.service import current_service

blueprint = Blueprint("openai", __name__, url_prefix="/v1")


@blueprint.post("/chat/completions")
def chat_completions() -> Response:
    """Answer a chat."""
    service = current_service()
    config = service.config
    asked = parse(_body(), model=config.model, system_prompt=config.system_prompt)
    try:
        stream = service.chat(asked)
    except RefusedError as refusal:
        return Response(refusal.body, refusal.status, content_type="application/json")
    g.routed = stream.routed
    content_type = stream.routed.answer.content_type
    if content_type.startswith(sse.CONTENT_TYPE):
        response = Response(stream, content_type=content_type)
        response.headers["Cache-Control"] = "no-store"
        response.headers["X-Accel-Buffering"] = "no"
    else:
        with closing(stream):
            response = Response(b"".join(stream), content_type=content_type)
    response.headers["X-Provider"] = stream.routed.provider
    return response


def _body() -> bytes:
    """Return the request's body.

    Raises:
        RequestEntityTooLarge: it is larger than it may be.
    """
    data = request.get_data(cache=False)
    # Flask cuts a body without a length off at the limit instead of refusing it.
    limit = request.max_content_length
    if request.content_length is None and limit is not None and len(data) >= limit:
        raise RequestEntityTooLarge
    return data
