"""The virtual users of the old protocol."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, delete, select, update
from sqlalchemy.exc import IntegrityError

from llm_api.state.database import Database
from llm_api.state.model import User
from llm_api.state.passwords import hash_password
from llm_api.state.schema import sessions, users
from llm_api.state.sessions import OPERATOR, of_user

USERNAME = re.compile(r"[A-Za-z0-9_]{3,50}")
SHORTEST_PASSWORD = 8
CHANGEABLE = {"username", "token_id", "provider", "model", "system_prompt", "message_history"}


class UserError(ValueError):
    """A user cannot be made or changed as it was asked for."""


class Users:
    """The users in the database."""

    def __init__(self, database: Database, changed: Callable[[], None]) -> None:
        """Call `changed` after every change."""
        self._database = database
        self._changed = changed

    def create(
        self, username: str, password: str | None = None, *, token_id: int | None = None
    ) -> tuple[User, str]:
        """Make a user, and return it with its password, which is random if none is given.

        Raises:
            UserError: a value cannot be used, or is another user's.
            StateError: the database cannot be reached.
        """
        if password is None:
            password = secrets.token_urlsafe(12)
        values = {
            "username": _username(username),
            "password_hash": _hashed(password),
            "token_id": token_id,
            "provider": "",
            "model": "",
            "system_prompt": "",
            "message_history": False,
        }
        statement = users.insert().values(values).returning(*users.c)
        try:
            with self._database.write(change=True) as connection:
                user = as_user(connection.execute(statement).one())
        except IntegrityError:
            raise UserError("the username or the token is another user's") from None
        self._changed()
        return user, password

    def get(self, username: str) -> User | None:
        """Return the user with that name."""
        return self._one(users.c.username == username)

    def by_id(self, user_id: int) -> User | None:
        """Return the user with that id."""
        return self._one(users.c.id == user_id)

    def by_token(self, token_id: int) -> User | None:
        """Return the user that has the token."""
        return self._one(users.c.token_id == token_id)

    def update(self, user_id: int, **fields: Any) -> None:
        """Change the user; `password` is hashed, and ends the user's sessions.

        Raises:
            UserError: a value cannot be used, or is another user's.
            StateError: the database cannot be reached.
        """
        if "password" in fields:
            fields["password_hash"] = _hashed(fields.pop("password"))
        if "username" in fields:
            _username(fields["username"])
        if unknown := set(fields) - CHANGEABLE - {"password_hash"}:
            raise UserError(f"a user has no {', '.join(sorted(unknown))}")
        if any(isinstance(value, str) and "\0" in value for value in fields.values()):
            raise UserError("a value must not hold NUL characters")
        if not fields:
            return
        try:
            with self._database.write(change=True) as connection:
                connection.execute(update(users).where(users.c.id == user_id).values(fields))
                if "password_hash" in fields:
                    _end_sessions(connection, user_id)
        except IntegrityError:
            raise UserError("the username or the token is another user's") from None
        self._changed()

    def delete(self, user_id: int) -> None:
        """Remove the user, and end the user's sessions. The token stays."""
        with self._database.write(change=True) as connection:
            connection.execute(delete(users).where(users.c.id == user_id))
            _end_sessions(connection, user_id)
        self._changed()

    def list(self) -> list[User]:
        """Return all users by name."""
        with self._database.read() as connection:
            return [as_user(row) for row in connection.execute(select(users).order_by("username"))]

    def _one(self, condition: ColumnElement[bool]) -> User | None:
        with self._database.read() as connection:
            row = connection.execute(select(users).where(condition)).one_or_none()
        return as_user(row) if row else None


def as_user(row: Row[tuple[object, ...]]) -> User:
    """Return the user in `row`."""
    return User(**dict(row._mapping))


def _end_sessions(connection: Connection, user_id: int) -> None:
    connection.execute(delete(sessions).where(sessions.c.username == of_user(user_id)))


def _username(username: str) -> str:
    if not USERNAME.fullmatch(username) or username == OPERATOR:
        raise UserError(f"username must be 3 to 50 letters, digits or _, and not {OPERATOR}")
    return username


def _hashed(password: str) -> str:
    if len(password) < SHORTEST_PASSWORD:
        raise UserError(f"password must have at least {SHORTEST_PASSWORD} characters")
    return hash_password(password)
