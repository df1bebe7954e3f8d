"""What all pages have in common: the cookie, forms that only they can send, and headers."""

from __future__ import annotations

from http import HTTPStatus

from flask import Blueprint, Flask, Request, Response, make_response, render_template, request
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface
from flask_wtf.csrf import generate_csrf, validate_csrf
from werkzeug.exceptions import BadRequest, HTTPException
from wtforms import ValidationError

from llm_api.errors import ApiError
from llm_api.pages.visitor import current_visitor, is_https
from llm_api.service import current_service
from llm_api.state.sessions import LIFETIME

PATHS = ("/login", "/logout", "/settings")
# Of a form: the longest system prompt, encoded.
LARGEST = 2 * 1024 * 1024
STALE = (
    "This form is not from this session. Go back, reload the page and send it again; "
    "the browser must keep this site's cookies."
)
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class SignedCookie(SecureCookieSessionInterface):
    """Flask's session in a signed cookie, for the pages only: other requests pay nothing.

    It holds the id of the session in the database, the secret of the forms, and messages.
    """

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        """Read the session from the cookie."""
        if not request.path.startswith(PATHS):
            return None
        # The replicas' common key is known once the state has started.
        app.secret_key = current_service().state.secret_key
        return super().open_session(app, request)

    def get_cookie_name(self, app: Flask) -> str:
        """Return a name that browsers take from this host only, where they can tell."""
        name = super().get_cookie_name(app)
        return f"__Host-{name}" if is_https() else name

    def get_cookie_secure(self, app: Flask) -> bool:
        """Return whether the cookie stays away from plain HTTP."""
        return is_https() or super().get_cookie_secure(app)


def register(blueprint: Blueprint) -> None:
    """Protect the pages of `blueprint`."""

    @blueprint.before_request
    def check_form() -> None:
        request.max_content_length = request.max_form_memory_size = LARGEST
        if request.method != "POST":
            return
        try:
            validate_csrf(request.form.get("csrf_token"), time_limit=LIFETIME)
        except ValidationError:
            raise BadRequest(STALE) from None

    @blueprint.after_request
    def add_headers(response: Response) -> Response:
        response.headers.update(HEADERS)
        return response

    @blueprint.context_processor
    def for_templates() -> dict[str, object]:
        return {"csrf_token": generate_csrf, "visitor": current_visitor()}

    @blueprint.errorhandler(HTTPException)
    def http_error(error: HTTPException) -> Response:
        status = error.code or HTTPStatus.INTERNAL_SERVER_ERROR
        return _error_page(status, error.description or error.name)

    @blueprint.errorhandler(ApiError)
    def api_error(error: ApiError) -> Response:
        response = _error_page(error.status, error.body["error"]["message"] or "")
        if error.retry_after is not None:
            response.headers["Retry-After"] = str(error.retry_after)
        return response


def _error_page(status: int, message: str) -> Response:
    title = HTTPStatus(status).phrase
    page = render_template("pages/error.html", title=title, message=message)
    return make_response(page, status)
