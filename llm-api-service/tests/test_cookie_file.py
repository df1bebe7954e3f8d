"""Cookies in a file, whatever wrote it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from llm_api.config import ConfigError, load
from llm_api.cookie_file import CookieError, parse_cookies, read_cookies
from llm_api.settings import SettingsError, parse_changes

BY_DOMAIN = {".bing.com": {"_U": "1"}, ".google.com": {"__Secure-1PSID": "2", "NID": "3"}}
LIST = [
    {"domain": domain, "name": name, "value": value, "secure": True}
    for domain, cookies in BY_DOMAIN.items()
    for name, value in cookies.items()
]
NAMES = some.text(min_size=1, max_size=20)
COOKIES = some.dictionaries(NAMES, some.dictionaries(NAMES, some.text(), min_size=1, max_size=4))
JSON = some.recursive(
    some.none() | some.booleans() | some.integers() | some.text(),
    lambda inner: (
        some.lists(inner, max_size=4)
        | some.dictionaries(some.sampled_from(["domain", "name", "value", "_U"]), inner)
    ),
    max_leaves=12,
)


@pytest.mark.parametrize("data", [BY_DOMAIN, LIST])
def test_what_browsers_and_the_settings_write(data: Any, tmp_path: Path) -> None:
    file = tmp_path / "cookies.json"
    file.write_text("\ufeff" + json.dumps(data))
    assert read_cookies(file) == BY_DOMAIN
    assert load({"COOKIES_FILE": str(file)}).settings.cookies == BY_DOMAIN


def test_what_the_old_program_took() -> None:
    old = {"_U": "1", "__Secure-1PSID": "2"}
    assert parse_cookies(old) == {".bing.com": {"_U": "1"}, ".google.com": {"__Secure-1PSID": "2"}}


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ({"dummy": "canary"}, "says not whose cookie dummy is"),
        ([{"name": "a", "value": "canary"}], "must have texts"),
        ([1], "must be a list of objects"),
        ("x", "must be a list of objects"),
        ({".a.example": {"n": 1}}, "must have texts"),
    ],
)
def test_what_are_no_cookies(data: Any, problem: str, tmp_path: Path) -> None:
    file = tmp_path / "cookies.json"
    file.write_text(json.dumps(data))
    with pytest.raises(ConfigError, match=f"COOKIES_FILE=.*{problem}") as caught:
        load({"COOKIES_FILE": str(file)})
    assert "canary" not in str(caught.value)


def test_what_no_setting_can_be(tmp_path: Path) -> None:
    file = tmp_path / "cookies.json"
    for text in ('[{"domain": "", "name": "a", "value": "b"}]', "[" * 100_000, "{", '{"a":\n'):
        file.write_text(text)
        with pytest.raises(ConfigError, match="COOKIES_FILE"):
            load({"COOKIES_FILE": str(file)})


@given(COOKIES)
def test_a_list_is_the_same_as_an_object(cookies: dict[str, dict[str, str]]) -> None:
    flat = [
        {"domain": domain, "name": name, "value": value}
        for domain, inner in cookies.items()
        for name, value in inner.items()
    ]
    assert parse_cookies(flat) == parse_cookies(cookies) == cookies


@given(JSON)
def test_anything_is_read_or_refused(data: Any) -> None:
    try:
        cookies = parse_cookies(data)
        parse_changes({"cookies": cookies})
    except (CookieError, SettingsError):
        return
    assert all(isinstance(value, str) for inner in cookies.values() for value in inner.values())
