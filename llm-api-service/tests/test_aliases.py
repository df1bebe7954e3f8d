"""What a model is called, where it is, and who lists it."""

from __future__ import annotations

import json

import pytest
from conftest import MakeClient, provider, until
from fake_upstream import FakeUpstream
from flask.testing import FlaskClient
from test_openai import chat
from test_pool import change, service_of

from llm_api.providers import model_list


def models(client: FlaskClient) -> dict[str, str]:
    return {m["id"]: m["owned_by"] for m in client.get("/v1/models").get_json()["data"]}


def test_an_alias_is_asked_for_under_its_providers_name(
    make_client: MakeClient, upstream: FakeUpstream, second: FakeUpstream
) -> None:
    client = make_client(
        provider("first", upstream),
        provider("other", second, models=("n",)),
        aliases={"gpt-4": "n", "lost": "nowhere"},
        model="gpt-4",
    )
    for body in ({"model": "gpt-4"}, {}):
        assert chat(client, **body).headers["X-Provider"] == "other"
        assert json.loads(second.requests[-1])["model"] == "n"
    assert models(client) == {"m": "first", "n": "other", "gpt-4": "other"}
    assert client.get("/v1/models/gpt-4").get_json()["owned_by"] == "other"
    assert chat(client, model="lost").status_code == 404


def test_an_alias_is_changed_while_running(client: FlaskClient) -> None:
    assert chat(client, model="nick").status_code == 404
    change(client, aliases={"nick": "m"})
    assert chat(client, model="nick").status_code == 200


def test_a_token_for_an_alias_is_none_for_the_model(client: FlaskClient) -> None:
    change(client, aliases={"nick": "m"})
    _, secret = service_of(client).state.tokens.create("t", models=["nick"])
    headers = {"Authorization": f"Bearer {secret}"}
    body = {"messages": [{"role": "user", "content": "Hi"}]}
    for model, status in (("nick", 200), ("m", 403)):
        asked = {"json": body | {"model": model}, "headers": headers}
        assert client.post("/v1/chat/completions", **asked).status_code == status


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_list, "AGAIN", 0.05)
    monkeypatch.setattr(model_list, "RETRY", 0.05)


def test_a_server_without_a_list_here_is_asked_for_its_own(
    make_client: MakeClient, upstream: FakeUpstream, second: FakeUpstream
) -> None:
    second.models = ["a", "b", 7, "", "a"]
    first = provider("first", upstream)
    client = make_client(provider("listing", second, models=()), first)
    until(lambda: models(client) == {"a": "listing", "b": "listing", "m": "first"})
    # It is never sent what it does not have.
    assert chat(client, model="m").headers["X-Provider"] == "first"
    assert chat(client, model="b").headers["X-Provider"] == "listing"
    assert second.requests != []
    assert chat(client, model="c").status_code == 404
    # Of several there is no default.
    assert chat(client).headers["X-Provider"] == "first"
    second.models = ["c"]
    until(lambda: "c" in models(client))
    assert chat(client).headers["X-Provider"] == "listing"


def test_a_list_is_kept_while_it_cannot_be_fetched(
    make_client: MakeClient, upstream: FakeUpstream
) -> None:
    upstream.models = ["a"]
    client = make_client(provider("listing", upstream, models=()))
    until(lambda: models(client) == {"a": "listing"})
    upstream.models = None
    lists = upstream.lists
    until(lambda: upstream.lists > lists + 2)
    assert models(client) == {"a": "listing"}


def test_until_there_is_a_list_a_server_may_have_anything(
    make_client: MakeClient, upstream: FakeUpstream, caplog: pytest.LogCaptureFixture
) -> None:
    client = make_client(provider("first", upstream, models=(), default_model="d"))
    until(lambda: upstream.lists > 3)
    assert chat(client, model="whatever").status_code == 200
    assert json.loads(upstream.requests[-1])["model"] == "whatever"
    assert models(client) == {}
    assert caplog.text.count("no list of models") == 1


def test_a_configured_list_is_not_fetched(client: FlaskClient, upstream: FakeUpstream) -> None:
    chat(client)
    assert upstream.lists == 0


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"null", b'{"data":[1]}', b'{"data":{}}', b"[" * 10_000, b"\xff"]
)
def test_what_is_no_list_is_none(body: bytes) -> None:
    assert model_list._names(body) == ()
