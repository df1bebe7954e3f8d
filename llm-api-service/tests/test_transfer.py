"""The state of a host's file, copied to the database of several hosts."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from conftest import until
from sqlalchemy import URL, Connection, select

from llm_api import copy_state
from llm_api.config import Config
from llm_api.state import State, StateError, UsageEntry
from llm_api.state.database import Database
from llm_api.state.migrate import migrate
from llm_api.state.schema import metadata, revision
from llm_api.state.transfer import COMPATIBLE_FROM, MARK, TakenError, _copy, transfer

Rows = dict[str, list[tuple[Any, ...]]]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file in which every table has rows, some of them more than are read at once."""
    plain = tmp_path / "source.db"
    state = State(Config(database_url=f"sqlite:///{plain}", admin_password="of the source"))
    state.start()
    state.change_settings({"system_prompt": "é\n", "private_mode": True})
    gone, _ = state.tokens.create("gone")
    state.tokens.revoke(gone.id)
    token, _ = state.tokens.create("ci", models=["m"], requests_per_minute=9, expires=2e9 + 0.1)
    state.users.create("alice", token_id=token.id)
    state.users.create("bob")
    for owner in ("token:1", "token:2"):
        messages = [{"role": "user", "content": f"{i} \0 é"} for i in range(130)]
        state.history.append(owner, messages)
    for status in range(200, 300):
        state.usage.note(UsageEntry(token.id, "m", "p", status, 2, 3, 0.1, 1 / 3))
        state.usage.note(UsageEntry(0, "", "", status, 2, 3, 1, 1))
    state.sessions.create("admin")
    state.sessions.login_failed("192.0.2.1")
    assert state.admissions.admit(token).allowed
    state.stop()
    # A name that has to be quoted in a URL.
    return plain.rename(tmp_path / "odd #1?%20.db")


@pytest.fixture
def source(file: Path) -> Iterator[Database]:
    database = Database(URL.create("sqlite", database=str(file)).render_as_string())
    yield database
    database.close()


@pytest.fixture
def target(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    yield database
    database.close()


@pytest.fixture
def replica(database_url: str) -> Iterator[State]:
    """A replica that runs on the target, where nobody has done anything yet."""
    state = State(Config(database_url=database_url, admin_password="of the target"))
    state.start()
    yield state
    state.stop()


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, database_url: str) -> None:
    secret = tmp_path / "database_url"
    secret.write_text(database_url)
    monkeypatch.setenv("DATABASE_URL_FILE", str(secret))


def rows(database: Database) -> Rows:
    """Return all rows but those that each database has for itself."""
    with database.read() as connection:
        found = {
            table.name: sorted(map(tuple, connection.execute(select(table))), key=repr)
            for table in metadata.sorted_tables
            if table is not revision
        }
    found["meta"] = [row for row in found["meta"] if row[0] not in (MARK, COMPATIBLE_FROM)]
    return found


def change(file: Path, statement: str) -> None:
    """Change the file by a statement that the service would not make."""
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(statement)


