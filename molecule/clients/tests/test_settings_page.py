"""A browser: the operator logs in, changes settings, and hands out tokens."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator

import httpx
import pytest
from endpoint import QUESTION, Endpoint
from playwright.sync_api import Browser, Page, expect, sync_playwright

CHROMIUM = "/usr/bin/chromium"
# Seconds within which all replicas follow a change.
FOLLOWED = 2
# Requests in turn, so that each replica has many of them.
ASKED = 20
PHONE, DESKTOP = {"width": 375, "height": 740}, {"width": 1280, "height": 860}
PAGES = ("General", "Providers", "Cookies", "Tokens", "Users", "Usage", "Password")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium without a screen."""
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM)
        yield launched
        launched.close()


@pytest.fixture
def page(browser: Browser, endpoint: Endpoint) -> Iterator[Page]:
    """A page that loads nothing from elsewhere, and about which the browser does not complain."""
    context = browser.new_context(base_url=endpoint.url, viewport=DESKTOP)
    opened = context.new_page()
    loaded: list[str] = []
    complaints: list[str] = []
    opened.on("request", lambda request: loaded.append(request.url))
    opened.on("console", lambda message: complaints.append(message.text))
    yield opened
    context.close()
    assert all(url.startswith(f"{endpoint.url}/") for url in loaded), loaded
    # A form with a fault is answered with that status.
    assert [text for text in complaints if "status of 422" not in text] == []


@pytest.fixture
def operator(page: Page) -> Page:
    """A page of the operator, who has logged in."""
    page.goto("/settings")
    expect(page).to_have_url(re.compile("/login$"))
    page.get_by_label("Name").fill("admin")
    page.get_by_label("Password").fill(os.environ["ADMIN_PASSWORD"])
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", name="General")).to_be_visible()
    return page


def open_page(page: Page, name: str) -> None:
    """Follow the link to the page called `name`."""
    page.get_by_role("link", name=name, exact=True).first.click()
    expect(page.get_by_role("heading", name=name, exact=True)).to_be_visible()


def statuses(endpoint: Endpoint, token: str) -> set[int]:
    """Return with what all replicas answer a request with `token`, once they had time to follow."""
    time.sleep(FOLLOWED)
    headers = {"Authorization": f"Bearer {token}"}
    with httpx.Client(base_url=endpoint.openai, headers=headers, timeout=30) as client:
        return {client.get("/models").status_code for _ in range(ASKED)}


def chat(endpoint: Endpoint, token: str) -> int:
    """Return with what a chat with `token` is answered."""
    body = {
        "model": endpoint.model,
        "messages": [{"role": "user", "content": QUESTION}],
        "max_tokens": 1,
    }
    headers = {"Authorization": f"Bearer {token}"}
    url = f"{endpoint.openai}/chat/completions"
    return httpx.post(url, json=body, headers=headers, timeout=120).status_code


def test_all_replicas_follow_a_setting_and_a_token(operator: Page, endpoint: Endpoint) -> None:
    operator.get_by_role("switch", name="Private").check()
    operator.get_by_role("button", name="Save").click()
    expect(operator.get_by_role("status")).to_contain_text("Saved.")
    expect(operator.get_by_role("switch", name="Private")).to_be_checked()
    assert statuses(endpoint, endpoint.token) == {401}

    open_page(operator, "Tokens")
    operator.get_by_label("Name").fill("browser")
    operator.get_by_label("Expires").select_option("in a day")
    operator.get_by_role("button", name="Create token").click()
    secret = operator.locator(".secret code").inner_text()
    assert statuses(endpoint, secret) == {200}
    assert chat(endpoint, secret) == 200

    open_page(operator, "Tokens")
    item = operator.get_by_role("listitem").filter(
        has=operator.get_by_role("heading", name="browser")
    )
    assert secret not in operator.content()
    item.get_by_text("Revoke", exact=True).click()
    item.get_by_role("button", name="Revoke browser").click()
    expect(operator.get_by_role("status")).to_contain_text("Revoked.")
    assert statuses(endpoint, secret) == {401}

    open_page(operator, "General")
    operator.get_by_role("button", name="Reset Private").click()
    expect(operator.get_by_role("status")).to_be_visible()
    assert statuses(endpoint, endpoint.token) == {200}


def test_what_is_wrong_is_said_beside_the_field(operator: Page) -> None:
    operator.get_by_label("Keyword").fill("a b")
    operator.get_by_role("button", name="Save").click()
    # Whoever cannot see the page is told, too, and gets to the field.
    expect(operator.get_by_role("alert")).to_be_focused()
    operator.get_by_role("link", name="Keyword").click()
    keyword = operator.get_by_label("Keyword")
    expect(keyword).to_have_value("a b")
    expect(keyword).to_have_accessible_description(re.compile("This must be 1 to 64 letters"))


def test_every_page_fits_a_phone_and_needs_no_mouse(operator: Page) -> None:
    for name in PAGES:
        operator.set_viewport_size(DESKTOP)
        open_page(operator, name)
        operator.keyboard.press("Tab")
        expect(operator.get_by_role("link", name="Skip to the content")).to_be_focused()
        operator.set_viewport_size(PHONE)
        assert operator.evaluate("document.documentElement.scrollWidth") == PHONE["width"], name


def test_logging_out(operator: Page) -> None:
    operator.get_by_role("button", name="Log out").click()
    expect(operator.get_by_role("status")).to_contain_text("You have logged out.")
    operator.goto("/settings")
    expect(operator).to_have_url(re.compile("/login$"))
