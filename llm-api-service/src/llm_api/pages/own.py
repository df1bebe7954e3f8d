"""What a virtual user may set: the user's own values, and nobody else's."""

from __future__ import annotations

from http import HTTPStatus

from flask import Blueprint, flash, g, make_response, redirect, render_template, request, url_for
from werkzeug import Response
from werkzeug.exceptions import NotFound

from llm_api.caller import owner_of
from llm_api.pages.user_values import read_values, values_form
from llm_api.pages.visitor import Visitor
from llm_api.service import current_service
from llm_api.state import User

blueprint = Blueprint("own", __name__)


@blueprint.get("/own")
def show() -> str:
    """Show the visitor's values."""
    user = _user()
    return render_template("pages/own.html", form=values_form(user), user=user)


@blueprint.post("/own")
def save() -> Response:
    """Change the visitor's values."""
    user = _user()
    form, values = read_values(request.form)
    if form.faults:
        page = render_template("pages/own.html", form=form, user=user)
        return make_response(page, HTTPStatus.UNPROCESSABLE_ENTITY)
    current_service().state.users.update(user.id, **values)
    flash("Saved.")
    return redirect(url_for(".show"), HTTPStatus.SEE_OTHER)


@blueprint.post("/own/history")
def clear_history() -> Response:
    """Forget the visitor's conversations."""
    user = _user()
    if user.token_id is not None:
        current_service().state.history.clear(owner_of(user.token_id))
    flash("Your earlier questions and answers are forgotten.")
    return redirect(url_for(".show"), HTTPStatus.SEE_OTHER)


def _user() -> User:
    visitor: Visitor = g.visitor
    if not visitor.user:
        raise NotFound("The operator has no values: those of the settings are for everybody.")
    return visitor.user
