"""Who looks at the pages."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from flask import Blueprint, g, redirect, request, session, url_for
from werkzeug import Response
from werkzeug.exceptions import Forbidden

from llm_api.service import current_service
from llm_api.state import User
from llm_api.state.sessions import OPERATOR, of_user

SESSION = "id"
# What one client of IPv6 has is a network.
NETWORK_BITS = 64
# The parts of the pages that are for everybody who has logged in.
FOR_USERS = frozenset({"settings.own", "settings.password"})


@dataclass(frozen=True)
class Visitor:
    """Somebody who has logged in."""

    user: User | None
    """None is the operator."""

    @property
    def name(self) -> str:
        """What the visitor logs in as."""
        return self.user.username if self.user else OPERATOR

    @property
    def key(self) -> str:
        """Whose sessions the visitor's are."""
        return of_user(self.user.id) if self.user else OPERATOR


def register(blueprint: Blueprint) -> None:
    """Let only those see the pages of `blueprint` who have logged in and may see them."""

    @blueprint.before_request
    def identify() -> Response | None:
        service = current_service()
        # The replica that answers may be another than the one that has just changed something.
        service.state.catch_up()
        g.visitor = _visitor_of(session.get(SESSION, ""))
        if g.visitor is None:
            return redirect(url_for("login.show"), 303)
        if g.visitor.user and request.blueprint not in FOR_USERS:
            if request.endpoint == "settings.general.show":
                return redirect(url_for("settings.own.show"), 303)
            raise Forbidden("This page is the operator's.")
        return None


def _visitor_of(session_id: str) -> Visitor | None:
    state = current_service().state
    key = state.sessions.get(session_id) if session_id else None
    if key is None or key == OPERATOR:
        return Visitor(None) if key else None
    user = state.users.by_id(int(key.rpartition(":")[2]))
    return Visitor(user) if user and state.snapshot.settings.virtual_users else None


def current_visitor() -> Visitor | None:
    """Return who has logged in."""
    visitor: Visitor | None = g.get("visitor")
    return visitor


def begin_session(key: str) -> None:
    """Log the client in as `key`. Whatever it had before ends, so that no id is fixed by others."""
    end_session()
    session[SESSION] = current_service().state.sessions.create(key)


def end_session() -> None:
    """Log the client out."""
    if old := session.get(SESSION, ""):
        current_service().state.sessions.delete(old)
    session.clear()


def is_https() -> bool:
    """Return whether the client came by HTTPS, as the gateway says: nobody else gets here."""
    return request.headers.get("X-Forwarded-Proto", request.scheme) == "https"


def address() -> str:
    """Return the client's address as the gateway says, or its network of IPv6."""
    forwarded = request.headers.get("X-Forwarded-For", "").rpartition(",")[2].strip()
    text = forwarded or request.remote_addr or ""
    try:
        parsed = ipaddress.ip_address(text)
    except ValueError:
        return text
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((int(parsed), NETWORK_BITS), strict=False))
