"""Free-GPT4-WEB-API's protocol: questions, answers, and what is said of failures."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from conftest import MakeClient, provider, state_of
from fake_upstream import FakeUpstream
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

NO_QUESTION = "<p id='response'>Please enter a question</p>"


def asked(upstream: FakeUpstream) -> list[dict[str, Any]]:
    """Return the messages of the last request."""
    messages: list[dict[str, Any]] = json.loads(upstream.requests[-1])["messages"]
    return messages


def failed(response: TestResponse) -> str:
    """Return what the page of a failure says."""
    assert response.mimetype == "text/html"
    text = response.text
    assert text.startswith("<p id='response'>Error: ")
    assert text.endswith("</p>")
    return text


def test_a_question(client: FlaskClient, upstream: FakeUpstream) -> None:
    response = client.get("/?text=How+are+you%3F")
    assert response.text == "Hello"
    assert response.mimetype == "text/plain"
    assert response.headers["X-Provider"] == "first"
    assert response.headers["Cache-Control"] == "no-store"
    assert asked(upstream) == [{"role": "user", "content": "How are you?"}]


def test_no_question(client: FlaskClient, upstream: FakeUpstream) -> None:
    for path in ("/", "/?text=", "/?text=+"):
        response = client.get(path)
        assert response.status_code == 200
        assert response.text == NO_QUESTION
    for form in ({}, {"text": ""}, {"other": "Hi"}):
        assert client.post("/", data=form).text == NO_QUESTION
    assert upstream.requests == []


def test_a_question_in_a_form(client: FlaskClient, upstream: FakeUpstream) -> None:
    for kind in ("application/x-www-form-urlencoded", "multipart/form-data"):
        response = client.post("/", data={"text": "How are you?"}, content_type=kind)
        assert (response.status_code, response.text) == (200, "Hello")
        assert asked(upstream) == [{"role": "user", "content": "How are you?"}]
    assert client.post("/?text=Hi").text == "Hello"
    assert asked(upstream) == [{"role": "user", "content": "Hi"}]


def test_a_body_that_is_no_form(client: FlaskClient) -> None:
    response = client.post("/", json={"text": "Hi"})
    assert response.status_code == 415
    assert "multipart/form-data" in failed(response)


def test_the_keyword_is_a_setting(client: FlaskClient, upstream: FakeUpstream) -> None:
    state_of(client).change_settings({"keyword": "q"})
    assert client.get("/?q=Hi").text == "Hello"
    assert client.post("/", data={"q": "Hi"}).text == "Hello"
    assert client.get("/?text=Hi").text == NO_QUESTION
    assert len(upstream.requests) == 2


def test_model_and_system_prompt_are_settings(
    make_client: MakeClient, upstream: FakeUpstream
) -> None:
    given = provider("p", upstream, models=("m", "n"))
    client = make_client(given, model="n", system_prompt="Be brief.")
    assert client.get("/?text=Hi").text == "Hello"
    assert json.loads(upstream.requests[0])["model"] == "n"
    assert asked(upstream)[0] == {"role": "system", "content": "Be brief."}


def test_failures_have_their_status(client: FlaskClient, upstream: FakeUpstream) -> None:
    upstream.status = 500
    response = client.get("/?text=Hi")
    assert response.status_code == 504
    assert "No provider answered" in failed(response)
    assert response.headers["Retry-After"]
    upstream.status = 429
    assert client.get("/?text=Hi").status_code == 429
    upstream.status, upstream.body = 400, b'{"error": {"message": "Not <b>this</b>."}}'
    response = client.get("/?text=Hi")
    assert response.status_code == 400
    assert "Not &lt;b&gt;this&lt;/b&gt;." in failed(response)


def test_an_answer_that_is_none(client: FlaskClient, upstream: FakeUpstream) -> None:
    for body in (b"[]", b'{"choices": [{"message": null}]}', b'{"choices": []}'):
        upstream.body = body
        assert client.get("/?text=Hi").status_code == 504


def test_other_failures_have_the_old_form_too(client: FlaskClient) -> None:
    response = client.put("/")
    assert response.status_code == 405
    assert "POST" in response.headers["Allow"]
    failed(response)
    assert client.get("/nowhere").get_json()["error"]["message"]


def test_statuses_can_be_as_they_were(client: FlaskClient, upstream: FakeUpstream) -> None:
    state_of(client).change_settings({"legacy_statuses": True, "private_mode": True})
    response = client.get("/?text=Hi")
    assert (response.status_code, response.text) == (200, "<p id='response'>Invalid token</p>")
    state_of(client).change_settings({"private_mode": False})
    upstream.status = 500
    response = client.get("/?text=Hi")
    assert response.status_code == 200
    assert response.headers["Retry-After"]
    failed(response)
    assert client.put("/").status_code == 200
    assert client.post("/v1/chat/completions", json={}).status_code == 400


def test_models(make_client: MakeClient, upstream: FakeUpstream, second: FakeUpstream) -> None:
    other = provider("other", second, models=("n", "m"))
    client = make_client(provider("first", upstream), other)
    for query in ("", "?provider=", "?provider=Auto", "?provider=You"):
        assert client.get(f"/models{query}").get_json() == ["m", "n"]
    assert client.get("/models?provider=first").get_json() == ["m"]
    assert client.get("/models?provider=other").get_json() == ["n", "m"]
    assert client.get("/models?provider=gone").get_json() == ["default"]


def test_the_model_default_can_be_asked_for(client: FlaskClient) -> None:
    body = {"model": "default", "messages": [{"role": "user", "content": "Hi"}]}
    assert client.post("/v1/chat/completions", json=body).status_code == 200


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_new_token(client: FlaskClient, method: str) -> None:
    state_of(client).change_settings({"private_mode": True})
    responses = [client.open("/generatetoken", method=method) for _ in range(2)]
    texts = [response.text for response in responses]
    assert [uuid.UUID(text).version for text in texts] == [4, 4]
    assert texts[0] != texts[1]
    assert responses[0].mimetype == "text/plain"
    assert responses[0].headers["Cache-Control"] == "no-store"
    # It is a random number and no more, until somebody makes a token of it.
    assert client.get(f"/?text=Hi&token={texts[0]}").status_code == 401
    state_of(client).tokens.create("new", secret=texts[0])
    assert client.get(f"/?text=Hi&token={texts[0]}").text == "Hello"
