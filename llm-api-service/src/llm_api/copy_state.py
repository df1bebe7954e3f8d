"""Copy a host's SQLite file to the database of several hosts: `python -m llm_api.copy_state FILE`.

The target is what DATABASE_URL or DATABASE_URL_FILE names, as for the service. The first word says
what was done: `copied`, or `already there`. The exit code is 0 then, 3 if the target has a state
that is not from this file, and 1 if it failed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import URL, make_url

from llm_api.config import ConfigError, load
from llm_api.state import StateError
from llm_api.state.database import Database
from llm_api.state.transfer import TakenError, Transfer, transfer

FAILED, TAKEN = 1, 3


def main(arguments: Sequence[str] | None = None) -> int:
    """Copy the state, say what was done, and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m llm_api.copy_state",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", type=Path, help="the file of SQLite to copy")
    file: Path = parser.parse_args(arguments).file
    try:
        _say(_copy(file, load().database_url))
    except (ConfigError, StateError, TakenError) as error:
        print(f"llm_api.copy_state: {error}", file=sys.stderr)
        return TAKEN if isinstance(error, TakenError) else FAILED
    return 0


def _copy(file: Path, target_url: str) -> Transfer:
    # SQLite would make it.
    if not file.is_file():
        raise StateError(f"there is no file {file}")
    to = make_url(target_url)
    if to.get_backend_name() == "sqlite" and Path(to.database or "").resolve() == file.resolve():
        raise ConfigError(f"DATABASE_URL is {file} itself: it must name the target")
    source = Database(URL.create("sqlite", database=str(file.resolve())).render_as_string())
    target = Database(target_url)
    try:
        return transfer(source, target)
    finally:
        source.close()
        target.close()


def _say(done: Transfer) -> None:
    if done.rows is None:
        print("already there")
        if done.missed:
            print(
                "llm_api.copy_state: the file has changed since it was copied, which the target, "
                "in use by now, does not get",
                file=sys.stderr,
            )
        return
    print(f"copied {sum(done.rows.values())} rows")
    for name, count in done.rows.items():
        print(f"{name} {count}")


if __name__ == "__main__":
    sys.exit(main())
