"""What the service keeps for itself: the password of the settings page, and the secret key."""

from __future__ import annotations

import secrets

from sqlalchemy import delete, select

from llm_api.state.database import Database
from llm_api.state.schema import meta, sessions
from llm_api.state.sessions import OPERATOR

PASSWORD, SECRET_KEY = "admin_password_hash", "secret_key"


class Admin:
    """The rows of the table `meta`."""

    def __init__(self, database: Database) -> None:
        """Keep them in `database`."""
        self._database = database

    @property
    def password_hash(self) -> str:
        """The argon2 hash of the settings page's password; empty if there is none yet."""
        return self._get(PASSWORD)

    def set_password(self, password_hash: str) -> None:
        """Replace the hash of the password, and end the sessions that began with the old one."""
        statement = self._database.insert(meta).values(name=PASSWORD, value=password_hash)
        statement = statement.on_conflict_do_update(
            index_elements=[meta.c.name], set_={"value": password_hash}
        )
        with self._database.write(change=True) as connection:
            connection.execute(statement)
            connection.execute(delete(sessions).where(sessions.c.username == OPERATOR))

    def begin_with_password(self, password_hash: str) -> None:
        """Set the hash of the password if there is none."""
        self._add(PASSWORD, password_hash)

    def secret_key(self) -> str:
        """Return the key of all replicas, made by the first that asks."""
        if not (key := self._get(SECRET_KEY)):
            self._add(SECRET_KEY, secrets.token_urlsafe(48))
            key = self._get(SECRET_KEY)
        return key

    def _get(self, name: str) -> str:
        with self._database.read() as connection:
            row = connection.execute(select(meta.c.value).where(meta.c.name == name))
            return row.scalar_one_or_none() or ""

    def _add(self, name: str, value: str) -> None:
        statement = self._database.insert(meta).values(name=name, value=value)
        with self._database.write() as connection:
            connection.execute(statement.on_conflict_do_nothing())
