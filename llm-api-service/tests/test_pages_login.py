"""Logging in: by whom, how often, and for how long."""

from __future__ import annotations

import time

import pytest
from browser import PASSWORD, Browser
from conftest import MakeClient, provider
from fake_upstream import FakeUpstream

from llm_api.pages.credentials import Credentials
from llm_api.state.passwords import hash_password

PAGES = ("", "/providers", "/provider", "/cookies", "/tokens", "/users", "/usage", "/password")


@pytest.fixture
def browser(make_client: MakeClient, upstream: FakeUpstream) -> Browser:
    return Browser(make_client(provider("first", upstream), admin_password=PASSWORD))


def test_pages_are_for_those_who_have_logged_in(browser: Browser) -> None:
    for page in PAGES:
        response = browser.get(f"/settings{page}")
        assert (response.status_code, response.headers["Location"]) == (303, "/login")
    assert browser.log_in().headers["Location"] == "/settings"
    for page in PAGES:
        assert browser.get(f"/settings{page}").status_code == 200


def test_a_private_service_lets_its_operator_log_in(
    make_client: MakeClient, upstream: FakeUpstream
) -> None:
    browser = Browser(
        make_client(provider("first", upstream), admin_password=PASSWORD, private_mode=True)
    )
    assert browser.log_in().status_code == 303
    assert browser.get("/settings").status_code == 200
    assert browser.get("/static/pages.css").status_code == 200


def test_pages_are_not_kept_and_need_nothing_from_elsewhere(browser: Browser) -> None:
    browser.log_in()
    for path in ("/login", *(f"/settings{page}" for page in PAGES), "/settings/users/1"):
        response = browser.get(path)
        assert response.headers["Cache-Control"] == "no-store"
        policy = response.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe-inline" not in policy
        assert response.headers["X-Frame-Options"] == "DENY"
        assert response.headers["Referrer-Policy"] == "same-origin"
        for way_in in ("<script", "style=", 'src="http', 'href="http', "onclick"):
            assert way_in not in response.text


def test_without_a_password_the_page_says_how_to_set_one(
    make_client: MakeClient, upstream: FakeUpstream
) -> None:
    browser = Browser(make_client(provider("first", upstream)))
    page = browser.get("/login")
    assert "docker exec -it api1 python -m llm_api.admin" in page.text
    assert 'name="password"' not in page.text
    token = browser.service.state.secret_key
    assert token not in page.text
    browser.service.state.admin.set_password(hash_password(PASSWORD))
    assert browser.log_in().headers["Location"] == "/settings"


@pytest.mark.parametrize(
    ("username", "password"),
    [("admin", "wrong password"), ("nobody", PASSWORD), ("a\0b", PASSWORD), ("ADMIN", PASSWORD)],
)
def test_what_is_wrong_is_not_said(browser: Browser, username: str, password: str) -> None:
    response = browser.log_in(username, password)
    assert response.status_code == 403
    assert "do not go together" in response.text
    assert password not in response.text
    assert browser.get("/settings").status_code == 303


def test_unknown_names_take_as_much_work(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[str] = []
    monkeypatch.setattr("llm_api.pages.credentials.hash_password", hashed.append)
    browser.log_in("nobody", "x")
    assert hashed == ["x"]


def test_addresses_wait_after_five_failures(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = {"X-Forwarded-For": "192.0.2.1"}
    attacker = Browser(browser.client, **gateway)
    for _ in range(5):
        assert attacker.log_in(password="wrong password").status_code == 403
    refused = attacker.log_in()
    assert refused.status_code == 429
    assert 890 < int(refused.headers["Retry-After"]) <= 900
    assert "The next try is in 15 min." in refused.text
    other = Browser(browser.client, **{"X-Forwarded-For": "192.0.2.2"})
    assert other.log_in().status_code == 303
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 901)
    assert attacker.log_in().status_code == 303


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        # A client says what it likes, and the gateway what is so.
        ("198.51.100.7, 192.0.2.1", "198.51.100.8, 192.0.2.1", True),
    ],
)
def test_whose_failures_are_counted_together(
    browser: Browser, one: str, other: str, same: bool
) -> None:
    for _ in range(5):
        Browser(browser.client, **{"X-Forwarded-For": one}).log_in(password="wrong password")
    status = Browser(browser.client, **{"X-Forwarded-For": other}).log_in().status_code
    assert status == (429 if same else 303)


