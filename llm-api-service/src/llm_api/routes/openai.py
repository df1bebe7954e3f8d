"""OpenAI's protocol: chats, as one answer or as a stream."""

from __future__ import annotations

from flask import Blueprint, Response

from llm_api.chat_request import parse
from llm_api.routes.answers import read_body, relay
from llm_api.service import current_service

blueprint = Blueprint("openai", __name__, url_prefix="/v1")


@blueprint.post("/chat/completions")
def chat_completions() -> Response:
    """Answer a chat."""
    config = current_service().config
    return relay(parse(read_body(), model=config.model, system_prompt=config.system_prompt))
