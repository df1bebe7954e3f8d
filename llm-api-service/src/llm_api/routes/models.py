"""Which models can be asked for, and who has them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from flask import Blueprint, Response, jsonify, request

from llm_api.errors import ApiError
from llm_api.service import current_service
from llm_api.settings import provider_names

blueprint = Blueprint("models", __name__)

# What the old protocol has for a provider of which nothing is known.
ANY_MODEL = "default"


@blueprint.get("/v1/models")
async def openai_models() -> dict[str, Any]:
    """List the models in OpenAI's format."""
    return {"object": "list", "data": [_model(*entry) for entry in current_service().models()]}


@blueprint.get("/v1/models/<path:name>")
async def openai_model(name: str) -> dict[str, Any]:
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
async def legacy_models() -> Response:
    """List the names of the models, all or those of a provider, as Free-GPT4-WEB-API does."""
    service, provider = current_service(), request.args.get("provider", "")
    if not provider_names(provider):
        return jsonify([model for model, _ in service.models()])
    return jsonify(service.models_of(provider) or [ANY_MODEL])


def _model(name: str, provider: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": provider}
