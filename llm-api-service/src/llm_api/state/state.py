"""The state of the cluster, as this process knows it."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from sqlalchemy import Connection, delete, select

from llm_api.config import Config
from llm_api.settings import Settings, SettingsError, parse_changes, to_stored, with_changes
from llm_api.state import schema
from llm_api.state.admin import Admin
from llm_api.state.admissions import Admissions
from llm_api.state.database import Database, StateError
from llm_api.state.history import History
from llm_api.state.migrate import migrate
from llm_api.state.model import Snapshot
from llm_api.state.passwords import hash_password
from llm_api.state.sessions import Sessions
from llm_api.state.tokens import Tokens, as_token
from llm_api.state.usage import Usage
from llm_api.state.users import Users, as_user

logger = logging.getLogger(__name__)

# Seconds between two looks for changes, two writes of usage, two removals of old rows.
LOOK, WRITE, FORGET = 0.5, 2.0, 600.0
# Seconds that a database gets to come up when this process starts.
START_PATIENCE = 30.0
# Seconds that the thread gets to end.
STOP_PATIENCE = 20.0


class State:
    """Settings, tokens, users, history, usage and sessions, in a database for all replicas.

    Requests see the snapshot, which a thread keeps fresh: they wait for no database.
    """

    def __init__(self, config: Config) -> None:
        """Open nothing yet: this process may fork."""
        self._config = config
        self.database = Database(config.database_url)
        self.tokens = Tokens(self.database, self._refresh)
        self.users = Users(self.database, self._refresh)
        self.history = History(self.database)
        self.usage = Usage(self.database)
        self.sessions = Sessions(self.database)
        self.admin = Admin(self.database)
        self.admissions = Admissions(self.database)
        nothing: Mapping[Any, Any] = MappingProxyType({})
        self._snapshot = Snapshot(0, config.settings, nothing, nothing, nothing)
        self._told: Snapshot = self._snapshot
        self._callbacks: list[Callable[[Snapshot], None]] = []
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._stopping = False
        self._thread: threading.Thread | None = None
        self._reachable = True
        self.secret_key = config.secret_key

    @property
    def snapshot(self) -> Snapshot:
        """What requests need, at most a second behind."""
        return self._snapshot

    def start(self) -> None:
        """Connect, migrate, take the first snapshot and start the thread.

        Raises:
            StateError: the database cannot be reached or used.
        """
        self._connect()
        if self._config.admin_password and not self.admin.password_hash:
            self.admin.begin_with_password(hash_password(self._config.admin_password))
        if not self.admin.password_hash:
            logger.info("the settings page is off until it has a password: python -m llm_api.admin")
        self.secret_key = self._config.secret_key or self.admin.secret_key()
        self._refresh()
        self._told = self._snapshot
        self._thread = threading.Thread(target=self._run, name="state", daemon=True)
        self._thread.start()

    def _connect(self) -> None:
        end = time.monotonic() + START_PATIENCE
        while True:
            try:
                with self.database.read():
                    break
            except StateError as error:
                # A file that cannot be opened will not be there later, either.
                if self.database.is_sqlite or time.monotonic() > end:
                    raise
                logger.warning("waiting for the database: %s", error)
                time.sleep(1)
        migrate(self.database)

    def stop(self) -> None:
        """Write what is pending, and close."""
        self._stopping = True
        self._wake.set()
        if self._thread:
            self._thread.join(STOP_PATIENCE)
            self._thread = None
            try:
                self.database.look()
                self.usage.write()
            except StateError as error:
                logger.error("usage was lost: %s", error)  # noqa: TRY400
        self.database.close()

    def catch_up(self) -> None:
        """Take a new snapshot if another replica has changed something since the last one.

        Raises:
            StateError: the database cannot be reached.
        """
        self._catch_up_to(self.database.revision())

    def _catch_up_to(self, number: int) -> None:
        if number != self._snapshot.revision:
            self._refresh()

    def on_change(self, callback: Callable[[Snapshot], None]) -> None:
        """Call `callback` in the state's thread with each snapshot that brings a change."""
        self._callbacks.append(callback)

    def change_settings(self, changes: Mapping[str, Any]) -> None:
        """Change settings, given as JSON has them or as `parse_changes` returned them.

        Raises:
            SettingsError: a value cannot be used.
            StateError: the database cannot be reached.
        """
        checked = parse_changes(changes)
        with self.database.write(change=True) as connection:
            self.database.alone(connection, "settings")
            stored = _stored(connection)
            new = stored | {name: to_stored(value) for name, value in checked.items()}
            _effective(self._config.settings, new)
            for name in checked:
                text = json.dumps(new[name])
                statement = self.database.insert(schema.settings).values(name=name, value=text)
                statement = statement.on_conflict_do_update(
                    index_elements=[schema.settings.c.name], set_={"value": text}
                )
                connection.execute(statement)
        self._refresh()

    def reset_settings(self, names: Iterable[str]) -> None:
        """Let the environment's values hold again.

        Raises:
            SettingsError: the other stored values do not go with that.
            StateError: the database cannot be reached.
        """
        gone = set(names)
        with self.database.write(change=True) as connection:
            self.database.alone(connection, "settings")
            stored = _stored(connection)
            _effective(
                self._config.settings, {n: value for n, value in stored.items() if n not in gone}
            )
            connection.execute(delete(schema.settings).where(schema.settings.c.name.in_(gone)))
        self._refresh()

    def _refresh(self) -> None:
        """Take a new snapshot."""
        with self._lock:
            self._snapshot = self._read()
        self._wake.set()

    def _read(self) -> Snapshot:
        with self.database.read() as connection:
            # First: what changes while the rest is read is then seen again with the next one.
            number = int(connection.execute(select(schema.revision.c.value)).scalar_one())
            stored = _stored(connection)
            tokens = select(schema.tokens).where(schema.tokens.c.revoked.is_(None))
            by_digest = {t.digest: t for t in map(as_token, connection.execute(tokens))}
            users = [as_user(row) for row in connection.execute(select(schema.users))]
        return Snapshot(
            number,
            self._settings(stored),
            MappingProxyType(stored),
            MappingProxyType(by_digest),
            MappingProxyType({u.token_id: u for u in users if u.token_id is not None}),
        )

    def _settings(self, stored: Mapping[str, Any]) -> Settings:
        """Return the effective settings; what this version cannot use is left out."""
        settings = self._config.settings
        usable: dict[str, Any] = {}
        for name, value in stored.items():
            try:
                usable |= parse_changes({name: value})
            except SettingsError as error:
                logger.warning("stored setting left out: %s", error)
        try:
            return with_changes(settings, usable)
        except SettingsError as error:
            logger.warning("stored setting left out: %s", error)
            usable.pop("provider", None)
            return replace(settings, **usable)

    def _run(self) -> None:
        """Look for changes and write usage until `stop`."""
        write = forget = time.monotonic()
        while not self._stopping:
            self._wake.wait(LOOK)
            self._wake.clear()
            now = time.monotonic()
            try:
                self._catch_up_to(self.database.look())
                if now >= write:
                    self._write_usage()
                    write = now + WRITE
                if now >= forget:
                    self.usage.forget()
                    self.admissions.forget()
                    forget = now + FORGET
                self._say_reachable(True)
            except StateError as error:
                self._say_reachable(False, error)
            except Exception:
                logger.exception("the state's thread goes on")
            self._tell()

    def _write_usage(self) -> None:
        """Write usage, and learn what tokens with a daily limit have used."""
        tokens = self._snapshot.tokens.values()
        limited = [token.id for token in tokens if token.tokens_per_day]
        if limited:
            self.usage.count_today(limited)
        else:
            self.usage.write()

    def _say_reachable(self, reachable: bool, error: object = None) -> None:
        if reachable == self._reachable:
            return
        self._reachable = reachable
        if reachable:
            logger.info("the database can be reached again")
        else:
            logger.warning("the database cannot be reached, the last state holds: %s", error)

    def _tell(self) -> None:
        snapshot = self._snapshot
        if snapshot.revision == self._told.revision:
            return
        self._told = snapshot
        for callback in self._callbacks:
            try:
                callback(snapshot)
            except Exception:
                logger.exception("a change could not be followed")


def _stored(connection: Connection) -> dict[str, Any]:
    table = schema.settings
    rows = connection.execute(select(table.c.name, table.c.value).order_by(table.c.name))
    return {row[0]: json.loads(row[1]) for row in rows}


def _effective(settings: Settings, stored: Mapping[str, Any]) -> Settings:
    return with_changes(settings, parse_changes(stored))
