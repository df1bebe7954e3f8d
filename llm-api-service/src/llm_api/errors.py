"""Errors in the shape that OpenAI's clients understand, for everything that can go wrong."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from http import HTTPStatus

from flask import Flask, Response, jsonify, request
from werkzeug.exceptions import HTTPException

logger = logging.getLogger(__name__)

ErrorBody = dict[str, dict[str, str | None]]
# Makes another protocol's answer to an error, from its status and its message.
Shape = Callable[[int, str], Response]


class ApiError(Exception):
    """An error for the client."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        retry_after: int | None = None,
    ) -> None:
        """Describe the error.

        Args:
            status: the HTTP status.
            message: what went wrong and what to do, for a person.
            code: the same for a program.
            param: the parameter that is at fault.
            retry_after: seconds after which trying again makes sense.
        """
        super().__init__(message)
        self.status = status
        self.body = error_body(status, message, code=code, param=param)
        self.retry_after = retry_after


def error_body(
    status: int, message: str, *, code: str | None = None, param: str | None = None
) -> ErrorBody:
    """Return the JSON body of an error."""
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        kind = "rate_limit_error"
    elif status < HTTPStatus.INTERNAL_SERVER_ERROR:
        kind = "invalid_request_error"
    else:
        kind = "server_error"
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def register(app: Flask, shapes: Mapping[str, Shape] | None = None) -> None:
    """Make `app` answer every error as JSON, and none with a stack trace.

    `shapes` has the paths at and below which errors have another shape than OpenAI's.
    """

    def answer(status: int, body: ErrorBody) -> Response:
        if shape := _shape_for(request.path, shapes or {}):
            return shape(status, body["error"]["message"] or "")
        response = jsonify(body)
        response.status_code = status
        return response

    @app.errorhandler(ApiError)
    def api_error(error: ApiError) -> Response:
        response = answer(error.status, error.body)
        if error.retry_after is not None:
            response.headers["Retry-After"] = str(error.retry_after)
        return response

    @app.errorhandler(HTTPException)
    def http_error(error: HTTPException) -> Response:
        status = error.code or HTTPStatus.INTERNAL_SERVER_ERROR
        response = answer(status, error_body(status, error.description or error.name))
        # Such as Allow on 405.
        for name, value in error.get_headers():
            if name.lower() != "content-type":
                response.headers[name] = value
        return response

    @app.errorhandler(Exception)
    def unexpected(error: Exception) -> Response:
        logger.error("unexpected error", exc_info=error)
        status = HTTPStatus.INTERNAL_SERVER_ERROR
        return answer(status, error_body(status, "The service failed. Its log says why."))


def _shape_for(path: str, shapes: Mapping[str, Shape]) -> Shape | None:
    for prefix, shape in shapes.items():
        if path == prefix or path.startswith(f"{prefix}/"):
            return shape
    return None
