"""One id per request, in the answer, in the log, and taken from the client where it has one."""

from __future__ import annotations

import random
import re
from contextvars import ContextVar

from flask import Flask, Response, g, request

HEADER = "X-Request-ID"
VARIABLE = "HTTP_X_REQUEST_ID"
current: ContextVar[str] = ContextVar("request_id", default="")
"""The id of the current request, also where that is not Flask's: for the log."""
SANE = re.compile(r"[A-Za-z0-9._-]{8,64}")


def register(app: Flask) -> None:
    """Give every request of `app` an id, as `g.request_id`, and return it with the answer."""

    @app.before_request
    def assign() -> None:
        given = request.environ.get(VARIABLE, "")
        # Nobody has to be unable to guess it: no system call for each.
        chosen = given if SANE.fullmatch(given) else f"{random.getrandbits(128):032x}"
        g.request_id = chosen
        current.set(chosen)

    @app.after_request
    def tell(response: Response) -> Response:
        response.headers[HEADER] = current.get()
        return response
