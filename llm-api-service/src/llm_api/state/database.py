"""The connection to the database: SQLite in a file, or PostgreSQL."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, Table, create_engine, event, select, text, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError

from llm_api.errors import ApiError
from llm_api.state.schema import revision

# Seconds that a statement waits for another replica's transaction.
PATIENCE = 15
# Seconds until a host that says nothing is taken for gone. A server that works on something long
# still says, by its kernel, that it has what it was sent.
SILENCE = 3
# Threads of requests take turns: none needs the database for longer than milliseconds.
CONNECTIONS = 4
RETRY_AFTER = 5
# In the options of a connection: its transaction is going to write.
WRITES = "llm_api_writes"


class StateError(ApiError):
    """The database cannot be used now, or not by this version."""

    def __init__(self, reason: str) -> None:
        """Keep why, which is for the log."""
        message = "The service cannot reach its database."
        super().__init__(503, message, code="database_unavailable", retry_after=RETRY_AFTER)
        self.reason = reason

    def __str__(self) -> str:
        """Return why."""
        return self.reason


class Database:
    """One engine, and transactions on it."""

    def __init__(self, url: str) -> None:
        """Connect to nothing yet."""
        self._url = url
        self._engine: Engine | None = None
        # The thread that has called `look`.
        self._lookout: int | None = None
        self._away = False

    @property
    def engine(self) -> Engine:
        """The engine, made when it is first needed."""
        if self._engine is None:
            self._engine = _engine(self._url)
            event.listen(self._engine, "do_connect", self._refuse)
        return self._engine

    @property
    def is_sqlite(self) -> bool:
        """Whether it is a file of SQLite."""
        return self._url.startswith("sqlite")

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Enter a transaction that only reads.

        Raises:
            StateError: the database cannot be reached.
        """
        with self._told(), self.engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def write(self, *, change: bool = False) -> Iterator[Connection]:
        """Enter a transaction that writes; with `change`, all replicas will notice.

        Raises:
            StateError: the database cannot be reached.
        """
        with self._told(), self.engine.connect() as connection:
            # For this connection only, until it goes back.
            connection.execution_options(**{WRITES: True})
            with connection.begin():
                yield connection
                if change:
                    connection.execute(update(revision).values(value=revision.c.value + 1))

    def insert(self, table: Table) -> Any:
        """Return an INSERT into `table` that can say what to do on a conflict."""
        return (sqlite if self.is_sqlite else postgresql).insert(table)

    def alone(self, connection: Connection, what: str) -> None:
        """Wait until no other transaction is at `what`. On SQLite only one writes anyway."""
        if not self.is_sqlite:
            connection.execute(
                text("SELECT pg_advisory_xact_lock(hashtextextended(:what, 0))"), {"what": what}
            )

    def revision(self) -> int:
        """Return the number of the newest change.

        Raises:
            StateError: the database cannot be reached.
        """
        with self.read() as connection:
            return int(connection.execute(select(revision.c.value)).scalar_one())

    def look(self) -> int:
        """Return the number of the newest change, and see whether there is a database.

        Other threads get no new connection from when one of them has found the database gone until
        this has found it again: they fail at once, and only one waits for a host that is silent.

        Raises:
            StateError: the database cannot be reached.
        """
        self._lookout = threading.get_ident()
        number = self.revision()
        self._away = False
        return number

    def _refuse(self, *_: object) -> None:
        """Refuse all but the lookout while the database is away."""
        if self._away and threading.get_ident() != self._lookout:
            raise StateError("it could not be reached a moment ago")

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except IntegrityError:
            raise
        except SQLAlchemyError as error:
            # Not the whole text: that holds the statement and its parameters.
            cause = error.orig if isinstance(error, DBAPIError) else error
            # PostgreSQL has a code for whatever it says itself.
            if self._lookout and getattr(cause, "sqlstate", "") is None:
                self._away = True
            raise StateError(f"{type(error).__name__}: {str(cause)[:300]}") from error

    def close(self) -> None:
        """Close all connections."""
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None


def _engine(url: str) -> Engine:
    if not url.startswith("sqlite"):
        return create_engine(
            url,
            pool_size=CONNECTIONS,
            max_overflow=0,
            pool_timeout=PATIENCE,
            pool_pre_ping=True,
            hide_parameters=True,
            connect_args={
                "connect_timeout": SILENCE,
                "tcp_user_timeout": SILENCE * 1000,
                "keepalives_idle": SILENCE,
                "keepalives_interval": 1,
                "options": f"-c statement_timeout={PATIENCE}s -c lock_timeout={PATIENCE}s",
            },
        )
    engine = create_engine(
        url,
        pool_size=CONNECTIONS,
        max_overflow=0,
        pool_timeout=PATIENCE,
        hide_parameters=True,
        connect_args={"timeout": PATIENCE, "check_same_thread": False},
    )

    @event.listens_for(engine, "connect")
    def connected(connection: Any, _record: Any) -> None:
        # The driver must begin no transactions of its own: it would begin them too late.
        connection.isolation_level = None
        _write_ahead(connection)
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("PRAGMA foreign_keys=ON")

    @event.listens_for(engine, "begin")
    def begun(connection: Connection) -> None:
        # One that reads first and writes then could not wait for others that write.
        writes = connection.get_execution_options().get(WRITES)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _write_ahead(connection: Any) -> None:
    """Let readers and a writer of the file work at once. For this SQLite waits for nobody."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            if connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal":
                return
            connection.execute("PRAGMA journal_mode=WAL")
        except connection.OperationalError:
            if time.monotonic() > end:
                raise
            time.sleep(0.02)
