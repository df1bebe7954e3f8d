"""Logging in and out."""

from __future__ import annotations

from http import HTTPStatus

from flask import (
    Blueprint,
    Response,
    flash,
    make_response,
    redirect,
    render_template,
    request,
    url_for,
)
from werkzeug import Response as BaseResponse

from llm_api.pages import guard
from llm_api.pages.credentials import TooManyTriesError, current_credentials
from llm_api.pages.forms import Field, Form
from llm_api.pages.visitor import begin_session, end_session
from llm_api.service import current_service

blueprint = Blueprint("login", __name__)
guard.register(blueprint)

FORM = Form(
    (
        Field("username", "Name", required=True, autocomplete="username"),
        Field(
            "password",
            "Password",
            "password",
            read=str,
            required=True,
            autocomplete="current-password",
        ),
    )
)
WRONG = "This name and this password do not go together."


@blueprint.get("/login")
def show() -> Response:
    """Ask for a name and a password."""
    return _page(FORM)


@blueprint.post("/login")
def log_in() -> BaseResponse:
    """Begin a session."""
    values, errors = FORM.read(request.form)
    form = FORM.typed(request.form).with_errors(errors)
    if errors:
        return _page(form, HTTPStatus.UNPROCESSABLE_ENTITY)
    try:
        key = current_credentials().check(values["username"], values["password"])
    except TooManyTriesError as error:
        message = f"Too many wrong passwords. The next try is in {error.minutes} min."
        response = _page(form, HTTPStatus.TOO_MANY_REQUESTS, message)
        response.headers["Retry-After"] = str(error.seconds)
        return response
    if not key:
        return _page(form, HTTPStatus.FORBIDDEN, WRONG)
    begin_session(key)
    return redirect(url_for("settings.general.show"), HTTPStatus.SEE_OTHER)


@blueprint.post("/logout")
def log_out() -> BaseResponse:
    """End the session."""
    end_session()
    flash("You have logged out.")
    return redirect(url_for(".show"), HTTPStatus.SEE_OTHER)


def _page(form: Form, status: HTTPStatus = HTTPStatus.OK, message: str = "") -> Response:
    state = current_service().state
    page = render_template(
        "pages/login.html",
        form=form,
        message=message,
        has_password=bool(state.admin.password_hash),
        virtual_users=state.snapshot.settings.virtual_users,
    )
    return make_response(page, status)
