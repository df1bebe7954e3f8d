"""Free-GPT4-WEB-API's protocol."""

from __future__ import annotations

from llm_api.openapi.parts import ASKING, Json, answer, json_answer, reading

TAG = "Free-GPT4-WEB-API"
ABOUT = "The protocol of the program that this service replaces, for its scripts."

SCHEMAS: Json = {}

PATHS: Json = {
    "/": reading(
        "ask",
        "Answer a question",
        TAG,
        parameters=[
            {
                "name": "text",
                "in": "query",
                "description": "The question. Without one, a page says that it is missing.",
                "schema": {"type": "string"},
                "example": "What is the capital of France?",
            }
        ],
        ok=answer(
            "The answer.",
            {
                "text/plain": {"schema": {"type": "string"}, "example": "Paris"},
                "text/html": {"schema": {"type": "string"}},
            },
            provider=True,
        ),
        failures=ASKING,
    ),
    "/models": reading(
        "listModelNames",
        "List the models' names",
        TAG,
        ok=json_answer(
            "The names.",
            {"type": "array", "items": {"type": "string"}},
            example=["smollm2-135m"],
        ),
    ),
}
