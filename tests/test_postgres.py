"""PostgreSQL keeps what replicas share, lets nobody else in, and starts again in any case."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from cluster_backup import postgres as backup
from cluster_backup.errors import BackupError
from cluster_backup.manifest import Schema

from tests.lab.gateway import docker
from tests.lab.postgres import Postgres, postgres

ROOT = Path(__file__).parent.parent

# With all that means something in SQL or in a shell.
PASSWORD = 'it\'s $(a) \\ "password"'


@pytest.fixture(scope="module")
def server(postgres_image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A server whose first start was interrupted while it made the database."""
    with postgres(postgres_image, tmp_path_factory.mktemp("postgres")) as made:
        made.give(PASSWORD)
        half = made.folder / "data/new"
        half.mkdir(mode=0o777)
        half.chmod(0o777)
        (half / "PG_VERSION").write_text("17\n")
        made.start()
        yield made


def test_replicas_get_in_and_nobody_else(server: Postgres) -> None:
    assert server.ask(PASSWORD, "CREATE TABLE first (id integer)").returncode == 0
    assert "password authentication failed" in server.ask("another", "SELECT 1").stderr
    for stranger in (
        server.ask(PASSWORD, "SELECT 1", by=server.stranger),
        server.ask(PASSWORD, "SELECT 1", role="postgres"),
    ):
        assert "no pg_hba.conf entry" in stranger.stderr


def test_what_was_kept_is_checked_and_the_same_everywhere(server: Postgres) -> None:
    assert server.ask(PASSWORD, "SHOW data_checksums").stdout == "on\n"
    assert server.ask(PASSWORD, "SHOW password_encryption").stdout == "scram-sha-256\n"
    query = "SELECT datlocprovider, datlocale FROM pg_database WHERE datname = 'llm_api'"
    assert server.ask(PASSWORD, query).stdout == "b|C.UTF-8\n"


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_restart_keeps_everything_but_an_old_password(server: Postgres, end: str) -> None:
    table = f"of_{end}"
    changed = server.ask(PASSWORD, f"CREATE TABLE {table} AS VALUES (42)")
    assert changed.returncode == 0, changed.stderr
    server.give("new")
    docker(end, server.name)
    status = docker("inspect", "--format={{.State.ExitCode}}", server.name).strip()
    assert status == ("0" if end == "stop" else "137")
    server.start()
    assert server.ask("new", f"TABLE {table}").stdout == "42\n"
    assert server.ask(PASSWORD, "SELECT 1").returncode != 0
    server.give(PASSWORD)
    docker("restart", server.name)
    server.start()


def test_no_password_is_logged(server: Postgres) -> None:
    result = subprocess.run(
        ["docker", "logs", server.name], capture_output=True, text=True, check=True
    )
    assert "ready to accept connections" in result.stderr
    assert 'password"' not in result.stdout + result.stderr


@pytest.mark.parametrize(
    ("version", "options", "said"),
    [
        ("", ("--env=INTERNAL_SUBNET=",), "INTERNAL_SUBNET is not set"),
        ("", (), "there is no password"),
        ("16", ("--volume={secrets}:/run/secrets:ro",), "of PostgreSQL 16, and this is 17"),
    ],
)
def test_what_it_does_not_start_with(
    postgres_image: str, tmp_path: Path, version: str, options: tuple[str, ...], said: str
) -> None:
    for name in ("data", "secrets"):
        (tmp_path / name).mkdir()
    (tmp_path / "secrets/password").write_text(PASSWORD)
    if version:
        (tmp_path / "data/PG_VERSION").write_text(f"{version}\n")
    given = [option.format(secrets=tmp_path / "secrets") for option in options]
    command = ["docker", "run", "--rm", "--env=INTERNAL_SUBNET=10.0.0.0/8", *given]
    result = subprocess.run(
        [*command, f"--volume={tmp_path}/data:/var/lib/postgresql/data", postgres_image],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    assert said in result.stderr
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["PG_VERSION"] * bool(version)


def test_a_dump_replaces_all_of_a_database_or_nothing(
    server: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def change(query: str) -> None:
        result = server.ask(PASSWORD, query)
        assert result.returncode == 0, result.stderr

    monkeypatch.setattr(backup, "CONTAINER", server.name)
    assert backup.schema() is None
    change("CREATE TABLE alembic_version AS SELECT '0002' AS version_num")
    change("CREATE TABLE meta AS SELECT 'compatible_from' AS name, '0001' AS value")
    assert backup.schema() == Schema("0002", "0001")
    assert backup.is_used()
    dump, damaged = tmp_path / "dump", tmp_path / "damaged"
    backup.dump(dump)
    change("UPDATE alembic_version SET version_num = '0003'; CREATE TABLE of_newer (id integer)")
    damaged.write_bytes(dump.read_bytes()[: dump.stat().st_size // 2])
    with pytest.raises(BackupError, match="pg_restore"):
        backup.restore(damaged)
    assert backup.schema() == Schema("0003", "0001")
    backup.restore(dump)
    assert backup.schema() == Schema("0002", "0001")
    # Nothing is in the way of a newer release, and everything belongs to the replicas.
    change("CREATE TABLE of_newer (id integer); ALTER TABLE meta ADD COLUMN more text")
    docker("stop", server.name)
    with pytest.raises(BackupError, match=r"does not answer: deploy the cluster"):
        backup.dump(dump)
    server.start()


def test_the_role_knows_the_version_of_the_image() -> None:
    dockerfile = (ROOT / "files/postgres/Dockerfile").read_text()
    variables = yaml.safe_load((ROOT / "roles/postgres/vars/main.yml").read_text())
    assert re.findall(r"PG_MAJOR=(\d+)", dockerfile) == [variables["__postgres_major"]]
