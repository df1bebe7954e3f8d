"""Passwords, hashed with argon2."""

from __future__ import annotations

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

# OWASP's smallest figures: each check holds this memory, in KiB, while it runs.
MEMORY = 19_456


def _hasher() -> PasswordHasher:
    return PasswordHasher(time_cost=2, memory_cost=MEMORY, parallelism=1)


def hash_password(password: str) -> str:
    """Return the hash to keep of `password`."""
    return _hasher().hash(password)


def is_password(password_hash: str, password: str) -> bool:
    """Return whether `password` is the one of `password_hash`."""
    try:
        return _hasher().verify(password_hash, password)
    except (Argon2Error, InvalidHashError):
        return False