def test_few_passwords_are_checked_at_once(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llm_api.pages.credentials.PATIENCE", 0.01)
    places = browser.client.application.extensions[Credentials.EXTENSION]._places
    with places, places:
        busy = browser.log_in()
        assert busy.status_code == 503
        assert busy.headers["Retry-After"] == "1"
        assert busy.mimetype == "text/html"
    assert browser.log_in().status_code == 303


@pytest.mark.parametrize("path", ["/login", "/logout", "/settings", "/settings/tokens"])
def test_forms_of_others_change_nothing(browser: Browser, path: str) -> None:
    browser.log_in()
    for data in ({}, {"csrf_token": "made up"}):
        response = browser.client.post(path, data={"keyword": "q", "name": "x", **data})
        assert response.status_code == 400
        assert "not from this session" in response.text
    assert browser.service.state.snapshot.stored == {}
    assert browser.service.state.tokens.list() == []
    assert browser.get("/settings").status_code == 200


def test_another_sessions_form_is_refused(browser: Browser) -> None:
    other = Browser(browser.client.application.test_client())
    found = other.get("/login").text.split('name="csrf_token" value="')[1].split('"')[0]
    browser.get("/login")
    data = {"csrf_token": found, "username": "admin", "password": PASSWORD}
    assert browser.client.post("/login", data=data).status_code == 400


def test_logging_in_changes_the_session(browser: Browser) -> None:
    browser.get("/login")
    before = browser.cookie()
    assert before
    browser.log_in()
    first = browser.cookie()
    browser.log_in()
    assert len({before, first, browser.cookie()}) == 3
    # What was there before is of no use: not the cookie of before, not the one of the first login.
    for old in (before, first):
        thief = browser.client.application.test_client()
        thief.set_cookie("session", old)
        assert thief.get("/settings").status_code == 303
    assert browser.get("/settings").status_code == 200


def test_logging_out_ends_the_session(browser: Browser) -> None:
    browser.log_in()
    kept = browser.cookie()
    response = browser.post("/logout", {}, form_at="/settings")
    assert (response.status_code, response.headers["Location"]) == (303, "/login")
    assert "You have logged out." in browser.get("/login").text
    browser.client.set_cookie("session", kept)
    assert browser.get("/settings").status_code == 303


def test_sessions_end_after_twelve_hours(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    browser.log_in()
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 12 * 3600 - 60)
    assert browser.get("/settings").status_code == 200
    monkeypatch.setattr(time, "time", lambda: now + 12 * 3600 + 60)
    assert browser.get("/settings").status_code == 303


def test_cookies_are_for_this_host_only_where_it_has_https(browser: Browser) -> None:
    plain = browser.get("/login").headers["Set-Cookie"]
    assert plain.startswith("session=")
    assert "Secure" not in plain
    encrypted = Browser(browser.client, **{"X-Forwarded-Proto": "https"})
    cookie = encrypted.get("/login").headers["Set-Cookie"]
    assert cookie.startswith("__Host-session=")
    assert "Domain" not in cookie
    for part in ("Secure", "Path=/"):
        assert part in cookie
    for part in ("HttpOnly", "SameSite=Lax"):
        assert part in cookie
        assert part in plain
    assert encrypted.log_in().status_code == 303


def test_a_changed_cookie_is_worth_nothing(browser: Browser) -> None:
    browser.log_in()
    payload, _, rest = browser.cookie().partition(".")
    browser.client.set_cookie("session", f"{payload}x.{rest}")
    assert browser.get("/settings").status_code == 303


def test_the_interface_sets_no_cookies(browser: Browser) -> None:
    browser.log_in()
    for path in ("/v1/models", "/health", "/docs", "/static/pages.css"):
        assert "Set-Cookie" not in browser.get(path).headers
        assert "Cookie" not in browser.get(path).headers.get("Vary", "")


def test_a_new_password(browser: Browser) -> None:
    browser.log_in()
    other = Browser(browser.client.application.test_client())
    other.log_in()
    new = {"new_password": "a newer password", "confirm_password": "a newer password"}
    wrong = browser.post("/settings/password", {"password": "wrong password", **new})
    assert wrong.status_code == 422
    assert "must be the one you have logged in with" in wrong.text
    different = browser.post(
        "/settings/password", {"password": PASSWORD, **new, "confirm_password": "another"}
    )
    assert "must be the same" in different.text
    short = {"new_password": "short", "confirm_password": "short"}
    response = browser.post("/settings/password", {"password": PASSWORD, **short})
    assert "at least 8 characters" in response.text
    assert other.get("/settings").status_code == 200
    assert browser.post("/settings/password", {"password": PASSWORD, **new}).status_code == 303
    assert browser.get("/settings").status_code == 200
    assert other.get("/settings").status_code == 303
    assert other.log_in().status_code == 403
    assert other.log_in(password="a newer password").status_code == 303


def test_wrong_methods_and_unknown_paths(browser: Browser) -> None:
    browser.log_in()
    assert browser.client.put("/settings").status_code == 405
    assert browser.get("/logout").status_code == 405
    response = browser.get("/settings/nowhere")
    assert response.status_code == 404
    assert response.get_json()["error"]["type"] == "invalid_request_error"


def test_a_form_that_is_too_large_is_refused(browser: Browser) -> None:
    response = browser.client.post("/login", data={"username": "x" * 3_000_000})
    assert response.status_code == 413


def test_files_have_their_version_in_the_address(browser: Browser) -> None:
    page = browser.get("/login").text
    path = page.split('rel="stylesheet" href="')[1].split('"')[0]
    assert path.startswith("/static/pages.css?v=")
    response = browser.get(path)
    assert response.mimetype == "text/css"
    assert "max-age=31536000" in response.headers["Cache-Control"]
    assert "max-age" not in browser.get("/static/pages.css").headers["Cache-Control"]
    # Another version's: whoever keeps files by their addresses must not keep this one's under it.
    assert browser.get("/static/pages.css?v=0123456789ab").status_code == 404
    assert browser.get("/static/../app.py").status_code == 404
