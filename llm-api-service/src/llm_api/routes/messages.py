"""Anthropic's Messages."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, g, jsonify, request

from llm_api.dialects import anthropic
from llm_api.dialects.anthropic_writer import Writer
from llm_api.routes.answers import read_body
from llm_api.routes.translated import ask_chat, read_whole, respond_translated

PREFIX = "/v1/messages"

blueprint = Blueprint("messages", __name__, url_prefix=PREFIX)


def error(status: int, message: str) -> Response:
    """Return the answer to an error in Anthropic's shape."""
    response = jsonify(anthropic.error_body(status, message, g.request_id))
    response.status_code = status
    return response


@blueprint.after_app_request
def tell(response: Response) -> Response:
    """Name the request's id where Anthropic's clients look for it."""
    if request.path.startswith(PREFIX):
        response.headers["request-id"] = g.request_id
    return response


@blueprint.post("")
async def create() -> Response:
    """Answer the messages."""
    body = anthropic.read(read_body())
    chat = anthropic.to_chat(body)
    stream = await ask_chat(chat, anthropic.NAMES)
    writer = Writer(body, chat, stream.routed.model, g.request_id)
    if body.get("stream"):
        return respond_translated(stream, writer)
    await read_whole(stream, writer)
    return jsonify(writer.message)


@blueprint.post("/count_tokens")
async def count_tokens() -> dict[str, Any]:
    """Estimate how many tokens the messages are: no provider is asked."""
    chat = anthropic.to_chat(anthropic.read_count(read_body()))
    return {"input_tokens": anthropic.count_tokens(chat)}
