"""Errors in the shape that OpenAI's clients understand."""

from __future__ import annotations

import logging

from flask import Flask, Response, jsonify
from werkzeug.exceptions import HTTPException

RETRY_AFTER = "2"


class ApiError(Exception):
    """An error for the client: its HTTP status, and what it says."""

    def __init__(
        self, status: int, message: str, *, code: str | None = None, param: str | None = None
    ) -> None:
        """Describe the error; `code` is for programs, `param` names the faulty parameter."""
        super().__init__(message)
        self.status = status
        self.body = error_body(status, message, code=code, param=param)


def error_body(
    status: int, message: str, *, code: str | None = None, param: str | None = None
) -> dict[str, dict[str, str | None]]:
    """Return the JSON body of an error."""
    kind = "invalid_request_error" if status < 500 else "server_error"  # noqa: PLR2004 (HTTP)
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def register(app: Flask) -> None:
    """Make `app` answer every error in this shape."""

    @app.errorhandler(ApiError)
    def api_error(error: ApiError) -> Response:
        response = jsonify(error.body)
        response.status_code = error.status
        if error.status == 503:  # noqa: PLR2004 (HTTP)
            response.headers["Retry-After"] = RETRY_AFTER
        return response

    @app.errorhandler(HTTPException)
    def http_error(error: HTTPException) -> Response:
        status = error.code or 500
        response = jsonify(error_body(status, error.description or error.name))
        response.status_code = status
        return response

    @app.errorhandler(Exception)
    def unexpected(error: Exception) -> Response:
        logging.getLogger(__name__).error("unexpected error", exc_info=error)
        response = jsonify(error_body(500, "The model failed. Its log says why."))
        response.status_code = 500
        return response
