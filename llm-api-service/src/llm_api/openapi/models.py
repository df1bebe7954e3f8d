"""The endpoints that list what can be asked for, and who answers."""

from __future__ import annotations

from llm_api.config import ADAPTERS
from llm_api.openapi.parts import ALWAYS, Json, json_answer, reading, schema_ref

TAG = "Models"
ABOUT = "Which models can be asked for, and how those who have them do."

_MODEL = {"id": "smollm2-135m", "object": "model", "created": 0, "owned_by": "local"}
_PROVIDER = {
    "name": "local",
    "adapter": "openai",
    "state": "available",
    "models": ["smollm2-135m"],
    "under_way": 2,
    "requests": 120,
    "success_rate": 0.99,
    "first_byte_seconds": 0.14,
    "last_error": "no answer in time",
    "last_error_at": 1795622400.0,
}

SCHEMAS: Json = {
    "Model": {
        "type": "object",
        "required": ["id", "object", "created", "owned_by"],
        "properties": {
            "id": {"type": "string", "description": "The name to ask for."},
            "object": {"const": "model"},
            "created": {"type": "integer"},
            "owned_by": {"type": "string", "description": "The first provider that has it."},
        },
    },
    "Models": {
        "type": "object",
        "required": ["object", "data"],
        "properties": {
            "object": {"const": "list"},
            "data": {"type": "array", "items": schema_ref("Model")},
        },
    },
    "Provider": {
        "type": "object",
        "required": list(_PROVIDER),
        "properties": {
            "name": {"type": "string"},
            "adapter": {"enum": list(ADAPTERS)},
            "state": {
                "enum": ["available", "failing", "offline", "off"],
                "description": "`failing`: it is left alone for a moment. `offline`: there is no "
                "way out of the cluster. `off`: it is not used, and `last_error` says why.",
            },
            "models": {
                "type": "array",
                "items": {"type": "string"},
                "description": "What it may be asked for. Empty means anything.",
            },
            "under_way": {"type": "integer", "minimum": 0, "description": "Requests now."},
            "requests": {
                "type": "integer",
                "minimum": 0,
                "description": "Requests to this replica that ended within five minutes.",
            },
            "success_rate": {
                "type": ["number", "null"],
                "minimum": 0,
                "maximum": 1,
                "description": "Share of them that were answered.",
            },
            "first_byte_seconds": {
                "type": ["number", "null"],
                "minimum": 0,
                "description": "Median time until an answer began.",
            },
            "last_error": {"type": "string", "description": "Why the last failure failed."},
            "last_error_at": {
                "type": ["number", "null"],
                "description": "When that was, in seconds since 1970.",
            },
        },
    },
    "Providers": {
        "type": "object",
        "required": ["object", "data"],
        "properties": {
            "object": {"const": "list"},
            "data": {"type": "array", "items": schema_ref("Provider")},
        },
    },
}

PATHS: Json = {
    "/v1/models": reading(
        "listModels",
        "List the models",
        TAG,
        ok=json_answer(
            "All models.", schema_ref("Models"), example={"object": "list", "data": [_MODEL]}
        ),
    ),
    "/v1/models/{id}": reading(
        "retrieveModel",
        "Describe a model",
        TAG,
        parameters=[
            {
                "name": "id",
                "in": "path",
                "required": True,
                "description": "The model's name. Slashes may be in it.",
                "schema": {"type": "string", "minLength": 1},
                "example": "smollm2-135m",
            }
        ],
        ok=json_answer("The model.", schema_ref("Model"), example=_MODEL),
        failures=(*ALWAYS, "404"),
    ),
    "/v1/providers": reading(
        "listProviders",
        "List the providers",
        TAG,
        ok=json_answer(
            "All providers, in the order in which they are asked, as this replica sees them.",
            schema_ref("Providers"),
            example={"object": "list", "data": [_PROVIDER]},
        ),
    ),
}
