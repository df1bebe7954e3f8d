"""Sessions of the settings page, and how often somebody may try to log in."""

from __future__ import annotations

import math
import secrets
import time

from sqlalchemy import case, delete, select

from llm_api.state.database import Database
from llm_api.state.schema import logins, sessions
from llm_api.state.tokens import digest_of

# Whose session it is, where it is not that of a virtual user.
OPERATOR = "admin"
LIFETIME = 12 * 3600
# So many failures within so many seconds, and the next try has to wait for their end.
MOST_FAILURES = 5
WINDOW = 900


def of_user(user_id: int) -> str:
    """Return whose the sessions of a virtual user are."""
    return f"user:{user_id}"


class Sessions:
    """The sessions in the database, for all replicas."""

    def __init__(self, database: Database) -> None:
        """Keep them in `database`."""
        self._database = database

    def create(self, user: str) -> str:
        """Begin a session of `user` and return its id."""
        session = secrets.token_urlsafe(32)
        now = time.time()
        values = {"digest": digest_of(session), "username": user, "expires": now + LIFETIME}
        with self._database.write() as connection:
            connection.execute(delete(sessions).where(sessions.c.expires < now))
            connection.execute(sessions.insert().values(values))
        return session

    def get(self, session: str) -> str | None:
        """Return whose session it is, or None where it has ended."""
        mine = sessions.c.digest == digest_of(session)
        statement = select(sessions.c.username).where(mine, sessions.c.expires > time.time())
        with self._database.read() as connection:
            return connection.execute(statement).scalar_one_or_none()

    def delete(self, session: str) -> None:
        """End the session."""
        with self._database.write() as connection:
            connection.execute(delete(sessions).where(sessions.c.digest == digest_of(session)))

    def login_wait(self, key: str) -> int:
        """Return the seconds until whoever has `key`, such as an address, may try to log in."""
        now = time.time()
        statement = select(logins.c.since).where(
            logins.c.digest == digest_of(key),
            logins.c.since > now - WINDOW,
            logins.c.failures >= MOST_FAILURES,
        )
        with self._database.read() as connection:
            since = connection.execute(statement).scalar()
        return 0 if since is None else math.ceil(since + WINDOW - now)

    def login_failed(self, key: str) -> None:
        """Count a failed try."""
        now = time.time()
        fresh = logins.c.since > now - WINDOW
        statement = self._database.insert(logins).values(
            digest=digest_of(key), failures=1, since=now
        )
        statement = statement.on_conflict_do_update(
            index_elements=[logins.c.digest],
            set_={
                "failures": case((fresh, logins.c.failures + 1), else_=1),
                "since": case((fresh, logins.c.since), else_=now),
            },
        )
        with self._database.write() as connection:
            connection.execute(delete(logins).where(logins.c.since < now - WINDOW))
            connection.execute(statement)

    def login_succeeded(self, key: str) -> None:
        """Forget the failed tries."""
        with self._database.write() as connection:
            connection.execute(delete(logins).where(logins.c.digest == digest_of(key)))
