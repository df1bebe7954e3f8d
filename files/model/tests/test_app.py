"""What the server answers, with a model that needs no weights."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

import pytest
from conftest import FakeBackend
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

MESSAGES = [{"role": "user", "content": "Hi"}]


def chat(client: FlaskClient, **body: Any) -> TestResponse:
    return client.post("/v1/chat/completions", json={"messages": MESSAGES, **body})


def test_an_answer(client: FlaskClient) -> None:
    answer = chat(client).get_json()
    assert answer["choices"][0]["message"]["content"] == "Hello there"
    assert answer["model"] == "smollm2-135m"
    assert "timings" not in answer


def test_a_stream(client: FlaskClient) -> None:
    response = chat(client, stream=True)
    assert response.mimetype == "text/event-stream"
    events = response.text.split("\n\n")
    assert events[-2:] == ["data: [DONE]", ""]
    chunks = [json.loads(event.removeprefix("data: ")) for event in events[:-2]]
    assert [chunk["choices"][0]["delta"]["content"] for chunk in chunks] == ["Hello", " there"]
    assert {chunk["model"] for chunk in chunks} == {"smollm2-135m"}


def test_defaults_are_filled_in(client: FlaskClient, backend: FakeBackend) -> None:
    chat(client)
    asked = backend.asked[0]
    assert asked["messages"][0]["role"] == "system"
    assert asked["temperature"] == 0
    assert asked["max_tokens"] == 512


def test_a_request_decides_for_itself(client: FlaskClient, backend: FakeBackend) -> None:
    messages = [{"role": "developer", "content": "Be terse."}, *MESSAGES]
    chat(client, messages=messages, temperature=1, max_completion_tokens=7, seed=3, user="me")
    asked = backend.asked[0]
    assert [message["role"] for message in asked["messages"]] == ["system", "user"]
    assert (asked["temperature"], asked["max_tokens"], asked["seed"]) == (1, 7, 3)
    assert not {"max_completion_tokens", "user"} & set(asked)


def test_an_answer_is_never_longer_than_the_limit(
    client: FlaskClient, backend: FakeBackend
) -> None:
    chat(client, max_tokens=100_000)
    assert backend.asked[0]["max_tokens"] == 512


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        ({"messages": []}, 400, "messages"),
        ({"messages": "Hi"}, 400, "messages"),
        ({"messages": ["Hi"]}, 400, "messages"),
        ({"messages": [{"content": "Hi"}]}, 400, "messages"),
        ({"max_tokens": 0}, 400, "max_tokens"),
        ({"max_tokens": True}, 400, "max_tokens"),
        ({"max_tokens": "many"}, 400, "max_tokens"),
        ({"grammar": "root ::= x"}, 400, "grammar"),
        ({"model": "gpt-4"}, 404, "model"),
        ({"messages": [{"role": "user", "content": "too long"}]}, 400, None),
        ({"messages": [{"role": "user", "content": "bad"}]}, 400, None),
    ],
)
def test_what_cannot_be_answered(
    client: FlaskClient, body: dict[str, Any], status: int, param: str | None
) -> None:
    for stream in (False, True):
        response = chat(client, **body, stream=stream)
        assert response.status_code == status
        error = response.get_json()["error"]
        assert error["param"] == param
        assert error["type"] == "invalid_request_error"
    assert chat(client).status_code == 200


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b"[" * 100_000])
def test_a_body_that_is_no_object(client: FlaskClient, body: bytes) -> None:
    response = client.post("/v1/chat/completions", data=body)
    assert response.status_code == 400
    assert "message" in response.get_json()["error"]


def test_other_errors_have_the_same_shape(client: FlaskClient) -> None:
    assert client.get("/nowhere").get_json()["error"]["type"] == "invalid_request_error"
    assert client.get("/v1/chat/completions").status_code == 405
    assert client.get("/v1/models/gpt-4").get_json()["error"]["code"] == "model_not_found"
    assert client.post("/v1/chat/completions", data=b"x" * 17_000_000).status_code == 413


def test_the_unexpected_is_logged_and_not_told(client: FlaskClient, backend: FakeBackend) -> None:
    del backend.words
    response = chat(client)
    assert response.status_code == 500
    assert "FakeBackend" not in response.text


def test_models_and_health(client: FlaskClient) -> None:
    assert client.get("/v1/models").get_json()["data"][0]["id"] == "smollm2-135m"
    assert client.get("/v1/models/smollm2-135m").get_json()["object"] == "model"
    assert client.get("/health").get_json() == {"status": "ok"}


def test_too_many_requests_are_told_to_come_again(
    client: FlaskClient, backend: FakeBackend
) -> None:
    backend.gate.clear()
    threads = [threading.Thread(target=chat, args=(client,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    until(lambda: len(backend.asked) == 1)
    response = until(lambda: (r := chat(client)).status_code == 503 and r)
    assert response.headers["Retry-After"] == "2"
    assert client.get("/health").status_code == 200
    backend.gate.set()
    for thread in threads:
        thread.join()
    assert chat(client).status_code == 200


def test_a_client_that_goes_frees_the_slot(client: FlaskClient, backend: FakeBackend) -> None:
    backend.words = ["word"] * 1000
    backend.gate.clear()
    response = chat(client, stream=True)
    next(iter(response.response))
    response.close()
    backend.gate.set()
    backend.words = ["Hello"]
    assert chat(client, stream=True).text.endswith("data: [DONE]\n\n")
    assert backend.said < 5


def test_an_error_within_a_stream_is_an_event(client: FlaskClient, backend: FakeBackend) -> None:
    original = backend.handle_chat_completions

    def fails_late(body: Any, callback: Any) -> None:
        original(body, callback)
        callback({"error": {"code": 500, "message": "broken", "type": "server_error"}})

    backend.handle_chat_completions = fails_late  # type: ignore[method-assign]  # the fake's own
    text = chat(client, stream=True).text
    assert '"message":"broken"' in text
    assert "[DONE]" not in text


def until(condition: Any) -> Any:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if result := condition():
            return result
        time.sleep(0.01)
    raise AssertionError("it did not happen within 10 s")
