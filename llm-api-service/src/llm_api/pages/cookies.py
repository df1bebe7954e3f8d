"""Cookies for g4f's providers: uploaded, listed by domain, and never shown."""

from __future__ import annotations

import json
from http import HTTPStatus

from flask import Blueprint, flash, make_response, redirect, render_template, request, url_for
from werkzeug import Response

from llm_api.cookie_file import CookieError, parse_cookies
from llm_api.pages.forms import InputError, check_setting
from llm_api.service import current_service
from llm_api.settings import SettingsError, to_stored

blueprint = Blueprint("cookies", __name__)


@blueprint.get("/cookies")
def show() -> Response:
    """List the domains."""
    return _page()


@blueprint.post("/cookies")
def upload() -> Response:
    """Take the cookies of a file in place of those that its domains had."""
    state = current_service().state
    file = request.files.get("cookie_file")
    try:
        new = _read(file.read() if file else b"")
        cookies = to_stored(state.snapshot.settings.cookies) | new
        state.change_settings({"cookies": check_setting("cookies", cookies)})
    except InputError as error:
        return _page(str(error))
    except SettingsError as error:
        return _page(error.message)
    number = sum(len(names) for names in new.values())
    flash(f"Taken: {number} cookies of {len(new)} domains.")
    return redirect(url_for(".show"), HTTPStatus.SEE_OTHER)


@blueprint.post("/cookies/remove")
def remove() -> Response:
    """Forget the cookies of a domain."""
    state = current_service().state
    cookies = to_stored(state.snapshot.settings.cookies)
    if cookies.pop(request.form.get("domain", ""), None) is not None:
        state.change_settings({"cookies": cookies})
        flash("Removed.")
    return redirect(url_for(".show"), HTTPStatus.SEE_OTHER)


def _page(error: str = "") -> Response:
    snapshot = current_service().state.snapshot
    domains = {domain: len(names) for domain, names in sorted(snapshot.settings.cookies.items())}
    page = render_template(
        "pages/cookies.html", domains=domains, error=error, stored="cookies" in snapshot.stored
    )
    return make_response(page, HTTPStatus.UNPROCESSABLE_ENTITY if error else HTTPStatus.OK)


def _read(data: bytes) -> dict[str, dict[str, str]]:
    """Return the cookies in `data` by domain and name.

    Raises:
        InputError: there are none, or in another format.
    """
    if not data:
        raise InputError("must be chosen first")
    try:
        cookies = parse_cookies(json.loads(data))
    except (ValueError, RecursionError) as error:
        message = str(error) if isinstance(error, CookieError) else "must be JSON"
        # It may quote what no page can hold.
        raise InputError(message.encode(errors="replace").decode()) from None
    if not cookies:
        raise InputError("must have at least one cookie")
    return cookies
