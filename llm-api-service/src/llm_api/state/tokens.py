"""Tokens: who may ask."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import time
from collections.abc import Callable, Iterable

from sqlalchemy import Row, select, update
from sqlalchemy.exc import IntegrityError

from llm_api.state.database import Database
from llm_api.state.model import Token
from llm_api.state.schema import tokens

PREFIX = "sk-"
LONGEST_NAME = 200
# A version 4 UUID, as the old protocol gives, or something as long as what this makes.
UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", re.I)
LONG = re.compile(r"[A-Za-z0-9._~+/=-]{40,200}")
MOST = 2**31 - 1
MOST_TOKENS = 2**53


class TokenError(ValueError):
    """A token cannot be made as it was asked for."""


def digest_of(secret: str) -> str:
    """Return what is kept of `secret`: random as it is, it needs no salt and no slow hash."""
    return hashlib.sha256(secret.encode(errors="surrogatepass")).hexdigest()


class Tokens:
    """The tokens in the database."""

    def __init__(self, database: Database, changed: Callable[[], None]) -> None:
        """Call `changed` after every change."""
        self._database = database
        self._changed = changed

    def create(
        self,
        name: str,
        *,
        secret: str | None = None,
        expires: float | None = None,
        models: Iterable[str] = (),
        providers: Iterable[str] = (),
        requests_per_minute: int = 0,
        tokens_per_day: int = 0,
    ) -> tuple[Token, str]:
        """Make a token, and return it with its secret, which nothing can show again.

        Raises:
            TokenError: a value cannot be used, or the secret is taken.
            StateError: the database cannot be reached.
        """
        if not 0 < len(name.strip()) <= LONGEST_NAME or not name.isprintable():
            raise TokenError(f"name must have 1 to {LONGEST_NAME} characters, all printable")
        if secret is not None and not UUID4.fullmatch(secret) and not LONG.fullmatch(secret):
            raise TokenError("secret must be a UUID of version 4, or 40 to 200 random characters")
        if expires is not None and not 0 < expires < MOST_TOKENS:
            raise TokenError("expires must be a time in seconds since 1970")
        if not 0 <= requests_per_minute <= MOST or not 0 <= tokens_per_day <= MOST_TOKENS:
            raise TokenError("limits must not be negative, nor too large; 0 means none")
        secret = secret or PREFIX + secrets.token_urlsafe(32)
        values = {
            "name": name.strip(),
            "digest": digest_of(secret),
            "created": time.time(),
            "expires": expires,
            "models": json.dumps(list(models)),
            "providers": json.dumps(list(providers)),
            "requests_per_minute": requests_per_minute,
            "tokens_per_day": tokens_per_day,
        }
        statement = tokens.insert().values(values).returning(*tokens.c)
        try:
            with self._database.write(change=True) as connection:
                token = as_token(connection.execute(statement).one())
        except IntegrityError:
            raise TokenError("this secret is or was another token's") from None
        self._changed()
        return token, secret

    def revoke(self, token_id: int) -> bool:
        """Let the token be of no use any more, and return whether it was of use.

        Raises:
            StateError: the database cannot be reached.
        """
        statement = (
            update(tokens)
            .where(tokens.c.id == token_id, tokens.c.revoked.is_(None))
            .values(revoked=time.time())
        )
        with self._database.write(change=True) as connection:
            revoked = connection.execute(statement).rowcount > 0
        self._changed()
        return revoked

    def list(self, *, revoked: bool = False) -> list[Token]:
        """Return the tokens in the order in which they were made, the revoked ones only if asked.

        Raises:
            StateError: the database cannot be reached.
        """
        statement = select(tokens).order_by(tokens.c.id)
        if not revoked:
            statement = statement.where(tokens.c.revoked.is_(None))
        with self._database.read() as connection:
            return [as_token(row) for row in connection.execute(statement)]


def as_token(row: Row[tuple[object, ...]]) -> Token:
    """Return the token in `row`."""
    values = dict(row._mapping)
    for name in ("models", "providers"):
        values[name] = tuple(json.loads(values[name]))
    return Token(**values)
