"""Tokens on the command line, for operators: `python -m llm_api.tokens create NAME`."""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime

from llm_api.config import ConfigError, load
from llm_api.state import StateError, Token
from llm_api.state.database import Database
from llm_api.state.migrate import migrate
from llm_api.state.tokens import TokenError, Tokens

UNITS = {"m": 60, "h": 3600, "d": 86_400}


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what `arguments` say, and return the exit code."""
    args = _parser().parse_args(arguments)
    try:
        database = Database(load().database_url)
        try:
            migrate(database)
            return _run(args, Tokens(database, lambda: None))
        finally:
            database.close()
    except (ConfigError, StateError, TokenError) as error:
        print(f"llm_api.tokens: {error}", file=sys.stderr)
        return 1


def _run(args: argparse.Namespace, tokens: Tokens) -> int:
    if args.command == "create":
        token, secret = tokens.create(
            args.name,
            secret=sys.stdin.readline().strip() if args.secret_from_stdin else None,
            expires=args.expires,
            models=args.model,
            providers=args.provider,
            requests_per_minute=args.requests_per_minute,
            tokens_per_day=args.tokens_per_day,
        )
        print(json.dumps(_shown(token) | {"secret": secret}) if args.json else secret)
    elif args.command == "list":
        for token in tokens.list():
            print(json.dumps(_shown(token)))
    elif not tokens.revoke(args.id):
        print(f"llm_api.tokens: there is no token {args.id} to revoke", file=sys.stderr)
        return 1
    return 0


def _shown(token: Token) -> dict[str, object]:
    shown = asdict(token)
    for name in ("digest", "revoked"):
        del shown[name]
    for name in ("created", "expires"):
        if shown[name] is not None:
            shown[name] = datetime.fromtimestamp(shown[name], UTC).isoformat(timespec="seconds")
    return shown


def _expires(text: str) -> float:
    """Return the time that `text` means: a date, or how long from now."""
    if found := re.fullmatch(r"(\d{1,6})([mhd])", text):
        return time.time() + int(found[1]) * UNITS[found[2]]
    try:
        given = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is no date and no time such as 30d") from None
    return (given if given.tzinfo else given.replace(tzinfo=UTC)).timestamp()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m llm_api.tokens", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    create = commands.add_parser("create", help="make a token and print its secret, this once")
    create.add_argument("name")
    create.add_argument("--expires", type=_expires, help="2030-12-31, or 30d, 12h, 15m from now")
    create.add_argument("--model", action="append", default=[], help="only this one; repeatable")
    create.add_argument("--provider", action="append", default=[], help="only this one; repeatable")
    create.add_argument("--requests-per-minute", type=int, default=0)
    create.add_argument("--tokens-per-day", type=int, default=0)
    create.add_argument("--secret-from-stdin", action="store_true", help="a UUID of your own")
    create.add_argument("--json", action="store_true", help="print all of it, as JSON")
    commands.add_parser("list", help="print the tokens, as lines of JSON")
    revoke = commands.add_parser("revoke", help="make a token useless")
    revoke.add_argument("id", type=int)
    return parser


if __name__ == "__main__":
    sys.exit(main())
