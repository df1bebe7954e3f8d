"""The description of the HTTP interface, in OpenAPI 3.1.

Each module but `parts` describes the endpoints of one protocol: its `PATHS`, and the `SCHEMAS` of
what is sent and answered there. What clients send is described by the checks themselves.
"""

from __future__ import annotations

from typing import Any

from llm_api.openapi import legacy, messages, models, openai, parts, responses, service

MODULES = (openai, responses, messages, models, legacy, service)


def describe() -> dict[str, Any]:
    """Return the description."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "LLM API",
            "version": "1",
            "summary": "One address for many models, in the protocols that clients already speak.",
            "description": parts.INTRODUCTION,
            "license": {"name": "GPL-3.0-or-later", "identifier": "GPL-3.0-or-later"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": m.TAG, "description": m.ABOUT} for m in MODULES],
        "security": parts.SECURITY,
        "paths": {path: item for module in MODULES for path, item in module.PATHS.items()},
        "components": {
            "schemas": {
                **parts.SCHEMAS,
                **{name: schema for module in MODULES for name, schema in module.SCHEMAS.items()},
            },
            "responses": parts.RESPONSES,
            "headers": parts.HEADERS,
            "parameters": parts.PARAMETERS,
            "securitySchemes": parts.SECURITY_SCHEMES,
        },
    }
