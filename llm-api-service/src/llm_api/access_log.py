"""A log line for each request, once its answer has been sent or its client has gone."""

from __future__ import annotations

import logging
import time

from flask import Flask, Response, g, request

from llm_api.providers.base import Routed

logger = logging.getLogger(__name__)


def register(app: Flask) -> None:
    """Log the requests of `app`."""

    @app.before_request
    def start() -> None:
        g.start = time.monotonic()

    @app.after_request
    def watch(response: Response) -> Response:
        begun = g.start
        routed: Routed | None = g.get("routed")
        # The path without the query: the old protocol carries prompts and tokens there.
        fields = {
            "request_id": g.request_id,
            "method": request.method,
            "path": request.path,
            "status": response.status_code,
            "provider": routed and routed.provider,
            "model": routed and routed.model,
            "first_byte_seconds": _since(begun),
        }

        def end() -> None:
            logger.info("request", extra={"fields": fields | {"seconds": _since(begun)}})

        response.call_on_close(end)
        return response


def _since(begun: float) -> float:
    return round(time.monotonic() - begun, 4)
