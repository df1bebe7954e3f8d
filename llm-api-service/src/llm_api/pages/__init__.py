"""The pages of the operator and of virtual users: HTML and forms, without a script."""

from __future__ import annotations

from flask import Blueprint, Flask

from llm_api.pages import (
    assets,
    cookies,
    general,
    guard,
    login,
    own,
    password,
    providers,
    text,
    tokens,
    usage,
    users,
    visitor,
)
from llm_api.pages.credentials import Credentials
from llm_api.service import EXTENSION

settings = Blueprint("settings", __name__, url_prefix="/settings")
guard.register(settings)
visitor.register(settings)
for module in (general, cookies, providers, tokens, users, usage, own, password):
    settings.register_blueprint(module.blueprint)


def register(app: Flask) -> None:
    """Add the pages to `app`."""
    assets.register(app)
    text.register(app)
    # Other sites' forms do not get the cookie, but their links do.
    app.config["SESSION_COOKIE_SAMESITE"] = "Lax"
    app.session_interface = guard.SignedCookie()
    app.extensions[Credentials.EXTENSION] = Credentials(app.extensions[EXTENSION].state)
    app.register_blueprint(login.blueprint)
    app.register_blueprint(settings)
