"""Set the password of the settings page: `python -m llm_api.admin`, which asks for it."""

from __future__ import annotations

import argparse
import getpass
import sys
from collections.abc import Sequence

from llm_api.config import SHORTEST_PASSWORD, ConfigError, load
from llm_api.state import StateError
from llm_api.state.admin import Admin
from llm_api.state.database import Database
from llm_api.state.migrate import migrate
from llm_api.state.passwords import hash_password


def main(arguments: Sequence[str] | None = None) -> int:
    """Ask for the password, or read it from a pipe, and return the exit code."""
    argparse.ArgumentParser(prog="python -m llm_api.admin", description=__doc__).parse_args(
        arguments
    )
    try:
        database = Database(load().database_url)
        password = _ask()
        try:
            migrate(database)
            Admin(database).set_password(hash_password(password))
        finally:
            database.close()
    except (ConfigError, StateError, _PasswordError) as error:
        print(f"llm_api.admin: {error}", file=sys.stderr)
        return 1
    return 0


class _PasswordError(ValueError):
    """The password cannot be used."""


def _ask() -> str:
    if sys.stdin.isatty():
        password = getpass.getpass("New password: ")
        if getpass.getpass("Again: ") != password:
            raise _PasswordError("these were two different passwords")
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    if len(password) < SHORTEST_PASSWORD:
        raise _PasswordError(f"a password needs at least {SHORTEST_PASSWORD} characters")
    return password


if __name__ == "__main__":
    sys.exit(main())
