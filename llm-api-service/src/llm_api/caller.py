"""Who asks."""

from __future__ import annotations

from dataclasses import dataclass

from flask import g, has_request_context

from llm_api.allowed import EVERYTHING, Allowed
from llm_api.state import Token, User


@dataclass(frozen=True)
class Caller:
    """Who has sent the current request."""

    token: Token | None = None
    """None is anonymous."""
    user: User | None = None
    """The virtual user that the token belongs to."""

    @property
    def owner(self) -> str:
        """Whose history it is. Anonymous callers have none, so that they share none."""
        return owner_of(self.token.id) if self.token else ""

    @property
    def allowed(self) -> Allowed:
        """What may be asked, and whom."""
        return Allowed(self.token.models, self.token.providers) if self.token else EVERYTHING


def owner_of(token_id: int) -> str:
    """Return whose the history of a token's callers is."""
    return f"token:{token_id}"


ANONYMOUS = Caller()


def current_caller() -> Caller:
    """Return who has sent the current request; anonymous where there is none."""
    caller: Caller = g.get("caller", ANONYMOUS) if has_request_context() else ANONYMOUS
    return caller
