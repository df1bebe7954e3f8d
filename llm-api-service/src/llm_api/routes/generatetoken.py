"""Random tokens, as Free-GPT4-WEB-API makes them."""

from __future__ import annotations

import uuid

from flask import Blueprint, Response

blueprint = Blueprint("generatetoken", __name__)


@blueprint.route("/generatetoken", methods=["GET", "POST"])
async def generate() -> Response:
    """Return a UUID. It lets nobody in until an operator makes a token of it."""
    response = Response(str(uuid.uuid4()), content_type="text/plain; charset=utf-8")
    # Two callers must not be handed the same one.
    response.headers["Cache-Control"] = "no-store"
    return response
