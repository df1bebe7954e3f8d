"""The pages of tokens, users and usage, and what users may do."""

from __future__ import annotations

import re
from typing import Any

import pytest
from browser import PASSWORD, Browser, errors
from conftest import MakeClient, provider
from fake_upstream import FakeUpstream

from llm_api.caller import owner_of
from llm_api.state import UsageEntry, User

NASTY = "<script>alert(1)</script>"
SECRET = re.compile(r'<div class="secret">.*?<code>([^<]+)</code>')
TOKEN: dict[str, Any] = {
    "name": "ci",
    "days": "30",
    "requests_per_minute": "60",
    "tokens_per_day": "",
    "models": "m",
    "providers": ["first"],
}


@pytest.fixture
def browser(make_client: MakeClient, upstream: FakeUpstream) -> Browser:
    client = make_client(
        provider("first", upstream), admin_password=PASSWORD, private_mode=True, virtual_users=True
    )
    browser = Browser(client)
    browser.log_in()
    return browser


def chat(browser: Browser, secret: str) -> int:
    body = {"messages": [{"role": "user", "content": "Hi"}]}
    headers = {"Authorization": f"Bearer {secret}"}
    return browser.client.post("/v1/chat/completions", json=body, headers=headers).status_code


def user_of(browser: Browser, username: str) -> User:
    user = browser.service.state.users.get(username)
    assert user
    return user


def test_a_token_is_made_shown_once_used_and_revoked(browser: Browser) -> None:
    response = browser.post("/settings/tokens", TOKEN)
    assert response.headers["Cache-Control"] == "no-store"
    secret = SECRET.findall(response.text)[0]
    [token] = browser.service.state.tokens.list()
    assert (token.name, token.models, token.providers) == ("ci", ("m",), ("first",))
    assert (token.requests_per_minute, token.tokens_per_day) == (60, 0)
    assert token.expires
    assert round((token.expires - token.created) / 86_400) == 30
    assert chat(browser, secret) == 200
    page = browser.get("/settings/tokens").text
    assert secret not in page
    assert "60 requests a minute; models m; providers first" in page
    assert "<dt>Requests today</dt><dd>1</dd>" in page
    revoked = browser.post("/settings/tokens/revoke", {"id": token.id}, form_at="/settings/tokens")
    assert revoked.status_code == 303
    assert chat(browser, secret) == 401
    assert "There are no tokens yet." in browser.get("/settings/tokens").text


@pytest.mark.parametrize(
    ("name", "typed"),
    [
        ("name", ""),
        ("name", "a\nb"),
        ("days", "x"),
        ("days", "-1"),
        ("requests_per_minute", "many"),
        ("tokens_per_day", "99999999999999999999"),
        ("requests_per_minute", "99999999999"),
        ("providers", ["nobody"]),
    ],
)
def test_faulty_tokens_are_not_made(browser: Browser, name: str, typed: Any) -> None:
    response = browser.post("/settings/tokens", TOKEN | {name: typed})
    assert response.status_code == 422
    assert list(errors(response.text)) == [name]
    assert browser.service.state.tokens.list() == []


def test_what_is_not_there_is_not_found(browser: Browser) -> None:
    for number in ("1", "9" * 30):
        assert browser.get(f"/settings/users/{number}").status_code == 404
    browser.service.state.tokens.create("kept")
    for token_id in ("", "2", "9" * 30, "x"):
        browser.post("/settings/tokens/revoke", {"id": token_id}, form_at="/settings/tokens")
        browser.post("/settings/reset", {"name": "a\0b"}, form_at="/settings")
    assert len(browser.service.state.tokens.list()) == 1


