"""A backup is whole or there is none, and a restore replaces all of it or nothing."""

from __future__ import annotations

import contextlib
import io
import json
import sqlite3
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO

import pytest
from cluster_backup import archive, containers, database, gpg, postgres
from cluster_backup.create import collect, copy_away, create, prune
from cluster_backup.errors import BackupError, DamagedError
from cluster_backup.manifest import Manifest, Schema
from cluster_backup.metrics import write_metrics
from cluster_backup.restore import Restore, require_free
from cluster_backup.settings import Settings

NOW = datetime(2026, 11, 25, 21, 0, 0, tzinfo=UTC)
PARTS = ("data/llm-api", "secrets/llm-api", "certificates")
SCHEMA = "0001"


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let archives be what is in them: the scenario `recovery` is about their encryption."""

    @contextmanager
    def encrypted(path: Path, _: str) -> Iterator[IO[bytes]]:
        with path.open("xb") as stream:
            yield stream

    @contextmanager
    def decrypted(path: Path, _: str) -> Iterator[IO[bytes]]:
        with path.open("rb") as stream:
            yield stream

    monkeypatch.setattr(gpg, "encrypted", encrypted)
    monkeypatch.setattr(gpg, "decrypted", decrypted)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Notes what is asked of the engine, on which two replicas run."""
    calls: list[str] = []
    monkeypatch.setattr(containers, "writers", lambda *_: ["api1", "api2"])
    monkeypatch.setattr(containers, "stop", lambda names: calls.append(f"stop {names}"))
    monkeypatch.setattr(containers, "start", lambda names: calls.append(f"start {names}"))
    return calls


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A PostgreSQL whose database is a text: `tests/test_postgres.py` is about a real one."""
    kept = {"database": "", "refuses": ""}

    def dump(target: Path) -> None:
        target.write_text(kept["database"])

    def restore(source: Path) -> None:
        if kept["refuses"]:
            raise BackupError(kept["refuses"])
        kept["database"] = source.read_text()

    monkeypatch.setattr(postgres, "require_running", lambda: None)
    monkeypatch.setattr(postgres, "dump", dump)
    monkeypatch.setattr(postgres, "restore", restore)
    monkeypatch.setattr(postgres, "is_used", lambda: kept["database"] != "")
    monkeypatch.setattr(postgres, "schema", lambda: Schema("0001", "0001"))
    return kept


Host = Callable[[str], Settings]


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """Makes hosts that have nothing yet."""

    def host(name: str) -> Settings:
        folder = tmp_path / name
        folder.mkdir()
        return Settings(
            cluster="freegpt4",
            host=name,
            parts={part: folder / part for part in PARTS},
            postgres=False,
            directory=folder / "archives",
            keep=2,
            restore=folder / "restore",
            metrics=folder / "metrics/freegpt4_backup.prom",
            copy_command=[],
        )

    return host


def fill(settings: Settings) -> None:
    """Give a host a database, a secret and a certificate with a link to it."""
    data, secrets, certificates = settings.parts.values()
    for folder in (data, secrets, certificates / "archive"):
        folder.mkdir(parents=True)
    with closing(connect(data / "state.db")) as connection:
        connection.executescript(
            "PRAGMA journal_mode=WAL; CREATE TABLE tokens (id INTEGER PRIMARY KEY);"
            "CREATE TABLE alembic_version (version_num TEXT); CREATE TABLE meta (name, value);"
            "INSERT INTO alembic_version VALUES ('0001');"
            "INSERT INTO meta VALUES ('compatible_from', '0001')"
        )
    (secrets / "admin_password").write_text("a password")
    (secrets / "admin_password").chmod(0o600)
    secrets.chmod(0o700)
    (certificates / "archive/fullchain.pem").write_text("a chain")
    (certificates / "live").symlink_to("archive")


def connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=30, isolation_level=None)


def ids(path: Path) -> list[int]:
    with closing(connect(path)) as connection:
        return [row[0] for row in connection.execute("SELECT id FROM tokens ORDER BY id")]


def state_db(settings: Settings) -> Path:
    return settings.parts["data/llm-api"] / "state.db"


def restored(settings: Settings, path: Path) -> Path | None:
    restore = Restore(settings)
    restore.stage(path, "", SCHEMA)
    return restore.put_in_place(NOW)


@pytest.mark.usefixtures("engine")
def test_all_of_it_comes_back_on_another_host(host: Host) -> None:
    first, second = host("first"), host("second")
    fill(first)
    path = create(first, "", NOW)
    assert path.name == "freegpt4-first-20261125T210000Z.tar.gz.gpg"
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert restored(second, path) is None
    for part, place in second.parts.items():
        assert place.stat().st_mode == first.parts[part].stat().st_mode
        for source in first.parts[part].rglob("*"):
            copied = place / source.relative_to(first.parts[part])
            assert copied.lstat().st_mode == source.lstat().st_mode
            assert copied.is_symlink() == source.is_symlink()
    secret = second.parts["secrets/llm-api"] / "admin_password"
    assert secret.read_text() == "a password"
    assert (second.parts["certificates"] / "live/fullchain.pem").read_text() == "a chain"
    assert list(second.restore.iterdir()) == []


def test_a_database_is_copied_while_it_is_written(host: Host, tmp_path: Path) -> None:
    settings = host("first")
    fill(settings)
    written: list[int] = []
    end = threading.Event()

    def write() -> None:
        with closing(connect(state_db(settings))) as connection:
            while not end.is_set():
                connection.execute("INSERT INTO tokens DEFAULT VALUES")
                written.append(len(written) + 1)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        while len(written) < 50:
            end.wait(0.01)
        before = len(written)
        manifest = collect(settings, tmp_path / "content", NOW)
        after = len(written)
    finally:
        end.set()
        thread.join()
    names = {entry.path for entry in manifest.entries}
    assert {n for n in names if n.startswith("data/llm-api/")} == {"data/llm-api/state.db"}
    copied = ids(tmp_path / "content/data/llm-api/state.db")
    assert copied == list(range(1, len(copied) + 1))
    assert before <= len(copied) <= after + 1
    assert manifest.databases == {"data/llm-api/state.db": Schema(SCHEMA, SCHEMA)}


def test_nothing_is_left_of_a_backup_that_fails(host: Host) -> None:
    settings = host("first")
    with pytest.raises(BackupError, match="nothing to back up on first: deploy it first"):
        create(settings, "", NOW)
    fill(settings)
    content = bytearray(state_db(settings).read_bytes())
    content[len(content) // 2 :] = b"?" * (len(content) - len(content) // 2)
    state_db(settings).write_bytes(content)
    with pytest.raises(BackupError, match=r"state\.db"):
        create(settings, "", NOW)
    assert list(settings.directory.iterdir()) == []


def test_what_a_killed_run_left_is_removed(host: Host) -> None:
    settings = host("first")
    fill(settings)
    (settings.directory / ".partial-x").mkdir(parents=True)
    path = create(settings, "", NOW)
    assert list(settings.directory.iterdir()) == [path]


def test_the_newest_are_kept(host: Host) -> None:
    settings = host("first")
    fill(settings)
    others = settings.directory / "freegpt4-first-x-20261125T210000Z.tar.gz.gpg"
    paths = [create(settings, "", NOW + timedelta(days=day)) for day in range(4)]
    others.touch()
    prune(settings)
    assert set(settings.directory.iterdir()) == {*paths[2:], others}


def test_a_copy_goes_elsewhere(host: Host, tmp_path: Path) -> None:
    settings = host("first")
    path = tmp_path / "an archive"
    path.touch()
    copy = replace(settings, copy_command=["cp", "{archive}", str(tmp_path / "copy")])
    copy_away(copy, path)
    assert (tmp_path / "copy").exists()
    for command, reason in ((["cp", "{archive}", "/nowhere/x"], "/nowhere"), (["/no"], "/no")):
        with pytest.raises(BackupError, match=f"is made, but .* did not copy it: .*{reason}"):
            copy_away(replace(settings, copy_command=command), path)


def test_what_is_replaced_is_kept_aside(host: Host, engine: list[str]) -> None:
    settings = host("first")
    fill(settings)
    path = create(settings, "", NOW)
    with closing(connect(state_db(settings))) as connection:
        connection.execute("INSERT INTO tokens DEFAULT VALUES")
    restore = Restore(settings)
    restore.stage(path, "", SCHEMA)
    with pytest.raises(BackupError, match=r"would replace .*data/llm-api, .*restore_confirm=true"):
        require_free(restore)
    replaced = restore.put_in_place(NOW)
    assert replaced
    assert ids(state_db(settings)) == []
    assert ids(replaced / "data/llm-api/state.db") == [1]
    assert engine == ["stop ['api1', 'api2']", "start ['api1', 'api2']"]


def test_an_interrupted_restore_is_ended_by_the_next(
    host: Host, engine: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = host("first"), host("second")
    fill(first)
    path = create(first, "", NOW)
    moves = 0

    def move(source: Path, target: Path) -> None:
        nonlocal moves
        moves += 1
        if moves in breaks:
            raise KeyboardInterrupt
        source.rename(target)

    monkeypatch.setattr("cluster_backup.restore.shutil.move", move)
    fill(second)
    (second.parts["data/llm-api"] / "old").touch()
    # At every second move, and each time it goes on from where it was.
    breaks = set(range(1, 30, 2))
    restore = Restore(second)
    restore.stage(path, "", SCHEMA)
    with pytest.raises(KeyboardInterrupt):
        restore.put_in_place(NOW)
    monkeypatch.setattr(containers, "writers", lambda *_: [])
    while (second.restore / "journal.json").exists():
        with contextlib.suppress(KeyboardInterrupt):
            Restore(second).end_interrupted()
    [replaced] = second.restore.iterdir()
    assert (replaced / "data/llm-api/old").exists()
    assert (replaced / "certificates/live").is_symlink()
    assert not (second.parts["data/llm-api"] / "old").exists()
    assert ids(state_db(second)) == []
    assert (second.parts["certificates"] / "live/fullchain.pem").exists()
    # They were stopped by the first run, and are started by the last.
    assert engine[0] == "stop ['api1', 'api2']"
    assert engine[-1] == "start ['api1', 'api2']"


def test_postgresql_is_replaced_and_kept_aside(
    host: Host, engine: list[str], server: dict[str, str]
) -> None:
    settings = replace(host("first"), postgres=True)
    fill(settings)
    server["database"] = "old"
    path = create(settings, "", NOW)
    server["database"] = "new"
    restore = Restore(settings)
    restore.stage(path, "", SCHEMA)
    with pytest.raises(BackupError, match=r"data/llm-api, .*, the database in .* postgres, and"):
        require_free(restore)
    replaced = restore.put_in_place(NOW)
    assert replaced
    assert server["database"] == "old"
    assert (replaced / "postgres.dump").read_text() == "new"
    assert engine == ["stop ['api1', 'api2']", "start ['api1', 'api2']"]


def test_all_is_as_it_was_if_postgresql_refuses(
    host: Host, engine: list[str], server: dict[str, str]
) -> None:
    settings = replace(host("first"), postgres=True)
    fill(settings)
    path = create(settings, "", NOW)
    secret = settings.parts["secrets/llm-api"] / "admin_password"
    secret.write_text("a new one")
    server.update(database="new", refuses="pg_restore: no")
    with pytest.raises(BackupError, match="pg_restore: no"):
        restored(settings, path)
    assert secret.read_text() == "a new one"
    assert server["database"] == "new"
    assert engine == ["stop ['api1', 'api2']", "start ['api1', 'api2']"]
    # And the next run has nothing to end.
    Restore(settings).end_interrupted()
    assert len(engine) == 2


@pytest.mark.usefixtures("engine")
def test_an_interrupted_restore_of_postgresql_is_ended_by_the_next(
    host: Host, server: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = replace(host("first"), postgres=True)
    server["database"] = "old"
    path = create(settings, "", NOW)
    server["database"] = "new"

    def interrupted(source: Path) -> None:
        server["database"] = source.read_text()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(postgres, "restore", interrupted)
        with pytest.raises(KeyboardInterrupt):
            restored(settings, path)
    Restore(settings).end_interrupted()
    assert server["database"] == "old"
    [replaced] = settings.restore.iterdir()
    assert (replaced / "postgres.dump").read_text() == "new"


@pytest.mark.usefixtures("engine")
def test_a_database_of_the_other_kind_is_refused(host: Host, server: dict[str, str]) -> None:
    single, several = host("single"), replace(host("several"), postgres=True)
    fill(single)
    assert_refused(several, create(single, "", NOW), "restore it on a cluster of one host")
    server["database"] = "old"
    path = create(several, "", NOW)
    assert_refused(host("another"), path, r"has postgres\.dump, for which this host has no place")


@pytest.mark.usefixtures("engine")
def test_no_backup_without_its_database(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = replace(host("first"), postgres=True)
    fill(settings)
    monkeypatch.setattr(postgres, "CONTAINER", "nobody-is-called-so")
    with pytest.raises(BackupError, match="nobody-is-called-so, which has the database"):
        create(settings, "", NOW)
    assert list(settings.directory.iterdir()) == []


def assert_refused(settings: Settings, path: Path, reason: str) -> None:
    restore = Restore(settings)
    with pytest.raises(BackupError, match=reason):
        restore.stage(path, "", SCHEMA)
    restore.discard()
    assert not any(place.exists() for place in settings.parts.values())


@pytest.mark.usefixtures("engine")
def test_newer_backups_are_refused(host: Host) -> None:
    first, second = host("first"), host("second")
    fill(first)
    with closing(connect(state_db(first))) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0003'")
    # A newer one whose tables this release can still use.
    restored(host("third"), create(first, "", NOW))
    with closing(connect(state_db(first))) as connection:
        connection.execute("UPDATE meta SET value = '0002'")
    path = create(first, "", NOW)
    assert_refused(second, path, "newer version: .* tables of version 0003.* knows 0001")
    text = json.dumps({"format": 2, "something": "else"})
    with pytest.raises(BackupError, match=r"newer version: its format is 2, .* knows 1"):
        Manifest.parse(text)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 1}', '{"format": "x"}'])
def test_a_list_of_contents_that_is_none(text: str) -> None:
    with pytest.raises(DamagedError):
        Manifest.parse(text)


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "data/../../x", "data//x", "data/./x"])
def test_no_path_leads_out(host: Host, tmp_path: Path, path: str) -> None:
    settings = host("first")
    fill(settings)
    values = json.loads(collect(settings, tmp_path / "content", NOW).to_json())
    values["entries"][0]["path"] = path
    with pytest.raises(DamagedError):
        Manifest.parse(json.dumps(values))


def test_what_belongs_nowhere_is_refused(host: Host) -> None:
    first, second = host("first"), host("second")
    fill(first)
    path = create(replace(first, parts={"etc": first.parts["certificates"]}), "", NOW)
    assert_refused(second, path, "has etc, for which this host has no place")


def test_a_damaged_archive_is_refused(host: Host) -> None:
    first, second = host("first"), host("second")
    fill(first)
    path = create(first, "", NOW)
    whole = path.read_bytes()
    for size in (0, 1, 100, len(whole) // 2):
        path.write_bytes(whole[:size])
        assert_refused(second, path, "the archive is damaged")
    broken = bytearray(whole)
    broken[len(broken) // 2] ^= 0xFF
    path.write_bytes(broken)
    assert_refused(second, path, "damaged|not sound")


def test_what_is_not_in_the_list_is_refused(host: Host, tmp_path: Path) -> None:
    settings = host("first")
    fill(settings)
    manifest = collect(settings, tmp_path / "content", NOW)
    stream = io.BytesIO()
    archive.write(stream, manifest, tmp_path / "content")
    (tmp_path / "content/secrets/llm-api/admin_password").write_text("another!!!")
    other = io.BytesIO()
    archive.write(other, manifest, tmp_path / "content")
    (tmp_path / "target").mkdir()
    with pytest.raises(DamagedError, match="admin_password is another than was backed up"):
        archive.read(io.BytesIO(other.getvalue()), tmp_path / "target", lambda _: None)


def test_an_unsound_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    with closing(connect(path)) as connection:
        connection.execute("CREATE TABLE t (x)")
        connection.execute("INSERT INTO t VALUES (zeroblob(100000))")
    database.check(path)
    assert database.schema(path) is None
    path.write_bytes(path.read_bytes()[:-5000])
    with pytest.raises(BackupError, match=r"state\.db is not sound"):
        database.check(path)


def test_metrics(tmp_path: Path) -> None:
    path = tmp_path / "metrics/freegpt4_backup.prom"
    made = tmp_path / "made"
    made.write_bytes(b"12345")
    write_metrics(path, made, NOW, ok=True)
    write_metrics(path, None, NOW + timedelta(hours=1), ok=False)
    time = int(NOW.timestamp())
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    assert lines == [
        "freegpt4_backup_ok 0",
        f"freegpt4_backup_run_seconds {time + 3600}",
        f"freegpt4_backup_success_seconds {time}",
        "freegpt4_backup_size_bytes 5",
    ]
