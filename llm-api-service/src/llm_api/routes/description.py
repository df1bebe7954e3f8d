"""The description of the interface, for programs and for people."""

from __future__ import annotations

from typing import Any

from flask import Blueprint

from llm_api.openapi import describe

blueprint = Blueprint("description", __name__)


@blueprint.get("/openapi.json")
def openapi() -> dict[str, Any]:
    """Describe the interface in OpenAPI 3.1."""
    return describe()