def test_everything_is_copied_once(
    file: Path, source: Database, target: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    before = rows(source)
    assert copy_state.main([str(file)]) == 0
    first, *counts = capsys.readouterr().out.splitlines()
    assert all(before.values())
    assert rows(target) == before == rows(source)
    assert first == f"copied {sum(map(len, before.values()))} rows"
    assert dict(line.split() for line in counts) == {n: str(len(r)) for n, r in before.items()}
    assert copy_state.main([str(file)]) == 0
    assert capsys.readouterr() == ("already there\n", "")
    assert rows(target) == before


def test_a_replica_goes_on_where_the_file_ended(
    source: Database, target: Database, replica: State
) -> None:
    of_source = State(Config(database_url=source._url))
    of_source.start()
    password, key, snapshot = (
        of_source.admin.password_hash,
        of_source.secret_key,
        of_source.snapshot,
    )
    of_source.stop()
    assert transfer(source, target).rows
    # It runs on, and sees what has come.
    until(lambda: replica.snapshot.tokens == snapshot.tokens)
    assert replica.snapshot.stored == snapshot.stored
    assert replica.snapshot.users == snapshot.users
    assert replica.admin.password_hash == password
    assert replica.admin.secret_key() == key
    last = max(token.id for token in replica.tokens.list(revoked=True))
    assert [replica.tokens.create(name)[0].id for name in "ab"] == [last + 1, last + 2]
    assert replica.users.create("eve")[0].id == 3
    replica.history.append("token:1", [{"role": "user", "content": "new"}])
    assert replica.history.read("token:1")[-1]["content"] == "new"


def test_what_changes_before_the_target_is_used_is_copied_again(
    file: Path, source: Database, target: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    assert transfer(source, target).rows
    for statement in (
        "UPDATE meta SET value = 'other' WHERE name = 'admin_password_hash'",
        "DELETE FROM users WHERE username = 'bob'",
    ):
        change(file, statement)
        assert copy_state.main([str(file)]) == 0
        assert capsys.readouterr().out.startswith("copied ")
        assert rows(target) == rows(source)


def test_what_changes_afterwards_is_told(
    file: Path,
    source: Database,
    target: Database,
    database_url: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert transfer(source, target).rows
    state = State(Config(database_url=database_url))
    state.start()
    state.tokens.create("of the target")
    state.stop()
    before = rows(target)
    assert copy_state.main([str(file)]) == 0
    assert capsys.readouterr() == ("already there\n", "")
    change(file, "DELETE FROM users WHERE username = 'bob'")
    assert copy_state.main([str(file)]) == 0
    out, err = capsys.readouterr()
    assert out == "already there\n"
    assert "changed since" in err
    # A newer service, which works on the target, does not read the file any more.
    change(file, "UPDATE alembic_version SET version_num = '0000'")
    assert copy_state.main([str(file)]) == 0
    assert capsys.readouterr() == ("already there\n", "")
    assert rows(target) == before


@pytest.mark.parametrize("what", ["settings", "tokens", "users", "history", "usage"])
def test_a_target_with_a_state_of_its_own_stays_as_it_is(
    file: Path, target: Database, replica: State, what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if what == "settings":
        replica.change_settings({"keyword": "q"})
    elif what == "tokens":
        replica.tokens.create("own")
    elif what == "users":
        replica.users.create("own_user")
    elif what == "history":
        replica.history.append("token:1", [{"role": "user", "content": "own"}])
    else:
        replica.usage.note(UsageEntry(0, "m", "p", 200, 1, 1, 1, 1))
        replica.usage.write()
    before = rows(target)
    assert copy_state.main([str(file)]) == 3
    out, err = capsys.readouterr()
    assert out == ""
    assert f"a state of its own: rows in {what}\n" in err
    assert rows(target) == before


def test_a_target_has_the_state_of_one_file(file: Path, source: Database, target: Database) -> None:
    assert transfer(source, target).rows
    before = rows(target)
    change(file, "UPDATE meta SET value = 'of another file' WHERE name = 'secret_key'")
    with pytest.raises(TakenError, match="another source"):
        transfer(source, target)
    assert rows(target) == before


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("UPDATE alembic_version SET version_num = '0000'", "the source has version 0000"),
        ("UPDATE alembic_version SET version_num = '9999'", "the source has version 9999"),
        ("DROP TABLE alembic_version", "the source has version none"),
        # In the last tables, when others have been copied already.
        ("UPDATE users SET token_id = 99 WHERE token_id IS NOT NULL", "do not go together"),
    ],
)
def test_a_copy_that_fails_leaves_nothing_behind(
    file: Path, source: Database, target: Database, statement: str, problem: str
) -> None:
    migrate(target)
    before = rows(target)
    change(file, statement)
    with pytest.raises(StateError, match=problem):
        transfer(source, target)
    assert rows(target) == before


def test_what_arrives_otherwise_is_taken_back(
    file: Path, source: Database, target: Database
) -> None:
    migrate(target)
    before = rows(target)
    if target.is_sqlite:
        with target.write() as connection:
            connection.exec_driver_sql(
                "CREATE TRIGGER other AFTER INSERT ON usage "
                "BEGIN UPDATE usage SET requests = 2 WHERE status = 299; END"
            )
    else:
        # SQLite takes anything for a number, and PostgreSQL makes a whole one of it.
        change(file, "UPDATE usage SET requests = 1.5 WHERE status = 299")
    with pytest.raises(StateError, match="is not what was read"):
        transfer(source, target)
    assert rows(target) == before


class Busy(Database):
    """A target in front of which somebody writes to the source, once the copy has begun."""

    def __init__(self, url: str, file: Path) -> None:
        super().__init__(url)
        self.file = file

    def alone(self, connection: Connection, what: str) -> None:
        super().alone(connection, what)
        if what == "migration" and self.file.exists():
            change(self.file, "DELETE FROM users WHERE username = 'bob'")
            change(self.file, "INSERT INTO settings VALUES ('keyword', '\"q\"')")


def test_it_is_the_source_of_one_moment(
    file: Path, source: Database, target: Database, database_url: str
) -> None:
    migrate(target)
    before = rows(source)
    busy = Busy(database_url, file)
    assert transfer(source, busy).rows
    busy.close()
    assert rows(target) == before != rows(source)


def test_whoever_writes_to_the_target_waits(
    source: Database, target: Database, replica: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = threading.Thread(target=replica.tokens.create, args=("meanwhile",))
    waits: list[bool] = []

    def copy(reading: Connection, writing: Connection) -> dict[str, int]:
        writer.start()
        writer.join(0.5)
        waits.append(writer.is_alive())
        return _copy(reading, writing)

    monkeypatch.setattr("llm_api.state.transfer._copy", copy)
    assert transfer(source, target).rows
    writer.join(10)
    assert waits == [True]
    names = [token.name for token in replica.tokens.list(revoked=True)]
    assert names == ["gone", "ci", "meanwhile"]


def test_two_that_copy_at_once(source: Database, target: Database, database_url: str) -> None:
    done: list[bool] = []

    def copy() -> None:
        own = Database(database_url)
        done.append(bool(transfer(source, own).rows))
        own.close()

    threads = [threading.Thread(target=copy) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done) == [False, False, True]
    assert rows(target) == rows(source)


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("postgresql://user:canary@127.0.0.1:1/name", "OperationalError"),
        ("postgresql://user:can@ary@127.0.0.1:1/name", "DATABASE_URL must be"),
        ("postgresql://user:x@127.0.0.1:canary/name", "DATABASE_URL must be"),
        ("sqlite:///{file}", "is {file} itself"),
    ],
)
def test_what_cannot_be_copied_to(
    tmp_path: Path,
    url: str,
    problem: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "source.db"
    migrate(Database(f"sqlite:///{file}"))
    monkeypatch.delenv("DATABASE_URL_FILE")
    monkeypatch.setenv("DATABASE_URL", url.format(file=file))
    assert copy_state.main([str(file)]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert problem.format(file=file) in err
    assert err.count("\n") <= 2
    assert "ary" not in err


def test_a_source_that_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing, text = tmp_path / "missing.db", tmp_path / "text.db"
    text.write_text("no database\n" * 100)
    for path in (missing, text):
        assert copy_state.main([str(path)]) == 1
    assert "there is no file" in capsys.readouterr().err
    assert not missing.exists()
    assert text.read_text().startswith("no database")
