"""Whether the process lives, and whether it can answer."""

from __future__ import annotations

from flask import Blueprint

from llm_api.errors import ApiError
from llm_api.service import current_service

blueprint = Blueprint("health", __name__, url_prefix="/health")


@blueprint.get("")
@blueprint.get("/live")
async def live() -> dict[str, str]:
    """Answer: the process takes requests."""
    return {"status": "live"}


@blueprint.get("/ready")
async def ready() -> dict[str, str]:
    """Answer 200 if requests can be answered, and 503 before the service has started.

    A replica that was told to stop takes no connections any more, and so is not ready either.
    """
    if not current_service().ready:
        raise ApiError(503, "This replica has not started yet.", retry_after=5)
    return {"status": "ready"}
