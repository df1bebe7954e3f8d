"""Whether the process lives, and whether it can answer."""

from __future__ import annotations

from flask import Blueprint

from llm_api.errors import ApiError
from llm_api.service import current_service

blueprint = Blueprint("health", __name__, url_prefix="/health")


@blueprint.get("")
@blueprint.get("/live")
def live() -> dict[str, str]:
    """Answer: the process takes requests."""
    return {"status": "live"}


@blueprint.get("/ready")
def ready() -> dict[str, str]:
    """Answer 200 if requests can be answered, and 503 if the provider loop is gone.

    A replica that was told to stop takes no connections any more, and so is not ready either.
    """
    if not current_service().ready:
        raise ApiError(503, "The provider loop does not run: restart this replica.", retry_after=5)
    return {"status": "ready"}
