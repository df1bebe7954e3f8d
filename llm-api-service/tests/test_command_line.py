"""Tokens and the password, by hand."""

from __future__ import annotations

import io
import json
import uuid
from pathlib import Path

import pytest

from llm_api import admin, tokens
from llm_api.config import Config
from llm_api.state import State
from llm_api.state.passwords import is_password
from llm_api.state.tokens import digest_of


@pytest.fixture(autouse=True)
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    url = f"sqlite:///{tmp_path}/state.db"
    monkeypatch.setenv("DATABASE_URL", url)
    return url


def test_a_token_from_its_first_to_its_last_day(
    database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    limits = ["--requests-per-minute", "5", "--tokens-per-day", "9", "--model", "m"]
    assert tokens.main(["create", "ci", "--expires", "30d", *limits]) == 0
    secret = capsys.readouterr().out.strip()
    assert tokens.main(["create", "dated", "--expires", "2099-12-31", "--json"]) == 0
    dated = json.loads(capsys.readouterr().out)
    assert dated["expires"] == "2099-12-31T00:00:00+00:00"
    assert tokens.main(["list"]) == 0
    listed = capsys.readouterr().out
    assert secret not in listed
    assert digest_of(secret) not in listed
    first = json.loads(listed.splitlines()[0])
    assert (first["name"], first["models"], first["tokens_per_day"]) == ("ci", ["m"], 9)
    state = State(Config(database_url=database))
    state.start()
    assert state.snapshot.tokens[digest_of(secret)].requests_per_minute == 5
    state.stop()
    assert tokens.main(["revoke", str(first["id"])]) == 0
    assert tokens.main(["revoke", str(first["id"])]) == 1


def test_a_secret_of_ones_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    own = str(uuid.uuid4())
    for line, code in ((own, 0), (own, 1), ("short", 1)):
        monkeypatch.setattr("sys.stdin", io.StringIO(f"{line}\n"))
        assert tokens.main(["create", "own", "--secret-from-stdin"]) == code
    assert capsys.readouterr().out.strip() == own


def test_what_cannot_be(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        tokens.main(["create", "x", "--expires", "soon"])
    monkeypatch.setenv("DATABASE_URL", "mysql://host/name")
    assert tokens.main(["list"]) == 1
    monkeypatch.setenv("DATABASE_URL", "sqlite:////nowhere/at/all")
    assert tokens.main(["list"]) == 1
    assert "unable to open" in capsys.readouterr().err


def test_the_password(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("a password\n"))
    assert admin.main([]) == 0
    monkeypatch.setattr("sys.stdin", io.StringIO("short\n"))
    assert admin.main([]) == 1
    state = State(Config(database_url=database))
    state.start()
    assert is_password(state.admin.password_hash, "a password")
    state.stop()


def test_the_password_at_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    typed = iter(["a password", "a password", "one password", "another"])
    monkeypatch.setattr("getpass.getpass", lambda _: next(typed))
    assert admin.main([]) == 0
    assert admin.main([]) == 1
