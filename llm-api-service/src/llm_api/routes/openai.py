"""OpenAI's protocol: chats, as one answer or as a stream."""

from __future__ import annotations

from flask import Blueprint, Response, g, request

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
    asked = parse(request.get_data(), model=config.model, system_prompt=config.system_prompt)
    try:
        stream = service.chat(asked)
    except RefusedError as refusal:
        return Response(refusal.body, refusal.status, content_type="application/json")
    g.routed = stream.routed
    content_type = stream.routed.answer.content_type
    response = Response(stream, content_type=content_type)
    response.headers["X-Provider"] = stream.routed.provider
    if content_type.startswith(sse.CONTENT_TYPE):
        response.headers["Cache-Control"] = "no-store"
        response.headers["X-Accel-Buffering"] = "no"
    return response