def test_names_are_no_markup(browser: Browser) -> None:
    state = browser.service.state
    browser.post("/settings/tokens", TOKEN | {"name": NASTY, "models": NASTY})
    [token] = state.tokens.list()
    state.usage.note(UsageEntry(token.id, NASTY, NASTY, 200, 1, 1, 1, 1))
    user, _ = state.users.create("alice", token_id=token.id)
    state.users.update(user.id, model=NASTY, provider="first", system_prompt=NASTY)
    for path in ("tokens", "users", f"users/{user.id}", "usage"):
        page = browser.get(f"/settings/{path}").text
        assert NASTY not in page
        assert "&lt;script&gt;" in page


def test_a_user_is_made_with_a_token_and_a_password(browser: Browser) -> None:
    response = browser.post("/settings/users", {"username": "alice", "token_id": "new"})
    password, secret = SECRET.findall(response.text)
    assert chat(browser, secret) == 200
    user = user_of(browser, "alice")
    assert browser.service.state.snapshot.users[user.token_id or 0] == user
    for path in ("/settings/users", f"/settings/users/{user.id}"):
        page = browser.get(path).text
        assert password not in page
        assert secret not in page
    alice = Browser(browser.client.application.test_client())
    assert alice.log_in("alice", password).status_code == 303
    assert alice.get("/settings").headers["Location"] == "/settings/own"


def test_users_and_tokens_belong_together(browser: Browser) -> None:
    token, _ = browser.service.state.tokens.create("t")
    data = {"username": "alice", "token_id": str(token.id)}
    assert browser.post("/settings/users", data).status_code == 200
    assert user_of(browser, "alice").token_id == token.id
    # One token is one user's.
    taken = browser.post("/settings/users", {"username": "bob", "token_id": str(token.id)})
    assert "must be among what is offered" in errors(taken.text)["token_id"]
    browser.post("/settings/users", {"username": "bob", "token_id": ""})
    path = f"/settings/users/{user_of(browser, 'alice').id}"
    browser.post(f"{path}/token", {"token_id": ""}, form_at=path)
    assert user_of(browser, "alice").token_id is None
    response = browser.post(f"{path}/token", {"token_id": "new"}, form_at=path)
    assert len(SECRET.findall(response.text)) == 1
    assert user_of(browser, "alice").token_id


@pytest.mark.parametrize("username", ["", "ab", "a b c", "admin", NASTY, "alice"])
def test_faulty_users_are_not_made(browser: Browser, username: str) -> None:
    browser.service.state.users.create("alice")
    response = browser.post("/settings/users", {"username": username, "token_id": "new"})
    assert list(errors(response.text)) == ["username"]
    assert len(browser.service.state.users.list()) == 1
    assert browser.service.state.tokens.list() == []


def test_the_operator_changes_and_removes_users(browser: Browser) -> None:
    browser.service.state.users.create("alice")
    user = user_of(browser, "alice")
    path = f"/settings/users/{user.id}"
    values = {"provider": "first", "model": "m", "system_prompt": "Hi", "message_history": "on"}
    assert browser.post(path, values).status_code == 303
    assert user_of(browser, "alice").message_history
    wrong = browser.post(path, values | {"provider": "nobody"})
    assert "use Auto, or some of first" in errors(wrong.text)["provider"]
    given = browser.post(f"{path}/password", {}, form_at=path)
    alice = Browser(browser.client.application.test_client())
    assert alice.log_in("alice", SECRET.findall(given.text)[0]).status_code == 303
    assert browser.post(f"{path}/delete", {}, form_at=path).status_code == 303
    assert alice.get("/settings/own").status_code == 303
    assert browser.get(path).status_code == 404


@pytest.fixture
def alice(browser: Browser) -> Browser:
    state = browser.service.state
    token, _ = state.tokens.create("alice")
    state.users.create("alice", "the password of alice", token_id=token.id)
    state.users.create("bob_", "the password of bob")
    alice = Browser(browser.client.application.test_client())
    alice.log_in("alice", "the password of alice")
    return alice


