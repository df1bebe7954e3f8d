"""The command line and the variables of Free-GPT4-WEB-API."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import requests
from conftest import run_service
from fake_upstream import FakeUpstream

from llm_api import flags
from llm_api.config import Config, load
from llm_api.flags import NEEDLESS, SWITCHES, VALUES

# Every flag of the old program, as its users wrote them.
OLD = (
    "--remove-sources --enable-gui --private-mode --enable-proxies --enable-history --password "
    "a-password --cookie-file {cookies} --file-input --port 1234 --model m --provider You "
    "--keyword q --system-prompt Brief. --enable-fast-api --enable-virtual-users"
)


def test_every_flag_of_the_old_program(tmp_path: Path) -> None:
    cookies = tmp_path / "cookies.json"
    cookies.write_text('{"_U": "1"}')
    arguments = OLD.format(cookies=cookies).split()
    assert {a for a in arguments if a.startswith("--")} == {*VALUES, *SWITCHES, *NEEDLESS}
    told = flags.read(arguments, {})
    config = load(told.environ)
    settings = config.settings
    assert (config.port, config.admin_password) == (1234, "a-password")
    assert (settings.provider, settings.model, settings.keyword) == ("You", "m", "q")
    assert settings.system_prompt == "Brief."
    assert settings.cookies == {".bing.com": {"_U": "1"}}
    assert (settings.remove_sources, settings.private_mode, settings.file_input) == (True,) * 3
    assert (settings.message_history, settings.virtual_users) == (True, True)
    assert told.shows_password
    assert [remark.split()[0] for remark in told.remarks] == list(NEEDLESS)
    assert "a-password" not in repr(told)


def test_no_flags_change_nothing() -> None:
    told = flags.read([], {"PORT": "1", "PATH": "x"})
    assert told.environ == {"PORT": "1", "PATH": "x"}
    assert not told.shows_password
    assert told.remarks == []


def test_what_is_on_can_be_switched_off() -> None:
    arguments = ["--no-remove-sources", "--no-file-input", "--no-private-mode"]
    settings = load(flags.read(arguments, {"PRIVATE_MODE": "true"}).environ).settings
    assert not settings.remove_sources
    assert not settings.file_input
    assert not settings.private_mode


def test_flags_win_over_the_environment() -> None:
    environ = {"PORT": "1", "MODEL": "a", "ADMIN_PASSWORD_FILE": "/nowhere", "SYSTEM_PROMPT": "s"}
    arguments = ["--port", "2", "--model", "b", "--password", "a password"]
    config = load(flags.read(arguments, environ).environ)
    assert (config.port, config.settings.model) == (2, "b")
    assert (config.admin_password, config.settings.system_prompt) == ("a password", "s")


def test_the_old_variables() -> None:
    old = {
        "DEFAULT_MODEL": "m",
        "DEFAULT_PROVIDER": "Auto",
        "DEBUG": "True",
        "SECRET_KEY": "k" * 32,
    }
    config = load(flags.read([], old).environ)
    assert (config.settings.model, config.settings.provider) == ("m", "Auto")
    assert (config.log_level, config.secret_key) == ("DEBUG", "k" * 32)
    new = {"MODEL": "n", "PROVIDER": "local", "LOG_LEVEL": "ERROR"}
    config = load(flags.read([], old | new).environ)
    assert (config.settings.model, config.settings.provider) == ("n", "local")
    assert config.log_level == "ERROR"
    assert load(flags.read([], {"DEBUG": "*", "MODEL": ""}).environ) == Config()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--colour"], "unrecognized arguments: --colour"),
        (["--port"], "--port: expected one argument"),
        (["--port", "http"], "PORT=http must be a whole number"),
        (["--keyword", "token"], "KEYWORD must be 1 to 64 letters"),
        (["--cookie-file", "/nowhere"], "COOKIES_FILE=/nowhere cannot be read"),
        (["--password", "short"], "ADMIN_PASSWORD must have at least 8"),
    ],
)
def test_what_cannot_be_is_named(arguments: list[str], message: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "llm_api", *arguments],
        env=os.environ | {"PYTHONPATH": "src"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_password_does_not_stay_in_sight(upstream: FakeUpstream, tmp_path: Path) -> None:
    entry = {"name": "p", "adapter": "openai", "base_url": upstream.url, "models": ["m"]}
    arguments = ("--password", "canary-password", "--enable-gui", "--keyword", "q")
    with run_service(tmp_path, [entry], *arguments) as running:
        assert requests.get(f"{running.url}/?q=Hi", timeout=5).text == "Hello"
        for command in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                assert b"canary-password" not in command.read_bytes()
            except (FileNotFoundError, ProcessLookupError):
                continue
        lines = [json.loads(line)["message"] for line in running.log.read_text().splitlines()]
    assert any(line.startswith("--password shows it to everybody") for line in lines)
    assert any(line.startswith("--enable-gui is not needed") for line in lines)
