"""The settings page: every setting is shown, saved, checked, and reset."""

from __future__ import annotations

import io
import json
import time
from typing import Any

import pytest
from browser import PASSWORD, Browser, errors, fields
from conftest import MakeClient, provider, until
from fake_upstream import FakeUpstream
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from llm_api.pages.general import FORM
from llm_api.pages.proxies import cover, uncover
from llm_api.settings import NAMES
from llm_api.state import StateError

NASTY = "<script>alert(1)</script>\"'"
# For each setting: what is typed, and what is kept.
CHANGES: dict[str, tuple[str, Any]] = {
    "provider": (" first ", "first"),
    "model": ("m", "m"),
    "aliases": ("gpt-4 = m\r\n\r\ngpt-4o=m", {"gpt-4": "m", "gpt-4o": "m"}),
    "system_prompt": (f"Be brief.\r\n{NASTY}", f"Be brief.\n{NASTY}"),
    "private_mode": ("on", True),
    "virtual_users": ("on", True),
    "keyword": ("q", "q"),
    "file_input": ("", False),
    "remove_sources": ("", False),
    "message_history": ("on", True),
    "legacy_statuses": ("on", True),
    "third_parties": ("", False),
    "proxies": ("http://user:secret@proxy:3128\nsocks5://other:1080", None),
}


@pytest.fixture
def replicas(
    make_client: MakeClient, upstream: FakeUpstream, tmp_path_factory: pytest.TempPathFactory
) -> list[FlaskClient]:
    url = f"sqlite:///{tmp_path_factory.mktemp('shared')}/state.db"
    first = provider("first", upstream)
    return [make_client(first, database_url=url, admin_password=PASSWORD) for _ in range(2)]


@pytest.fixture
def browser(replicas: list[FlaskClient]) -> Browser:
    browser = Browser(replicas[0])
    browser.log_in()
    return browser


def save(browser: Browser, **typed: str) -> TestResponse:
    """Change what is `typed`, and send the rest as the page has it."""
    return browser.post("/settings", fields(browser.get("/settings").text) | typed)


def test_every_setting_has_its_field() -> None:
    own_pages = {"providers", "cookies"}
    assert {field.name for field in FORM.fields} == set(NAMES) - own_pages
    assert set(CHANGES) == set(NAMES) - own_pages


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_reaches_the_other_replica(
    browser: Browser, replicas: list[FlaskClient], name: str
) -> None:
    typed, kept = CHANGES[name]
    assert save(browser, **{name: typed}).status_code == 303
    begun = time.monotonic()
    other = Browser(replicas[1])
    expected = tuple(typed.split()) if kept is None else kept
    until(lambda: getattr(other.service.settings, name) == expected)
    assert time.monotonic() - begun < 2
    # Nothing else is held to be changed.
    assert set(other.service.state.snapshot.stored) == {name}
    other.client.set_cookie("session", browser.cookie())
    page = other.get("/settings").text
    assert f'value="{name}" aria-label="Reset ' in page
    assert page.count("Changed here.") == 1
    assert NASTY not in page
    assert browser.get("/settings").text.count("Saved.") == 1


def test_the_next_page_of_another_replica_is_fresh(
    browser: Browser, replicas: list[FlaskClient]
) -> None:
    other = Browser(replicas[1])
    for keyword in ("one", "two", "three"):
        save(browser, keyword=keyword)
        other.client.set_cookie("session", browser.cookie())
        assert f'value="{keyword}"' in other.get("/settings").text


def test_reset_returns_to_what_the_deployment_says(browser: Browser) -> None:
    save(browser, keyword="q", model="m")
    page = browser.get("/settings").text
    assert "Deployment: text" in page
    assert "Deployment: empty" in page
    response = browser.post("/settings/reset", {"name": "keyword"}, form_at="/settings")
    assert response.headers["Location"] == "/settings"
    assert browser.service.settings.keyword == "text"
    assert set(browser.service.state.snapshot.stored) == {"model"}


def test_saving_without_a_change_changes_nothing(browser: Browser) -> None:
    save(browser)
    assert browser.service.state.snapshot.stored == {}
    assert "Nothing to save." in browser.get("/settings").text


def test_errors_are_beside_their_fields_and_nothing_is_saved(browser: Browser) -> None:
    response = save(
        browser,
        keyword="a b",
        provider="nobody",
        aliases="gpt-4",
        proxies="ftp://proxy",
        model=NASTY,
        private_mode="on",
        system_prompt="kept",
    )
    assert response.status_code == 422
    assert set(errors(response.text)) == {"keyword", "provider", "aliases", "proxies"}
    assert "use Auto, or some of first" in errors(response.text)["provider"]
    assert browser.service.state.snapshot.stored == {}
    typed = fields(response.text)
    assert typed["keyword"] == "a b"
    assert typed["aliases"] == "gpt-4"
    assert typed["proxies"] == "ftp://proxy"
    assert typed["system_prompt"] == "kept"
    assert typed["private_mode"] == "on"
    assert NASTY not in response.text
    for name in errors(response.text):
        assert f'{name}-error" aria-invalid="true"' in response.text
        assert f'<a href="#{name}">' in response.text


