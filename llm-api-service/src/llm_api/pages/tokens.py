"""Tokens: who may ask, made and revoked here."""

from __future__ import annotations

import time
from dataclasses import dataclass
from http import HTTPStatus

from flask import Blueprint, flash, make_response, redirect, render_template, request, url_for
from werkzeug import Response

from llm_api.pages.forms import Field, Form, a_list, a_number, some_of
from llm_api.pages.text import count
from llm_api.pages.usage import MONTH, Used, used_by_token
from llm_api.service import current_service
from llm_api.state import State, Token, User
from llm_api.state.tokens import MOST_TOKENS, TokenError

blueprint = Blueprint("tokens", __name__)

DAY = 86_400
FORM = Form(
    (
        Field("name", "Name", hint="Who or what will use it.", required=True, longest=200),
        Field(
            "days",
            "Expires",
            "choice",
            read=int,
            choices=(
                ("0", "never"),
                ("1", "in a day"),
                ("7", "in 7 days"),
                ("30", "in 30 days"),
                ("90", "in 90 days"),
                ("365", "in a year"),
            ),
        ),
        a_number("requests_per_minute", "Requests a minute", "0: no limit."),
        a_number(
            "tokens_per_day",
            "LLM tokens a day",
            "0: no limit. Days are those of UTC.",
            most=MOST_TOKENS,
        ),
        a_list("models", "Models", "What it may ask for, one a line. Empty: everything."),
        some_of("providers", "Providers", "Whom it may ask. None chosen: everybody."),
    )
)


@dataclass(frozen=True)
class Row:
    """A token in the list."""

    token: Token
    user: User | None
    today: Used
    month: Used
    limits: tuple[str, ...]


@blueprint.get("/tokens")
def show() -> Response:
    """List the tokens, and ask for a new one."""
    return _page(_form())


@blueprint.post("/tokens")
def create() -> Response:
    """Make a token, and show its secret this once."""
    values, errors = _form().read(request.form)
    if not errors:
        days = values.pop("days")
        expires = time.time() + days * DAY if days else None
        try:
            token, secret = current_service().state.tokens.create(expires=expires, **values)
        except TokenError as error:
            errors["name"] = str(error).removeprefix("name ")
        else:
            return make_response(
                render_template("pages/token.html", token=token, secret_text=secret)
            )
    form = _form().typed(request.form).with_errors(errors)
    return _page(form, HTTPStatus.UNPROCESSABLE_ENTITY)


@blueprint.post("/tokens/revoke")
def revoke() -> Response:
    """Let a token be of no use any more."""
    tokens = current_service().state.tokens
    for token in tokens.list():
        if str(token.id) == request.form.get("id"):
            tokens.revoke(token.id)
            flash("Revoked. Requests with this token are refused from now on.")
    return redirect(url_for(".show"), HTTPStatus.SEE_OTHER)


def _form() -> Form:
    providers = current_service().settings.providers
    return FORM.choosing("providers", [(p.name, p.name) for p in providers])


def _rows(state: State) -> list[Row]:
    users = {user.token_id: user for user in state.users.list()}
    now = time.time()
    today = used_by_token(state.usage, now - now % DAY)
    month = used_by_token(state.usage, now - MONTH * DAY)
    return [
        Row(
            token,
            users.get(token.id),
            today.get(token.id, Used()),
            month.get(token.id, Used()),
            _limits(token),
        )
        for token in state.tokens.list()
    ]


def _limits(token: Token) -> tuple[str, ...]:
    """Return in words what the token may not exceed."""
    limits = {
        f"{count(token.requests_per_minute)} requests a minute": token.requests_per_minute,
        f"{count(token.tokens_per_day)} LLM tokens a day": token.tokens_per_day,
        f"models {', '.join(token.models)}": token.models,
        f"providers {', '.join(token.providers)}": token.providers,
    }
    return tuple(text for text, limited in limits.items() if limited)


def _page(form: Form, status: HTTPStatus = HTTPStatus.OK) -> Response:
    state = current_service().state
    page = render_template(
        "pages/tokens.html",
        form=form,
        rows_of_tokens=_rows(state),
        private=state.snapshot.settings.private_mode,
    )
    return make_response(page, status)
