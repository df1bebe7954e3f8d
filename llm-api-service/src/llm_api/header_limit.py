"""A limit on the size of a header, which the server around the application sets far higher."""

from __future__ import annotations

from http import HTTPStatus

from flask import Flask, request

from llm_api.errors import ApiError

LARGEST = 8 * 1024
PREFIX = "HTTP_"


def register(app: Flask) -> None:
    """Refuse requests of `app` that have a larger header."""

    @app.before_request
    def check() -> None:
        for name, value in request.environ.items():
            if name.startswith(PREFIX) and len(value) > LARGEST:
                header = name.removeprefix(PREFIX).replace("_", "-").title()
                raise ApiError(
                    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
                    f"The header {header[:50]} has more than {LARGEST} characters.",
                    code="header_too_large",
                )
