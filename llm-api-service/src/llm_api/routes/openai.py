"""OpenAI's protocol: chats and completions, whole or as streams, embeddings, and images."""

from __future__ import annotations

from flask import Blueprint, Response

from llm_api import chat_request
from llm_api.other_requests import parse_completion, parse_embeddings, parse_images
from llm_api.routes.answers import read_body, relay
from llm_api.service import current_settings

blueprint = Blueprint("openai", __name__, url_prefix="/v1")


@blueprint.post("/chat/completions")
async def chat_completions() -> Response:
    """Answer a chat."""
    settings = current_settings()
    asked = chat_request.parse(
        read_body(), model=settings.model, system_prompt=settings.system_prompt
    )
    return await relay(asked)


@blueprint.post("/completions")
async def completions() -> Response:
    """Continue a text."""
    settings = current_settings()
    asked = parse_completion(
        read_body(), model=settings.model, system_prompt=settings.system_prompt
    )
    return await relay(asked)


@blueprint.post("/embeddings")
async def embeddings() -> Response:
    """Turn texts into vectors."""
    return await relay(parse_embeddings(read_body()))


@blueprint.post("/images/generations")
async def images() -> Response:
    """Make images."""
    return await relay(parse_images(read_body()))
