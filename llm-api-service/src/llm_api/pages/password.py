"""A new password for whoever has logged in."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from flask import Blueprint, flash, g, make_response, redirect, render_template, request, url_for
from werkzeug import Response

from llm_api.pages.credentials import TooManyTriesError, current_credentials
from llm_api.pages.forms import Field, Form
from llm_api.pages.visitor import Visitor, begin_session
from llm_api.service import current_service
from llm_api.state.passwords import hash_password
from llm_api.state.users import SHORTEST_PASSWORD

blueprint = Blueprint("password", __name__)


def _field(name: str, label: str, hint: str = "", autocomplete: str = "new-password") -> Field:
    return Field(name, label, "password", hint, read=str, required=True, autocomplete=autocomplete)


FORM = Form(
    (
        _field("password", "Password until now", autocomplete="current-password"),
        _field("new_password", "New password", f"At least {SHORTEST_PASSWORD} characters."),
        _field("confirm_password", "New password again"),
    )
)


@blueprint.get("/password")
def show() -> str:
    """Ask for the new password."""
    return render_template("pages/password.html", form=FORM)


@blueprint.post("/password")
def save() -> Response:
    """Set the new password, which ends all sessions but this one."""
    visitor: Visitor = g.visitor
    values, errors = FORM.read(request.form)
    errors |= _faults(values) if not errors else {}
    errors |= _wrong(visitor, values["password"]) if not errors else {}
    if errors:
        page = render_template("pages/password.html", form=FORM.with_errors(errors))
        return make_response(page, HTTPStatus.UNPROCESSABLE_ENTITY)
    state = current_service().state
    if visitor.user:
        state.users.update(visitor.user.id, password=values["new_password"])
    else:
        state.admin.set_password(hash_password(values["new_password"]))
    begin_session(visitor.key)
    flash("The new password holds. All other sessions have ended.")
    return redirect(url_for(".show"), HTTPStatus.SEE_OTHER)


def _faults(values: dict[str, Any]) -> dict[str, str]:
    if len(values["new_password"]) < SHORTEST_PASSWORD:
        return {"new_password": f"must have at least {SHORTEST_PASSWORD} characters"}
    if values["new_password"] != values["confirm_password"]:
        return {"confirm_password": "must be the same"}
    return {}


def _wrong(visitor: Visitor, password: str) -> dict[str, str]:
    try:
        if current_credentials().check(visitor.name, password) == visitor.key:
            return {}
    except TooManyTriesError as error:
        return {"password": f"was wrong too often: the next try is in {error.minutes} min"}
    return {"password": "must be the one you have logged in with"}
