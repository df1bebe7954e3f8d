"""The page of the providers: their health, their order, and their values."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from browser import PASSWORD, Browser, errors
from conftest import MakeClient, provider
from fake_upstream import FakeUpstream
from werkzeug.test import TestResponse

from llm_api.config import ProviderConfig
from llm_api.providers.status import ProviderStatus

NEW = {
    "name": "third",
    "adapter": "openai",
    "base_url": "https://llm.example.com/v1",
    "api_key": "sk-third",
    "models": "a\r\nb",
    "default_model": "b",
    "operations": ["chat", "embeddings"],
    "first_chunk_timeout": "2.5",
    "deadline": "60",
    "max_concurrency": "4",
    "via_egress": "on",
}


@pytest.fixture
def browser(make_client: MakeClient, upstream: FakeUpstream, second: FakeUpstream) -> Browser:
    first = provider("first", upstream, api_key="sk-first")
    client = make_client(first, provider("second", second), admin_password=PASSWORD)
    browser = Browser(client)
    browser.log_in()
    return browser


def act(browser: Browser, action: str, name: str) -> None:
    data = {"action": action, "name": name}
    assert browser.post("/settings/providers", data).status_code == 303


def order(browser: Browser) -> list[str]:
    return [provider.name for provider in browser.service.settings.providers]


def send(browser: Browser, path: str = "/settings/provider", **values: Any) -> TestResponse:
    return browser.post(path, NEW | values)


def values_of(provider: ProviderConfig) -> dict[str, Any]:
    """Return what the form of `provider` sends as it is."""
    return {
        "name": provider.name,
        "base_url": provider.base_url,
        "models": "\n".join(provider.models),
        "default_model": provider.default_model,
        "operations": list(provider.operations),
        "first_chunk_timeout": f"{provider.first_chunk_timeout:g}",
        "deadline": f"{provider.deadline:g}",
        "api_key": "",
        "via_egress": "",
    }


def test_the_page_shows_how_they_are_doing(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    statuses = [
        ProviderStatus("first", "openai", "failing", ("m",), 3, 1234, 0.9999, 0.25, "<b>", 0.0),
        ProviderStatus("second", "openai", "off", ("m",), 0, 0, None, None, "not used", None),
    ]
    monkeypatch.setattr(browser.service, "providers", lambda: statuses, raising=False)
    page = browser.get("/settings/providers").text
    for text in ("failing", "not used", "1\u202f234", "99.9\u202f%", "250\u202fms", "&lt;b&gt;"):
        assert text in page
    assert "sk-first" not in page


def test_they_are_moved(browser: Browser) -> None:
    act(browser, "up", "second")
    assert order(browser) == ["second", "first"]
    act(browser, "up", "second")
    assert order(browser) == ["second", "first"]
    act(browser, "down", "second")
    assert order(browser) == ["first", "second"]
    assert browser.service.settings.providers[0].api_key == "sk-first"


def test_they_are_turned_off_and_on(browser: Browser) -> None:
    act(browser, "switch", "first")
    assert browser.service.settings.provider == "second"
    page = browser.get("/settings/providers").text
    assert "Turn first on" in page
    assert page.index("<h3>second</h3>") < page.index("<h3>first</h3>")
    act(browser, "switch", "second")
    assert browser.service.settings.provider == "second"
    assert "One provider has to stay, and to be on." in browser.get("/settings/providers").text
    act(browser, "switch", "first")
    assert browser.service.settings.provider == "Auto"


def test_a_change_that_leaves_nobody_for_the_default_model_is_refused(browser: Browser) -> None:
    send(browser)
    browser.service.state.change_settings({"model": "a"})
    for action in ("switch", "remove"):
        act(browser, action, "third")
        page = browser.get("/settings/providers").text
        assert "exists at no provider: use one of m" in page
    assert order(browser) == ["first", "second", "third"]
    values = values_of(browser.service.settings.providers[2]) | {"models": "b"}
    response = send(browser, "/settings/provider?name=third", **values)
    assert "otherwise exists at no provider" in errors(response.text)["models"]


def test_they_are_removed(browser: Browser) -> None:
    act(browser, "switch", "first")
    act(browser, "remove", "first")
    assert order(browser) == ["second"]
    assert browser.service.settings.provider == "Auto"
    act(browser, "remove", "second")
    assert order(browser) == ["second"]
    names = {"name": ["provider", "providers"]}
    browser.post("/settings/reset", names, form_at="/settings/providers")
    assert order(browser) == ["first", "second"]
    assert browser.service.state.snapshot.stored == {}


def test_one_is_added(browser: Browser) -> None:
    assert send(browser).status_code == 303
    assert browser.service.settings.providers[2] == ProviderConfig(
        name="third",
        adapter="openai",
        base_url="https://llm.example.com/v1",
        api_key="sk-third",
        models=("a", "b"),
        default_model="b",
        operations=("chat", "embeddings"),
        first_chunk_timeout=2.5,
        deadline=60.0,
        max_concurrency=4,
        via_egress=True,
    )
    for path in ("/settings/providers", "/settings/provider?name=third"):
        assert "sk-third" not in browser.get(path).text


def test_a_key_is_kept_replaced_or_forgotten(browser: Browser) -> None:
    path = "/settings/provider?name=first"
    first = browser.service.settings.providers[0]
    assert send(browser, path, **values_of(first), max_concurrency="7").status_code == 303
    assert browser.service.settings.providers[0] == replace(first, max_concurrency=7)
    send(browser, path, **values_of(first) | {"api_key": "sk-other"})
    assert browser.service.settings.providers[0].api_key == "sk-other"
    send(browser, path, **values_of(first), without_key="on")
    assert browser.service.settings.providers[0].api_key == ""


def test_a_renamed_one_stays_in_its_place(browser: Browser) -> None:
    act(browser, "switch", "second")
    first = browser.service.settings.providers[0]
    values = values_of(first) | {"name": "renamed"}
    assert send(browser, "/settings/provider?name=first", **values).status_code == 303
    assert order(browser) == ["renamed", "second"]
    assert browser.service.settings.provider == "renamed"
    assert browser.service.settings.providers[0].api_key == "sk-first"


@pytest.mark.parametrize(
    ("name", "typed", "wrong"),
    [
        ("name", "", "must not be empty"),
        ("name", "<script>", "must be made of letters"),
        ("name", "first", "is another provider"),
        ("adapter", "other", "must be among what is offered"),
        ("base_url", "ftp://x", "must be a URL"),
        ("default_model", "c", "must be one of its models"),
        ("operations", ["cook"], "must be among what is offered"),
        ("first_chunk_timeout", "soon", "must be a number"),
        ("first_chunk_timeout", "inf", "must be a number of seconds above 0"),
        ("first_chunk_timeout", "", "must be a number"),
        ("deadline", "0", "must be a number of seconds above 0"),
        ("max_concurrency", "-1", "must be a whole number"),
        ("max_concurrency", "1.5", "must be a whole number"),
    ],
)
def test_errors_are_beside_their_fields(
    browser: Browser, name: str, typed: Any, wrong: str
) -> None:
    response = send(browser, **{name: typed})
    assert response.status_code == 422
    assert list(errors(response.text)) == [name]
    assert wrong in errors(response.text)[name]
    assert "sk-third" not in response.text
    assert "<script>" not in response.text
    assert browser.service.state.snapshot.stored == {}


def test_what_is_not_there_any_more(browser: Browser) -> None:
    assert browser.get("/settings/provider?name=gone").status_code == 404
    for data in ({"action": "up", "name": "gone"}, {"action": "fly", "name": "first"}):
        assert browser.post("/settings/providers", data).status_code == 404
