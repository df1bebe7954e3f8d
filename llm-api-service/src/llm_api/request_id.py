"""One id per request, in the answer, in the log, and taken from the client where it has one."""

from __future__ import annotations

import os
import re
from contextvars import ContextVar

from flask import Flask, Response, g, request

HEADER = "X-Request-ID"
current: ContextVar[str] = ContextVar("request_id", default="")
"""The id of the current request, also where that is not Flask's: for the log."""
SANE = re.compile(r"[A-Za-z0-9._-]{8,64}")


def register(app: Flask) -> None:
    """Give every request of `app` an id, as `g.request_id`, and return it with the answer."""

    @app.before_request
    def assign() -> None:
        given = request.headers.get(HEADER, "")
        g.request_id = given if SANE.fullmatch(given) else os.urandom(16).hex()
        current.set(g.request_id)

    @app.after_request
    def tell(response: Response) -> Response:
        response.headers[HEADER] = g.request_id
        return response
