"""Settings are checked whatever somebody sends, and survive their stored form."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from llm_api.settings import (
    NAMES,
    Settings,
    SettingsError,
    parse_changes,
    to_stored,
    with_changes,
)

ENTRY = {"name": "far", "adapter": "openai", "base_url": "https://far.example/v1", "models": ["m"]}
GOOD: dict[str, Any] = {
    "provider": "far",
    "providers": [ENTRY],
    "aliases": {"gpt-4": "m"},
    "third_parties": False,
    "model": "m",
    "system_prompt": "Be\nbrief.",
    "remove_sources": False,
    "private_mode": True,
    "keyword": "q",
    "file_input": False,
    "message_history": True,
    "virtual_users": True,
    "legacy_statuses": True,
    "proxies": ["http://user:pass@host:3128", "socks5://host:1080"],
    "cookies": {".example.com": {"session": "1"}},
}
JSON = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats() | some.text(),
    lambda inner: some.lists(inner, max_size=4) | some.dictionaries(some.text(), inner, max_size=4),
    max_leaves=12,
)


def test_every_setting_is_kept_as_json_and_read_back() -> None:
    assert set(GOOD) == set(NAMES)
    checked = parse_changes(GOOD)
    settings = with_changes(Settings(), checked)
    assert settings.providers[0].models == ("m",)
    stored = json.loads(json.dumps({name: to_stored(value) for name, value in checked.items()}))
    assert parse_changes(stored) == checked
    assert parse_changes(checked) == checked
    assert "pass" not in repr(settings)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("colour", "red"),
        ("provider", 1),
        ("providers", []),
        ("providers", [ENTRY, ENTRY]),
        ("providers", [{"name": "x"}]),
        ("aliases", {"": "m"}),
        ("aliases", {"a": ""}),
        ("model", "x" * 201),
        ("model", "a\0b"),
        ("system_prompt", "\ud800"),
        ("private_mode", "yes"),
        ("keyword", "token"),
        ("keyword", "a b"),
        ("proxies", ["host:3128"]),
        ("proxies", ["https://host:3128"]),
        ("third_parties", "no"),
        ("proxies", ["http://host:99999"]),
        ("proxies", [1]),
        ("cookies", {"d": {"n": 1}}),
        ("cookies", []),
    ],
)
def test_what_cannot_be_is_named(name: str, value: Any) -> None:
    with pytest.raises(SettingsError) as caught:
        parse_changes({name: value})
    assert caught.value.field == name
    assert caught.value.message


def test_the_provider_must_exist() -> None:
    for provider in ("gone", "local,gone", " , "):
        with pytest.raises(SettingsError, match="provider"):
            with_changes(Settings(), {"provider": provider})
    assert with_changes(Settings(), {"provider": "You"}).provider == "You"


@given(some.dictionaries(some.sampled_from(NAMES) | some.text(), JSON))
def test_anything_is_checked_or_refused(values: dict[str, Any]) -> None:
    try:
        checked = parse_changes(values)
    except SettingsError:
        return
    stored = {name: to_stored(value) for name, value in checked.items()}
    assert parse_changes(json.loads(json.dumps(stored))) == checked


@given(some.sampled_from(NAMES), JSON)
def test_any_value_of_a_setting_is_checked_or_refused(name: str, value: Any) -> None:
    try:
        checked = parse_changes({name: value})
    except SettingsError:
        return
    json.dumps(to_stored(checked[name])).encode()
