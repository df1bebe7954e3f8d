"""Names and passwords, checked a few at a time and not too often."""

from __future__ import annotations

import threading
from typing import ClassVar, cast

from flask import current_app

from llm_api.errors import ApiError
from llm_api.pages.visitor import address
from llm_api.state import State
from llm_api.state.passwords import hash_password, is_password
from llm_api.state.sessions import OPERATOR, of_user
from llm_api.state.users import USERNAME

# A check takes a core for 50 ms, and 19 MB.
AT_ONCE = 2
# Seconds that a check waits for its turn.
PATIENCE = 5.0


class TooManyTriesError(Exception):
    """The address has tried too often."""

    def __init__(self, seconds: int) -> None:
        """Keep the seconds until the next try."""
        super().__init__(f"the next try is in {seconds} s")
        self.seconds = seconds

    @property
    def minutes(self) -> int:
        """The same in minutes."""
        return -(-self.seconds // 60)


class Credentials:
    """The passwords of the operator and of virtual users."""

    EXTENSION: ClassVar = "llm_api_credentials"

    def __init__(self, state: State) -> None:
        """Check against what `state` has."""
        self._state = state
        self._places = threading.BoundedSemaphore(AT_ONCE)

    def check(self, username: str, password: str) -> str | None:
        """Return whose sessions begin with these, or None if they are wrong.

        Raises:
            TooManyTriesError: nothing was checked.
            ApiError: 503, others are being checked.
        """
        sessions, client = self._state.sessions, f"address {address()}"
        if wait := sessions.login_wait(client):
            raise TooManyTriesError(wait)
        # Before the check: those that run at the same time count, too.
        sessions.login_failed(client)
        key, password_hash = self._find(username)
        if not self._is_password(password_hash, password):
            return None
        sessions.login_succeeded(client)
        return key

    def _find(self, username: str) -> tuple[str, str]:
        if username == OPERATOR:
            return OPERATOR, self._state.admin.password_hash
        if self._state.snapshot.settings.virtual_users and USERNAME.fullmatch(username):
            user = self._state.users.get(username)
            if user:
                return of_user(user.id), user.password_hash
        return "", ""

    def _is_password(self, password_hash: str, password: str) -> bool:
        if not self._places.acquire(timeout=PATIENCE):
            raise ApiError(503, "Others are logging in. Try again shortly.", retry_after=1)
        try:
            if not password_hash:
                # As much work as for a name that somebody has.
                hash_password(password)
                return False
            return is_password(password_hash, password)
        finally:
            self._places.release()


def current_credentials() -> Credentials:
    """Return those of the application that handles the current request."""
    return cast(Credentials, current_app.extensions[Credentials.EXTENSION])
