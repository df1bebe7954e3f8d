"""Copy the whole state into another database, such as from a host's file to PostgreSQL."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, Select, Table, delete, func, select, text, update
from sqlalchemy.exc import IntegrityError

from llm_api.state.admin import SECRET_KEY
from llm_api.state.database import Database, StateError
from llm_api.state.migrate import HEAD, migrate, version_of
from llm_api.state.schema import (
    history,
    meta,
    metadata,
    revision,
    settings,
    tokens,
    usage,
    users,
)

# Rows that are in memory at once. A message of a conversation may have 400,000 characters.
BATCH = 100
# What people and their requests have made. Where a target has none of it, it has nothing to lose:
# the secret key, the first password and the like, which a start makes, make way.
OWN = (settings, tokens, users, history, usage)
# In `meta` of a target: what was copied into it. In `meta` of any: what belongs to its tables.
MARK, COMPATIBLE_FROM = "copied", "compatible_from"


class TakenError(Exception):
    """The target has a state that is not from this source."""


@dataclass(frozen=True)
class Transfer:
    """What a copy has done."""

    rows: Mapping[str, int] | None
    """How many of each table were copied; None if they had been before."""
    missed: bool = False
    """Whether the source has changed since, and the target is in use, so that nothing was done."""


def transfer(source: Database, target: Database) -> Transfer:
    """Copy what `source` has at this moment, in one transaction, and compare it before its end.

    A target that has been copied to, and that nobody has used since, is copied to again where the
    source has changed. Others may write to the source meanwhile, but what they write is not copied.

    Raises:
        TakenError: the target has a state that is not from this source.
        StateError: a database cannot be reached, the source has another version, or what arrived
            is not what was read. The target has nothing of it then.
    """
    migrate(target)
    try:
        with source.read() as reading, target.write() as writing:
            # SQLite's begins with the first look.
            origin = _origin(reading)
            # Others that copy, migrate or write wait here.
            target.alone(writing, "migration")
            _lock(target, writing)
            return _transfer(reading, target, writing, origin)
    except IntegrityError as error:
        raise StateError(f"the rows do not go together: {str(error.orig)[:300]}") from error


def _transfer(reading: Connection, target: Database, writing: Connection, origin: str) -> Transfer:
    mark = _mark(writing)
    if not mark and (taken := [t.name for t in OWN if writing.execute(select(t).limit(1)).first()]):
        raise TakenError(f"the target has a state of its own: rows in {', '.join(taken)}")
    if mark and mark["origin"] != origin:
        raise TakenError("the target has the state of another source")
    readable = (version := version_of(reading)) == HEAD
    state = _fingerprint(reading) if readable else ""
    if mark and (state == mark["state"] or _fingerprint(writing) != mark["state"]):
        return Transfer(None, missed=readable and state != mark["state"])
    for where, found in (("source", version), ("target", version_of(writing))):
        if found != HEAD:
            raise StateError(
                f"the {where} has version {found or 'none'} and this service copies {HEAD}: "
                "run the service of one version on both before"
            )
    rows = _copy(reading, writing)
    if _fingerprint(writing) != state:
        raise StateError("what arrived in the target is not what was read, and was taken back")
    value = json.dumps({"origin": origin, "state": state})
    writing.execute(meta.insert().values(name=MARK, value=value))
    if not target.is_sqlite:
        _continue_counting(writing)
    return Transfer(rows)


def _copy(reading: Connection, writing: Connection) -> dict[str, int]:
    """Replace what the target has, and return how many rows of each table it has now."""
    tables = [table for table in metadata.sorted_tables if table is not revision]
    for table in reversed(tables):
        gone = delete(table)
        if table is meta:
            gone = gone.where(meta.c.name != COMPATIBLE_FROM)
        writing.execute(gone)
    rows = dict.fromkeys((table.name for table in tables), 0)
    for table in tables:
        for batch in _batches(reading, table):
            writing.execute(table.insert(), [dict(row._mapping) for row in batch])
            rows[table.name] += len(batch)
    # Another one than either had, so that a replica which runs already notices.
    changes = reading.execute(select(revision.c.value)).scalar_one()
    writing.execute(update(revision).values(value=revision.c.value + changes))
    return rows


def _batches(connection: Connection, table: Table) -> Iterator[Sequence[Row[Any]]]:
    """Return the rows that are copied, few at once."""
    statement: Select[Any] = select(table)
    if table is meta:
        statement = statement.where(meta.c.name.not_in((MARK, COMPATIBLE_FROM)))
    yield from connection.execute(statement.execution_options(yield_per=BATCH)).partitions()


def _fingerprint(connection: Connection) -> str:
    """Return what tells the state apart from others, in whichever order a database has the rows."""
    total = 0
    for table in (*OWN, meta):
        for batch in _batches(connection, table):
            for row in batch:
                digest = hashlib.sha256(repr((table.name, *row)).encode()).digest()
                total += int.from_bytes(digest)
    return f"{total % 2**256:x}"


def _origin(connection: Connection) -> str:
    """Return whose state it is, as far as one can tell: a file is made with a key of its own."""
    if not version_of(connection):
        return ""
    key = connection.execute(select(meta.c.value).where(meta.c.name == SECRET_KEY)).scalar()
    return hashlib.sha256(f"origin {key}".encode()).hexdigest() if key else ""


def _mark(connection: Connection) -> dict[str, str]:
    """Return what was copied into this database; empty if nothing was."""
    value = connection.execute(select(meta.c.value).where(meta.c.name == MARK)).scalar()
    mark: dict[str, str] = json.loads(value) if value else {}
    return mark


def _lock(database: Database, connection: Connection) -> None:
    """Let nobody else write until the end of the transaction. On SQLite nobody does anyway."""
    if not database.is_sqlite:
        tables = [table.name for table in metadata.sorted_tables if table is not revision]
        # Last, as in all other transactions.
        names = ", ".join((*tables, revision.name))
        connection.execute(text(f"LOCK TABLE {names} IN EXCLUSIVE MODE"))


def _continue_counting(connection: Connection) -> None:
    """Let PostgreSQL's sequences go on after the ids that were copied."""
    for table in metadata.sorted_tables:
        column = table.autoincrement_column
        if column is None or table is revision:
            continue
        following = func.coalesce(func.max(column), 0) + 1
        sequence = func.pg_get_serial_sequence(table.name, column.name)
        connection.execute(select(func.setval(sequence, following, False)))
