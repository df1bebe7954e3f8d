"""Bring the tables to what this version needs, once, whichever replica starts first."""

from __future__ import annotations

import logging
from pathlib import Path

from sqlalchemy import Connection, inspect, select, text

from llm_api.state.database import Database, StateError
from llm_api.state.schema import meta

logger = logging.getLogger(__name__)

SCRIPTS = Path(__file__).parent / "migrations"
# The newest script. Numbers have four digits, so that they sort as text.
HEAD = "0001"


def migrate(database: Database, scripts: Path = SCRIPTS, head: str = HEAD) -> None:
    """Migrate `database` to `head` if it is older. All in one transaction: it fails as a whole.

    Raises:
        StateError: it cannot be reached, a script failed, or it is too new for this version.
    """
    with database.read() as connection:
        if _fits(connection, head):
            return
    with database.write() as connection:
        # Others that start wait here, and find it done.
        database.alone(connection, "migration")
        if _fits(connection, head):
            return
        before = version_of(connection)
        try:
            _upgrade(connection, scripts, head)
        except Exception as error:
            raise StateError(
                f"the database could not be brought from version {before or 'none'} to {head} "
                f"and stays as it was: {type(error).__name__}: {str(error)[:300]}"
            ) from error
        logger.info("database migrated", extra={"fields": {"from": before, "to": head}})


def version_of(connection: Connection) -> str:
    """Return the version of the tables; empty if there are none."""
    if not inspect(connection).has_table("alembic_version"):
        return ""
    return str(connection.execute(text("SELECT version_num FROM alembic_version")).scalar() or "")


def _fits(connection: Connection, head: str) -> bool:
    """Return whether the code for `head` can use the tables; False means they are older."""
    version = version_of(connection)
    if version <= head:
        return version == head
    oldest = connection.execute(
        select(meta.c.value).where(meta.c.name == "compatible_from")
    ).scalar_one()
    if oldest <= head:
        return True
    raise StateError(
        f"the database has version {version}, which needs a service that knows {oldest}, and this "
        f"one knows {head}: run a newer version of the service, or restore a backup"
    )


def _upgrade(connection: Connection, scripts: Path, head: str) -> None:
    # Alembic takes memory that most replicas never need.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(scripts).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, head)
