"""The endpoints that list what can be asked for."""

from __future__ import annotations

from llm_api.openapi.parts import ALWAYS, Json, json_answer, reading, schema_ref

TAG = "Models"
ABOUT = "Which models can be asked for."

_MODEL = {"id": "smollm2-135m", "object": "model", "created": 0, "owned_by": "local"}

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
}
