"""Who asks in the old protocol: tokens, virtual users, and what they have asked before."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest
from conftest import MakeClient, provider, state_of, until
from fake_upstream import FakeUpstream
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as some
from test_legacy import asked, failed

from llm_api.dialects import free_gpt4
from llm_api.state import StateError
from llm_api.state.history import History


def said(*texts: str) -> list[dict[str, Any]]:
    """Return the messages of a conversation that begins with a question."""
    return [
        {"role": "assistant" if index % 2 else "user", "content": text}
        for index, text in enumerate(texts)
    ]


@pytest.fixture
def replicas(make_client: MakeClient, upstream: FakeUpstream, tmp_path: Path) -> list[FlaskClient]:
    """Two replicas on one database."""
    url = f"sqlite:///{tmp_path}/shared.db"
    given = provider("p", upstream, models=("m", "n"))
    return [make_client(given, database_url=url, message_history=True) for _ in range(2)]


def new_token(clients: list[FlaskClient], name: str) -> str:
    """Return the secret of a token that all `clients` know."""
    token, secret = state_of(clients[0]).tokens.create(name)
    until(lambda: all(token.digest in state_of(c).snapshot.tokens for c in clients))
    return secret


def test_a_token_comes_as_one_likes(client: FlaskClient) -> None:
    state_of(client).change_settings({"private_mode": True})
    _, secret = state_of(client).tokens.create("t")
    assert client.get(f"/?text=Hi&token={secret}").text == "Hello"
    assert client.post("/", data={"text": "Hi", "token": secret}).text == "Hello"
    form = {"text": "Hi", "token": secret}
    assert client.post("/", data=form, content_type="multipart/form-data").text == "Hello"
    bearer = {"Authorization": f"Bearer {secret}"}
    assert client.get("/?text=Hi", headers=bearer).text == "Hello"
    assert client.post("/", data={"text": "Hi"}, headers=bearer).text == "Hello"


def test_a_private_service_lets_nobody_else_in(client: FlaskClient, upstream: FakeUpstream) -> None:
    state_of(client).change_settings({"private_mode": True})
    for response in (
        client.get("/?text=Hi"),
        client.get("/?text=Hi&token=wrong"),
        client.get("/"),
        client.post("/", data={"text": "Hi", "token": "wrong"}),
    ):
        assert response.status_code == 401
        assert response.text == "<p id='response'>Invalid token</p>"
        assert response.mimetype == "text/html"
        assert response.headers["WWW-Authenticate"] == "Bearer"
    assert upstream.requests == []


def test_an_open_service_ignores_bad_tokens(client: FlaskClient) -> None:
    assert client.get("/?text=Hi&token=wrong").text == "Hello"
    assert client.post("/", data={"text": "Hi", "token": "wrong"}).text == "Hello"


def test_limits_hold_here_too(client: FlaskClient) -> None:
    _, secret = state_of(client).tokens.create("t", requests_per_minute=1)
    assert client.get(f"/?text=Hi&token={secret}").text == "Hello"
    response = client.get(f"/?text=Hi&token={secret}")
    assert response.status_code == 429
    assert response.headers["Retry-After"]
    assert "a minute" in failed(response)
    _, secret = state_of(client).tokens.create("n", models=["n"])
    response = client.get(f"/?text=Hi&token={secret}")
    assert response.status_code == 403
    failed(response)


def test_a_virtual_users_values_win(
    make_client: MakeClient, upstream: FakeUpstream, second: FakeUpstream
) -> None:
    first, other = provider("first", upstream), provider("other", second, models=("m", "n"))
    client = make_client(first, other, system_prompt="Be brief.", virtual_users=True)
    state = state_of(client)
    token, secret = state.tokens.create("t")
    bob, _ = state.users.create("bob", token_id=token.id)
    assert client.get(f"/?text=Hi&token={secret}").headers["X-Provider"] == "first"
    assert asked(upstream)[0]["content"] == "Be brief."
    state.users.update(bob.id, provider="other", model="n", system_prompt="Be kind.")
    assert client.get(f"/?text=Hi&token={secret}").headers["X-Provider"] == "other"
    assert json.loads(second.requests[-1])["model"] == "n"
    assert asked(second)[0]["content"] == "Be kind."
    # In every protocol.
    body = {"messages": [{"role": "user", "content": "Hi"}]}
    header = {"x-api-key": secret}
    response = client.post("/v1/chat/completions", json=body, headers=header)
    assert response.headers["X-Provider"] == "other"
    message = body | {"max_tokens": 5}
    assert client.post("/v1/messages", json=message, headers=header).get_json()["model"] == "n"
    # Nobody else's.
    assert client.get("/?text=Hi").headers["X-Provider"] == "first"
    state.users.update(bob.id, provider="Auto", model="", system_prompt="")
    assert client.get(f"/?text=Hi&token={secret}").headers["X-Provider"] == "first"


def test_a_virtual_user_may_not_do_more_than_its_token(
    make_client: MakeClient, upstream: FakeUpstream, second: FakeUpstream
) -> None:
    client = make_client(provider("first", upstream), provider("other", second), virtual_users=True)
    state = state_of(client)
    token, secret = state.tokens.create("t", providers=["first"])
    bob, _ = state.users.create("bob", token_id=token.id)
    state.users.update(bob.id, provider="other")
    assert client.get(f"/?text=Hi&token={secret}").status_code == 403
    assert second.requests == []


def test_virtual_users_are_a_setting(client: FlaskClient, upstream: FakeUpstream) -> None:
    state = state_of(client)
    token, secret = state.tokens.create("t")
    bob, _ = state.users.create("bob", token_id=token.id)
    state.users.update(bob.id, system_prompt="Be kind.")
    client.get(f"/?text=Hi&token={secret}")
    assert asked(upstream) == said("Hi")
    state.change_settings({"virtual_users": True})
    client.get(f"/?text=Hi&token={secret}")
    assert asked(upstream)[0]["content"] == "Be kind."


def test_every_token_has_a_history_of_its_own(
    replicas: list[FlaskClient], upstream: FakeUpstream
) -> None:
    one, other = replicas
    secret, second = new_token(replicas, "a"), new_token(replicas, "b")
    one.get(f"/?text=A&token={secret}")
    assert asked(upstream) == said("A")
    other.get(f"/?text=B&token={secret}")
    assert asked(upstream) == said("A", "Hello", "B")
    other.post("/", data={"text": "C", "token": second})
    assert asked(upstream) == said("C")
    one.get(f"/?text=D&token={secret}")
    assert asked(upstream) == said("A", "Hello", "B", "Hello", "D")


def test_anonymous_callers_share_none(replicas: list[FlaskClient], upstream: FakeUpstream) -> None:
    for question in ("A", "B"):
        replicas[0].get(f"/?text={question}")
        assert asked(upstream) == said(question)
        replicas[0].get(f"/?text={question}&token=wrong")
        assert asked(upstream) == said(question)


def test_a_history_is_a_setting(replicas: list[FlaskClient], upstream: FakeUpstream) -> None:
    client, secret = replicas[0], new_token(replicas, "a")
    state_of(client).change_settings({"message_history": False})
    for question in ("A", "B"):
        client.get(f"/?text={question}&token={secret}")
        assert asked(upstream) == said(question)
    assert state_of(client).history.read("token:1") == []


def test_a_history_is_a_virtual_users_own_setting(
    make_client: MakeClient, upstream: FakeUpstream
) -> None:
    client = make_client(provider("p", upstream), virtual_users=True)
    state = state_of(client)
    token, secret = state.tokens.create("t")
    bob, _ = state.users.create("bob", token_id=token.id)
    for keeps in (True, False):
        state.users.update(bob.id, message_history=keeps)
        state.change_settings({"message_history": not keeps})
        state.history.append("token:1", said("A", "B"))
        client.get(f"/?text=C&token={secret}")
        assert asked(upstream) == (said("A", "B", "C") if keeps else said("C"))
        state.history.clear("token:1")


def test_only_answers_are_remembered(replicas: list[FlaskClient], upstream: FakeUpstream) -> None:
    client, secret = replicas[0], new_token(replicas, "a")
    for status, body in ((500, None), (400, None), (200, b"[]")):
        upstream.status, upstream.body = status, body
        assert client.get(f"/?text=A&token={secret}").status_code >= 400
    upstream.status, upstream.body, upstream.text = 200, None, ""
    assert client.get(f"/?text=B&token={secret}").status_code == 200
    assert state_of(client).history.read("token:1") == []


def test_what_is_remembered_is_what_was_answered(
    replicas: list[FlaskClient], upstream: FakeUpstream
) -> None:
    client, secret = replicas[0], new_token(replicas, "a")
    upstream.text = "Paris[^1^][1]."
    client.get(f"/?text=A&token={secret}")
    assert state_of(client).history.read("token:1") == said("A", "Paris.")


def test_questions_at_once_lose_nothing(
    replicas: list[FlaskClient], upstream: FakeUpstream
) -> None:
    secret = new_token(replicas, "a")
    upstream.silence = 0.1

    def ask(client: FlaskClient, name: str) -> None:
        for number in range(5):
            own = client.application.test_client()
            assert own.get(f"/?text={name}{number}&token={secret}").text == "Hello"

    threads = [
        threading.Thread(target=ask, args=(client, name))
        for client, names in zip(replicas, ("ab", "cd"), strict=True)
        for name in names
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    kept = state_of(replicas[0]).history.read("token:1")
    questions = [message["content"] for message in kept[::2]]
    assert sorted(questions) == [f"{name}{number}" for name in "abcd" for number in range(5)]
    assert kept == said(*(text for question in questions for text in (question, "Hello")))


def test_a_history_that_is_too_long_for_the_model_is_shortened(
    replicas: list[FlaskClient], upstream: FakeUpstream
) -> None:
    client, secret = replicas[0], new_token(replicas, "a")
    old = said(*(f"{kind}{number}" for number in range(10) for kind in "qa"))
    state_of(client).history.append("token:1", old)
    upstream.longest = 7
    assert client.get(f"/?text=A&token={secret}").text == "Hello"
    assert asked(upstream) == [*old[-4:], *said("A")]
    assert len(state_of(client).history.read("token:1")) == 22
    upstream.longest = 0
    assert client.get(f"/?text=A&token={secret}").status_code == 400


def test_a_database_that_fails_costs_no_answer(
    replicas: list[FlaskClient], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    client, secret = replicas[0], new_token(replicas, "a")

    def fail(*_: Any) -> None:
        raise StateError("the disk is full")

    monkeypatch.setattr(History, "append", fail)
    assert client.get(f"/?text=A&token={secret}").text == "Hello"
    assert "not remembered: the disk is full" in caplog.text
    monkeypatch.setattr(History, "read", fail)
    response = client.get(f"/?text=A&token={secret}")
    assert response.status_code == 503
    failed(response)


@given(some.lists(some.sampled_from(["user", "assistant"])))
def test_what_is_left_of_a_history_begins_with_a_question(roles: list[str]) -> None:
    messages = [{"role": role, "content": str(i)} for i, role in enumerate(roles)]
    rest = messages
    while rest:
        shorter = free_gpt4.latter_half(rest)
        assert len(shorter) < len(rest)
        assert shorter == rest[len(rest) - len(shorter) :]
        assert not shorter or shorter[0]["role"] == "user"
        rest = shorter
