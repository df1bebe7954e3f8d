"""The configuration is read once, and what cannot be used is named."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from llm_api.config import Config, ConfigError, load


def providers_file(folder: Path, *entries: Any) -> dict[str, str]:
    path = folder / "providers.json"
    path.write_text(json.dumps(list(entries)))
    return {"PROVIDERS_FILE": str(path)}


def test_the_defaults() -> None:
    config = load({})
    assert config == Config()
    assert [provider.name for provider in config.settings.providers] == ["local"]


def test_every_variable(tmp_path: Path) -> None:
    entry = {
        "name": "far",
        "adapter": "openai",
        "base_url": "https://far.example/v1",
        "deadline": 9,
    }
    config = load(
        {
            "PORT": "1234",
            "LOG_LEVEL": "debug",
            "ENABLE_REQUEST_LOGGING": "TRUE",
            "PRIVATE_MODE": "false",
            "PROVIDER": "far",
            "MODEL": "m",
            "THIRD_PARTIES": "no",
            "SYSTEM_PROMPT": "Be brief.",
            "REMOVE_SOURCES": "0",
            "KEYWORD": "q",
            "FILE_INPUT": "off",
            "MESSAGE_HISTORY": "on",
            "VIRTUAL_USERS": "yes",
            "LEGACY_STATUSES": "1",
            "PROXIES": "http://user:secret@one:3128, socks5://two:1080",
            "MAX_STREAMS": "5",
            "MAX_BODY_BYTES": "2048",
            "SHUTDOWN_TIMEOUT": "7",
            "EGRESS_PROXY": "http://egress:3128",
        }
        | providers_file(tmp_path, entry)
    )
    assert (config.port, config.log_level, config.request_logging) == (1234, "DEBUG", True)
    assert (config.max_streams, config.max_body_bytes, config.shutdown_timeout) == (5, 2048, 7)
    settings = config.settings
    assert (settings.remove_sources, settings.model, settings.provider) == (False, "m", "far")
    assert settings.third_parties is False
    assert (settings.keyword, settings.file_input, settings.message_history) == ("q", False, True)
    assert (settings.virtual_users, settings.legacy_statuses) == (True, True)
    assert settings.proxies == ("http://user:secret@one:3128", "socks5://two:1080")
    assert settings.providers[0].deadline == 9
    assert settings.providers[0].models == ()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "0"),
        ("PORT", "http"),
        ("PORT", "-1"),
        ("LOG_LEVEL", "LOUD"),
        ("ENABLE_REQUEST_LOGGING", "maybe"),
        ("THIRD_PARTIES", "some"),
        ("MAX_STREAMS", "0"),
        ("PROVIDERS_FILE", "/nowhere"),
        ("EGRESS_PROXY", "socks5://x"),
        ("KEYWORD", "a b"),
        ("KEYWORD", "token"),
        ("FILE_INPUT", "maybe"),
        ("PROXIES", "http://one:3128,two"),
        ("COOKIES_FILE", "/nowhere"),
    ],
)
def test_a_bad_variable_is_named(name: str, value: str) -> None:
    with pytest.raises(ConfigError, match=name):
        load({name: value})


GOOD = {"name": "p", "adapter": "openai", "base_url": "http://h/v1"}


@pytest.mark.parametrize(
    ("entries", "problem"),
    [
        ([], "at least one"),
        (["x"], "must be an object"),
        ([GOOD | {"colour": "red"}], "unknown keys"),
        ([GOOD | {"name": ""}], "name must be"),
        ([GOOD | {"name": "a,b"}], "name must be"),
        ([GOOD | {"name": "a\nb"}], "name must be"),
        ([GOOD | {"models": [""]}], "models must be a list of names"),
        ([GOOD | {"models": ["m"], "default_model": "x"}], "default_model must be one of"),
        ([GOOD | {"deadline": 0}], "deadline must be a number of seconds above 0"),
        ([GOOD | {"adapter": "magic"}], "adapter must be one of openai, g4f"),
        ([GOOD | {"api_key": "sk-1\n"}], "api_key must be of printable ASCII"),
        ([GOOD | {"base_url": "host"}], "base_url must be a URL"),
        ([GOOD | {"base_url": "http://:80/v1"}], "base_url must be a URL"),
        ([GOOD | {"base_url": "http://h:99999/v1"}], "base_url must be a URL"),
        ([GOOD | {"weight": -1}], "weight must not be negative"),
        ([GOOD | {"weight": 10_000}], "weight must be at most 1000"),
        ([GOOD | {"weight": True}], "weight must be a int"),
        ([GOOD | {"models": "m"}], "models must be a list"),
        ([GOOD | {"models": [1]}], "models must be a list of names"),
        ([GOOD | {"deadline": "long"}], "deadline must be a float"),
        ([GOOD | {"deadline": True}], "deadline must be a float"),
        ([GOOD | {"max_concurrency": -1}], "must not be negative"),
        ([GOOD, GOOD], "more than one provider called p"),
    ],
)
def test_a_bad_provider_is_named(tmp_path: Path, entries: list[Any], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        load(providers_file(tmp_path, *entries))


def test_a_key_is_never_shown(tmp_path: Path) -> None:
    config = load(providers_file(tmp_path, GOOD | {"api_key": "canary"}))
    assert config.settings.providers[0].api_key == "canary"
    assert "canary" not in repr(config)


SECRETS = {
    "DATABASE_URL": "postgresql+psycopg://user:canary@host/name",
    "SECRET_KEY": "canary" * 6,
    "ADMIN_PASSWORD": "canary-canary",
}


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_may_be_in_a_file(tmp_path: Path, name: str) -> None:
    path = tmp_path / "secret"
    path.write_text(f"{SECRETS[name]}\n")
    config = load({f"{name}_FILE": str(path)})
    assert config == load({name: SECRETS[name]})
    assert getattr(config, name.lower()) == SECRETS[name]
    assert "canary" not in repr(config)


@pytest.mark.parametrize(
    "rest",
    [
        "host",
        "/name?host=/run/postgresql",
        "user@host:5432/name",
        "user:c%40nary@[::1]:5432/name?sslmode=require",
        "user:a/b?c:d#e@host/name",
    ],
)
def test_addresses_of_postgresql(rest: str) -> None:
    assert (
        load({"DATABASE_URL": f"postgres://{rest}"}).database_url == f"postgresql+psycopg://{rest}"
    )


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://",
        "mysql://user:canary@host/name",
        # The driver would look for a host of this name, and say so in the log.
        "postgresql://user:can@ary@host/name",
        "postgresql://user:@canary@host/name",
        "postgresql://user:x@host:canary/name",
        "sqlite://canary/name",
        "sqlite:///:memory:canary",
    ],
)
def test_a_bad_address_of_a_database_is_not_shown(url: str) -> None:
    with pytest.raises(ConfigError, match="DATABASE_URL must be") as raised:
        load({"DATABASE_URL": url})
    assert "ary" not in str(raised.value)


@pytest.mark.parametrize("name", SECRETS)
@pytest.mark.parametrize(("content", "problem"), [(None, "cannot be read"), (" \n", "is empty")])
def test_a_file_without_a_secret_is_named(
    tmp_path: Path, name: str, content: str | None, problem: str
) -> None:
    path = tmp_path / "secret"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigError, match=f"{name}_FILE={path} {problem}"):
        load({f"{name}_FILE": str(path)})


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"PORT": "x"}, "PORT=x"),
        ({"LOG_FILE": "/nowhere/api1.log"}, "LOG_FILE=/nowhere/api1.log cannot be written"),
        ({"PROVIDER": "nobody"}, "names nobody"),
        ({"PROVIDER": ","}, "names no provider"),
        ({"MODEL": "gpt-9"}, "MODEL=gpt-9 exists at no provider: use one of smollm2-135m"),
    ],
)
def test_a_bad_start_ends_with_one_line(environ: dict[str, str], message: str) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "llm_api"],
        env=os.environ | {"PYTHONPATH": "src"} | environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 2
    assert result.stderr.startswith("llm_api: ")
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_start_without_any_usable_provider_says_why(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "llm_api"],
        env=os.environ
        | {"PYTHONPATH": "src"}
        | providers_file(tmp_path, {"name": "NoSuchProvider", "adapter": "g4f"}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 2
    assert "leaves no provider" in result.stderr
    assert result.stderr.count("\n") == 1
    assert "NoSuchProvider" in json.loads(result.stdout)["message"]