def test_what_no_provider_could_follow_is_refused(browser: Browser) -> None:
    wrong = errors(save(browser, model="gone").text)
    assert wrong == {"model": "This exists at no provider: use one of m."}
    assert browser.service.state.snapshot.stored == {}


def test_without_the_database_the_page_says_so(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        raise StateError("disk full")

    monkeypatch.setattr(browser.service.state, "catch_up", broken)
    response = browser.get("/settings")
    assert (response.status_code, response.mimetype) == (503, "text/html")
    assert response.headers["Retry-After"] == "5"
    assert "cannot reach its database" in response.text
    assert "disk full" not in response.text


def test_a_required_field_is_not_empty(browser: Browser) -> None:
    assert errors(save(browser, keyword=" ").text) == {"keyword": "This must not be empty."}


def test_passwords_of_proxies_are_kept_and_not_shown(browser: Browser) -> None:
    save(browser, proxies="http://user:secret@proxy:3128")
    page = browser.get("/settings").text
    assert "secret" not in page
    typed = fields(page)["proxies"]
    save(browser, proxies=f"{typed}\nhttp://other:3128")
    kept = ("http://user:secret@proxy:3128", "http://other:3128")
    assert browser.service.settings.proxies == kept
    moved = errors(save(browser, proxies=typed.replace("proxy", "elsewhere")).text)["proxies"]
    assert "must have its password typed again" in moved
    assert browser.service.settings.proxies == kept


def test_covered_proxies_find_their_passwords() -> None:
    kept = ["http://u:a:b@h:1", "http://u:c@h:1", "http://h:2"]
    covered = cover(kept)
    assert covered[0] == covered[1]
    assert covered[2] == kept[2]
    assert uncover(covered, kept) == kept
    assert uncover(covered[1:], kept) == [kept[0], kept[2]]


def test_facts_are_no_fields(browser: Browser) -> None:
    page = browser.get("/settings").text
    assert "5500" in page
    assert "Fast API" in page
    assert 'name="port"' not in page


def upload(browser: Browser, content: Any) -> TestResponse:
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    file = (io.BytesIO(data), "cookies.json")
    return browser.post("/settings/cookies", {"cookie_file": file})


def test_cookies_are_taken_from_a_file_and_never_shown(browser: Browser) -> None:
    exported = [
        {"domain": ".one.example", "name": "a", "value": "hidden-1", "secure": True},
        {"domain": ".one.example", "name": "b", "value": "hidden-2"},
        {"domain": NASTY, "name": "c", "value": "hidden-3"},
    ]
    assert upload(browser, exported).status_code == 303
    assert browser.service.settings.cookies == {
        ".one.example": {"a": "hidden-1", "b": "hidden-2"},
        NASTY: {"c": "hidden-3"},
    }
    page = browser.get("/settings/cookies").text
    assert "2 cookies" in page
    assert "hidden" not in page.replace('type="hidden"', "")
    assert NASTY not in page
    assert upload(browser, {".one.example": {"new": "x"}}).status_code == 303
    assert browser.service.settings.cookies[".one.example"] == {"new": "x"}
    removed = browser.post(
        "/settings/cookies/remove", {"domain": ".one.example"}, form_at="/settings/cookies"
    )
    assert removed.status_code == 303
    assert set(browser.service.settings.cookies) == {NASTY}
    browser.post("/settings/reset", {"name": "cookies"}, form_at="/settings/cookies")
    assert browser.service.settings.cookies == {}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no JSON",
        b"\xff\xfe",
        b"[" * 100_000,
        [],
        {},
        "text",
        [1],
        [{"domain": "x"}],
        [{"domain": "x", "name": "y", "value": 1}],
        [{"domain": "", "name": "y", "value": "z"}],
        {"cookie": "whose"},
        {"\ud800": "whose"},
        {"\ud800": {"a": "b"}},
        {"x": {"y": 1}},
        {"x": {"y": "a\nb"}},
    ],
)
def test_files_that_are_no_cookies_change_nothing(browser: Browser, content: Any) -> None:
    response = upload(browser, content)
    assert response.status_code == 422
    assert errors(response.text)["cookie"].startswith("This ")
    assert browser.service.state.snapshot.stored == {}
