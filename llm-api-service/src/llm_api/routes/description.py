"""The description of the interface, for programs and for people."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response

from llm_api.openapi import describe, page

blueprint = Blueprint("description", __name__)

# The page needs nothing but itself.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'"


@blueprint.get("/openapi.json")
async def openapi() -> dict[str, Any]:
    """Describe the interface in OpenAPI 3.1."""
    return describe()


@blueprint.get("/docs")
async def docs() -> Response:
    """Show the description."""
    response = Response(page.render(describe()), content_type="text/html; charset=utf-8")
    response.headers["Content-Security-Policy"] = POLICY
    return response
