"""Virtual users, as the operator sees them."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from http import HTTPStatus

from flask import Blueprint, flash, make_response, redirect, render_template, request, url_for
from werkzeug import Response
from werkzeug.exceptions import NotFound

from llm_api.pages.forms import Field, Form
from llm_api.pages.user_values import read_values, values_form
from llm_api.service import current_service
from llm_api.state import Token, User
from llm_api.state.users import UserError

blueprint = Blueprint("users", __name__)

NEW, NONE = "new", ""
FORM = Form(
    (
        Field("username", "Name", hint="3 to 50 letters, digits or _.", required=True, longest=50),
        Field("token_id", "Token", "choice", "With it the user asks; it has the limits."),
    )
)


@blueprint.get("/users")
def show() -> Response:
    """List the users, and ask for a new one."""
    return _list_page(_form())


@blueprint.post("/users")
def create() -> Response:
    """Make a user, and show the password, and the secret of a new token, this once."""
    users = current_service().state.users
    form = _form()
    values, errors = form.read(request.form)
    if not errors:
        choice = values["token_id"]
        token_id = None if choice in (NEW, NONE) else int(choice)
        try:
            user, password = users.create(values["username"], token_id=token_id)
        except UserError as error:
            errors["username"] = f"cannot be used: {error}"
        else:
            return _secrets_page(user, password, _new_token(user) if choice == NEW else "")
    return _list_page(form.typed(request.form).with_errors(errors), HTTPStatus.UNPROCESSABLE_ENTITY)


@blueprint.get("/users/<int:user_id>")
def edit(user_id: int) -> Response:
    """Show the values of a user."""
    user = _user(user_id)
    return _edit_page(user, values_form(user), _token_form(user))


@blueprint.post("/users/<int:user_id>")
def save(user_id: int) -> Response:
    """Change the values of a user."""
    user = _user(user_id)
    form, values = read_values(request.form)
    if form.faults:
        return _edit_page(user, form, _token_form(user), HTTPStatus.UNPROCESSABLE_ENTITY)
    current_service().state.users.update(user.id, **values)
    flash("Saved.")
    return redirect(url_for(".edit", user_id=user.id), HTTPStatus.SEE_OTHER)


@blueprint.post("/users/<int:user_id>/token")
def give_token(user_id: int) -> Response:
    """Give a user another token."""
    user = _user(user_id)
    form = _token_form(user)
    values, errors = form.read(request.form)
    if not errors:
        choice = values["token_id"]
        if choice == NEW:
            return _secrets_page(user, "", _new_token(user))
        try:
            token_id = None if choice == NONE else int(choice)
            current_service().state.users.update(user.id, token_id=token_id)
        except UserError as error:
            errors["token_id"] = f"cannot be used: {error}"
    if errors:
        form = form.typed(request.form).with_errors(errors)
        return _edit_page(user, values_form(user), form, HTTPStatus.UNPROCESSABLE_ENTITY)
    flash("Saved.")
    return redirect(url_for(".edit", user_id=user.id), HTTPStatus.SEE_OTHER)


@blueprint.post("/users/<int:user_id>/password")
def give_password(user_id: int) -> Response:
    """Give a user a new random password, and show it this once."""
    user = _user(user_id)
    password = secrets.token_urlsafe(12)
    current_service().state.users.update(user.id, password=password)
    return _secrets_page(user, password, "")


@blueprint.post("/users/<int:user_id>/delete")
def delete(user_id: int) -> Response:
    """Remove a user."""
    user = _user(user_id)
    current_service().state.users.delete(user.id)
    flash(f"{user.username} is removed. The token stays.")
    return redirect(url_for(".show"), HTTPStatus.SEE_OTHER)


def _user(user_id: int) -> User:
    # An id may be larger than any that a database knows.
    for user in current_service().state.users.list():
        if user.id == user_id:
            return user
    raise NotFound("There is no such user any more.")


def _new_token(user: User) -> str:
    """Make a token for `user`, and return its secret."""
    state = current_service().state
    token, secret = state.tokens.create(user.username)
    state.users.update(user.id, token_id=token.id)
    return secret


def _choices(tokens: Iterable[Token], taken: Iterable[int | None]) -> list[tuple[str, str]]:
    free = [(str(token.id), token.name) for token in tokens if token.id not in set(taken)]
    return [(NEW, "a new one for this user"), (NONE, "none"), *free]


def _form() -> Form:
    state = current_service().state
    taken = [user.token_id for user in state.users.list()]
    return FORM.choosing("token_id", _choices(state.tokens.list(), taken))


def _token_form(user: User) -> Form:
    state = current_service().state
    taken = [other.token_id for other in state.users.list() if other.id != user.id]
    form = Form((FORM["token_id"],)).choosing("token_id", _choices(state.tokens.list(), taken))
    return form.filled({"token_id": user.token_id or NONE})


def _list_page(form: Form, status: HTTPStatus = HTTPStatus.OK) -> Response:
    state = current_service().state
    page = render_template(
        "pages/users.html",
        form=form,
        users=state.users.list(),
        tokens={token.id: token for token in state.tokens.list()},
        enabled=state.snapshot.settings.virtual_users,
    )
    return make_response(page, status)


def _edit_page(
    user: User, form: Form, token_form: Form, status: HTTPStatus = HTTPStatus.OK
) -> Response:
    page = render_template("pages/user.html", user=user, form=form, token_form=token_form)
    return make_response(page, status)


def _secrets_page(user: User, password: str, secret: str) -> Response:
    page = render_template(
        "pages/user_secrets.html", user=user, password=password, secret_text=secret
    )
    return make_response(page)
