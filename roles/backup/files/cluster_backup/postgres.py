# SPDX-License-Identifier: GPL-3.0-or-later
"""The cluster's PostgreSQL: dumped while replicas write to it, and restored."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import IO

from cluster_backup.errors import BackupError
from cluster_backup.manifest import Schema

# What an archive calls the dump.
DUMP = "postgres.dump"

CONTAINER = "postgres"
# The role is called so, too.
DATABASE = "llm_api"
# What is restored is called so until it is whole.
RESTORED = "llm_api_restored"


def require_running() -> None:
    """Return if there is a database to talk to.

    Raises:
        BackupError: there is none.
    """
    # On a fresh host there is no docker.
    if not shutil.which("docker") or not _answers():
        raise BackupError(
            f"the container {CONTAINER}, which has the database, does not answer: deploy the"
            " cluster with site.yml, and run this again"
        )


def dump(target: Path) -> None:
    """Write the database as it is at one moment to `target`.

    Raises:
        BackupError: it could not be done.
    """
    require_running()
    partial = target.with_suffix(".partial")
    with partial.open("wb") as file:
        _run("pg_dump", "--format=custom", f"--dbname={DATABASE}", output=file)
    partial.rename(target)


def restore(source: Path) -> None:
    """Replace the database by what `source` has, whole or not at all.

    Replicas of other hosts may be connected to it: they find the other one when they ask again.

    Raises:
        BackupError: it could not be done.
    """
    # Beside it and not into it: a table that only a newer release has would stay there, and
    # be in the way when that release comes.
    _sql(
        f"DROP DATABASE IF EXISTS {RESTORED} WITH (FORCE)",
        f"CREATE DATABASE {RESTORED} OWNER {DATABASE}",
    )
    with source.open("rb") as file:
        _run(
            *("pg_restore", "--exit-on-error", "--no-owner", f"--role={DATABASE}"),
            f"--dbname={RESTORED}",
            given=file,
        )
    _sql(
        f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)",
        f"ALTER DATABASE {RESTORED} RENAME TO {DATABASE}",
    )


def is_used() -> bool:
    """Return whether there is anything in the database."""
    return _ask("SELECT count(*) > 0 FROM pg_tables WHERE schemaname = 'public'") == "t"


def schema() -> Schema | None:
    """Return what the tables ask of a release; None if there are none yet."""
    if not _ask("SELECT to_regclass('alembic_version')"):
        return None
    version = _ask("SELECT version_num FROM alembic_version")
    oldest = _ask("SELECT value FROM meta WHERE name = 'compatible_from'")
    return Schema(version, oldest or version)


def _answers() -> bool:
    try:
        _run("pg_isready", "--quiet")
    except BackupError:
        return False
    return True


def _ask(query: str) -> str:
    """Return the one value that the database answers with; empty for NULL, and for none."""
    return _psql(DATABASE, query)


def _sql(*commands: str) -> None:
    """Run what no database can be told about itself."""
    _psql("postgres", *commands)


def _psql(database: str, *commands: str) -> str:
    options = [f"--command={command}" for command in commands]
    return _run(
        *("psql", "--no-psqlrc", "--quiet", "--tuples-only", "--no-align"),
        *("--set=ON_ERROR_STOP=1", f"--dbname={database}", *options),
    ).strip()


def _run(*command: str, given: IO[bytes] | None = None, output: IO[bytes] | None = None) -> str:
    """Run `command` in the container, and return its output if nothing else takes it."""
    # S603, S607: docker is where Debian put it, and the arguments are ours.
    result = subprocess.run(  # noqa: S603
        ["docker", "exec", "--interactive", CONTAINER, *command],  # noqa: S607
        stdin=given or subprocess.DEVNULL,
        stdout=output or subprocess.PIPE,
        stderr=subprocess.PIPE,
        check=False,
    )
    if result.returncode:
        raise BackupError(f"{command[0]}: {result.stderr.decode(errors='replace').strip()}")
    return (result.stdout or b"").decode()
