"""Who asks."""

from __future__ import annotations

from dataclasses import dataclass, replace

from flask import g, has_request_context

from llm_api.allowed import EVERYTHING, Allowed
from llm_api.settings import Settings, provider_names
from llm_api.state import Token, User


@dataclass(frozen=True)
class Caller:
    """Who has sent the current request."""

    token: Token | None = None
    """None is anonymous."""
    user: User | None = None
    """The virtual user that the token belongs to, where there are such users."""

    @property
    def owner(self) -> str:
        """Whose history it is. Anonymous callers have none, so that they share none."""
        return owner_of(self.token.id) if self.token else ""

    @property
    def allowed(self) -> Allowed:
        """What may be asked, and whom."""
        if self.token is None:
            return EVERYTHING
        chosen = provider_names(self.user.provider) if self.user else ()
        return Allowed(self.token.models, self.token.providers, chosen)

    def settings(self, settings: Settings) -> Settings:
        """Return `settings` as they hold for this caller: a virtual user's own values win."""
        if self.user is None:
            return settings
        return replace(
            settings,
            model=self.user.model or settings.model,
            system_prompt=self.user.system_prompt or settings.system_prompt,
            message_history=self.user.message_history,
        )


def owner_of(token_id: int) -> str:
    """Return whose the history of a token's callers is."""
    return f"token:{token_id}"


ANONYMOUS = Caller()


def current_caller() -> Caller:
    """Return who has sent the current request; anonymous where there is none."""
    caller: Caller = g.get("caller", ANONYMOUS) if has_request_context() else ANONYMOUS
    return caller