def test_users_change_their_own_values_only(alice: Browser) -> None:
    values = {"provider": "first", "model": "m", "system_prompt": NASTY, "message_history": "on"}
    others = {"username": "operator", "token_id": "1", "password_hash": "x"}
    assert alice.post("/settings/own", values | others).status_code == 303
    user, other = user_of(alice, "alice"), user_of(alice, "bob_")
    assert (user.provider, user.model, user.system_prompt) == ("first", "m", NASTY)
    assert user.message_history
    assert (other.provider, other.model, other.system_prompt) == ("", "", "")
    page = alice.get("/settings/own").text
    assert NASTY not in page
    wrong = alice.post("/settings/own", values | {"provider": "nobody", "model": "x" * 201})
    assert set(errors(wrong.text)) == {"provider", "model"}
    assert user_of(alice, "alice") == user


def test_users_clear_their_history_only(alice: Browser) -> None:
    history = alice.service.state.history
    mine = owner_of(user_of(alice, "alice").token_id or 0)
    for owner in (mine, owner_of(99)):
        history.append(owner, [{"role": "user", "content": "Hi"}])
    alice.post("/settings/own/history", {}, form_at="/settings/own")
    assert history.read(mine) == []
    assert history.read(owner_of(99))


def test_users_change_their_password(alice: Browser) -> None:
    new = {"new_password": "a newer password", "confirm_password": "a newer password"}
    response = alice.post("/settings/password", {"password": "the password of alice", **new})
    assert response.status_code == 303
    assert alice.get("/settings/own").status_code == 200
    assert alice.log_in("alice", "a newer password").status_code == 303
    assert alice.log_in("admin", "a newer password").status_code == 403


def test_users_do_not_reach_the_operators_pages(alice: Browser) -> None:
    rules = [
        (rule.rule.replace("<int:user_id>", "1"), method)
        for rule in alice.client.application.url_map.iter_rules()
        for method in (rule.methods or set()) & {"GET", "POST"}
        if rule.rule.startswith("/settings")
    ]
    assert len(rules) > 20
    allowed = {"/settings/own", "/settings/own/history", "/settings/password"}
    before = alice.service.state.users.list(), alice.service.state.tokens.list()
    for path, method in rules:
        if path in allowed or (path, method) == ("/settings", "GET"):
            continue
        if method == "GET":
            response = alice.get(path)
        else:
            response = alice.post(path, {"name": "x"}, form_at="/settings/own")
        assert response.status_code == 403, path
        assert response.mimetype == "text/html"
    assert (alice.service.state.users.list(), alice.service.state.tokens.list()) == before
    assert "Providers" not in alice.get("/settings/own").text


def test_users_are_out_while_the_setting_is_off(alice: Browser) -> None:
    alice.service.state.change_settings({"virtual_users": False})
    assert alice.get("/settings/own").status_code == 303
    assert alice.log_in("alice", "the password of alice").status_code == 403


def test_the_operator_has_no_values_of_a_user(browser: Browser) -> None:
    assert browser.get("/settings/own").status_code == 404


def test_usage_is_shown_by_token_model_and_provider(browser: Browser) -> None:
    state = browser.service.state
    assert "Nobody has asked anything" in browser.get("/settings/usage").text
    token, _ = state.tokens.create("gone")
    for status in (200, 504):
        state.usage.note(UsageEntry(token.id, "m", "first", status, 1200, 34, 2.0, 0.5))
    state.usage.note(UsageEntry(0, "n", "first", 200, 1, 1, 1, 1))
    state.tokens.revoke(token.id)
    for days in ("", "?days=1", "?days=nonsense"):
        page = browser.get(f"/settings/usage{days}").text
        row = re.findall(r"<t[hd][^>]*>([^<]*)</t[hd]>", page.split("<tbody>")[1])[:9]
        thin = "\u202f"
        assert row == [
            *("gone", "m", "first", "2", "1"),
            *(f"2{thin}400", "68", f"500{thin}ms", f"2.0{thin}s"),
        ]
        assert "without a token" in page
