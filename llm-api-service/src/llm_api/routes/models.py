"""Which models can be asked for, and who has them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from flask import Blueprint, Response, jsonify

from llm_api.errors import ApiError
from llm_api.service import current_service

blueprint = Blueprint("models", __name__)


@blueprint.get("/v1/models")
def openai_models() -> dict[str, Any]:
    """List the models in OpenAI's format."""
    return {"object": "list", "data": [_model(*entry) for entry in current_service().models()]}


@blueprint.get("/v1/models/<path:name>")
def openai_model(name: str) -> dict[str, Any]:
    """Describe one model in OpenAI's format."""
    for model, provider in current_service().models():
        if model == name:
            return _model(model, provider)
    raise ApiError(404, f"The model {name[:100]} does not exist here.", code="model_not_found")


@blueprint.get("/v1/providers")
def providers() -> dict[str, Any]:
    """List the providers, and how they do."""
    return {"object": "list", "data": [asdict(each) for each in current_service().providers()]}


@blueprint.get("/models")
def legacy_models() -> Response:
    """List the models' names, as Free-GPT4-WEB-API does."""
    return jsonify([model for model, _ in current_service().models()])


def _model(name: str, provider: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": provider}
