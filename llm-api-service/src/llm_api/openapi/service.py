"""The endpoints about the service itself."""

from __future__ import annotations

from llm_api.openapi.parts import Json, json_answer, reading

TAG = "Service"
ABOUT = "The service itself."

SCHEMAS: Json = {}


def _health(name: str, summary: str, status: str, *, failures: tuple[str, ...] = ()) -> Json:
    schema = {"type": "object", "required": ["status"], "properties": {"status": {"const": status}}}
    return reading(
        name,
        summary,
        TAG,
        ok=json_answer("Yes.", schema, example={"status": status}),
        failures=("431", "500", *failures),
        needs_token=False,
    )


PATHS: Json = {
    "/health": _health("isAlive", "Whether the process takes requests", "live"),
    "/health/live": _health("isLive", "Whether the process takes requests", "live"),
    "/health/ready": _health(
        "isReady", "Whether requests can be answered", "ready", failures=("503",)
    ),
    "/openapi.json": reading(
        "describe",
        "Describe the interface",
        TAG,
        ok=json_answer("This description.", {"type": "object"}),
        failures=("431", "500"),
        needs_token=False,
    ),
}
