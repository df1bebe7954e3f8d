"""OpenAI's Responses, as far as they go without keeping anything."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify

from llm_api.dialects import responses
from llm_api.dialects.responses_writer import Writer
from llm_api.routes.answers import read_body
from llm_api.routes.translated import ask_chat, read_whole, respond_translated

blueprint = Blueprint("responses", __name__, url_prefix="/v1")


@blueprint.post("/responses")
async def create() -> Response:
    """Answer the input."""
    body = responses.read(read_body())
    stream = await ask_chat(responses.to_chat(body), responses.NAMES)
    writer = Writer(body, stream.routed.model)
    if body.get("stream"):
        return respond_translated(stream, writer)
    await read_whole(stream, writer)
    return jsonify(writer.response)
