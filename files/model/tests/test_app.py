"""What the server answers, with a model that needs no weights."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

import pytest
from conftest import FakeBackend, delta
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from model_server.engine import Engine
from model_server.errors import ApiError

MESSAGES = [{"role": "user", "content": "Hi"}]


def chat(client: FlaskClient, *, buffered: bool = True, **body: Any) -> TestResponse:
    body = {"messages": MESSAGES} | body
    return client.post("/v1/chat/completions", json=body, buffered=buffered)


def chunks_of(response: TestResponse) -> list[dict[str, Any]]:
    events = response.text.split("\n\n")
    assert events[-2:] == ["data: [DONE]", ""]
    chunks: list[dict[str, Any]] = [json.loads(e.removeprefix("data: ")) for e in events[:-2]]
    return chunks


def test_an_answer(client: FlaskClient) -> None:
    response = chat(client)
    assert response.mimetype == "application/json"
    answer = response.get_json()
    assert answer["object"] == "chat.completion"
    choice = answer["choices"][0]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("Hello there", "stop")
    assert answer["usage"]["total_tokens"] == 7
    assert answer["model"] == "smollm2-135m"
    assert "timings" not in answer


def test_a_stream(client: FlaskClient) -> None:
    response = chat(client, stream=True)
    assert response.mimetype == "text/event-stream"
    chunks = chunks_of(response)
    assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
    contents = [chunk["choices"][0]["delta"].get("content") for chunk in chunks]
    assert contents == [None, "Hello", " there", None]
    assert {(chunk["id"], chunk["model"]) for chunk in chunks} == {("chatcmpl-1", "smollm2-135m")}


def test_a_stream_tells_its_usage_if_asked(client: FlaskClient) -> None:
    last = chunks_of(chat(client, stream=True, stream_options={"include_usage": True}))[-1]
    assert last["choices"] == []
    assert last["usage"]["completion_tokens"] == 2


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


def test_the_model_always_streams_so_that_it_can_be_stopped(
    client: FlaskClient, backend: FakeBackend
) -> None:
    chat(client, stream=False)
    assert backend.asked[0]["stream"] is True
    assert backend.asked[0]["return_progress"] is True


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
        ({"temperature": "hot"}, 400, "temperature"),
        ({"temperature": 2.1}, 400, "temperature"),
        ({"top_p": True}, 400, "top_p"),
        ({"top_logprobs": 10**9}, 400, "top_logprobs"),
        ({"response_format": "json"}, 400, "response_format"),
        ({"stream_options": "usage"}, 400, "stream_options"),
        ({"logprobs": "yes"}, 400, "logprobs"),
        ({"stop": 5}, 400, "stop"),
        ({"stop": ["a", 5]}, 400, "stop"),
        ({"tools": [{"enum": ["x"] * 5000}]}, 400, None),
    ],
)
def test_what_is_refused_before_the_model(
    client: FlaskClient, backend: FakeBackend, body: dict[str, Any], status: int, param: str | None
) -> None:
    for stream in (False, True):
        response = chat(client, **({"stream": stream} | body))
        assert response.status_code == status
        error = response.get_json()["error"]
        assert error["param"] == param
        assert error["type"] == "invalid_request_error"
    assert backend.asked == []


@pytest.mark.parametrize("value", ["yes", 1])
def test_stream_is_a_boolean(client: FlaskClient, value: object) -> None:
    assert chat(client, stream=value).get_json()["error"]["param"] == "stream"


def test_what_the_model_refuses(client: FlaskClient, backend: FakeBackend) -> None:
    said = backend.chunks
    error = {"code": 400, "message": "too long", "type": "exceed_context_size_error"}
    for stream in (False, True):
        backend.chunks = [{"error": error}]
        response = chat(client, stream=stream)
        assert response.status_code == 400
        assert response.get_json()["error"]["code"] == "exceed_context_size_error"
        backend.failure = RuntimeError("messages[0].content must be text")
        response = chat(client, stream=stream)
        assert response.status_code == 400
        assert "must be text" in response.get_json()["error"]["message"]
        backend.failure = None
    backend.chunks = said
    # Refusals give their places back.
    assert [chat(client).status_code for _ in range(3)] == [200] * 3


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"\xff", b"[" * 100_000, b'{"temperature": NaN}']
)
def test_a_body_that_is_no_object(client: FlaskClient, body: bytes) -> None:
    response = client.post("/v1/chat/completions", data=body)
    assert response.status_code == 400
    assert "message" in response.get_json()["error"]


def test_other_errors_have_the_same_shape(client: FlaskClient) -> None:
    assert client.get("/nowhere").get_json()["error"]["type"] == "invalid_request_error"
    assert client.get("/v1/chat/completions").status_code == 405
    assert client.get("/v1/chat/completions").get_json()["error"]["message"]
    assert client.get("/v1/models/gpt-4").get_json()["error"]["code"] == "model_not_found"
    assert client.post("/v1/chat/completions", data=b"x" * 1_100_000).status_code == 413


def test_the_unexpected_is_logged_and_not_told(client: FlaskClient, backend: FakeBackend) -> None:
    backend.failure = KeyError("a secret of the house")
    response = chat(client)
    assert response.status_code == 500
    assert response.get_json()["error"]["type"] == "server_error"
    assert "secret" not in response.text


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
    response = until(lambda: (r := chat(client, max_tokens=1)).status_code == 503 and r)
    assert response.headers["Retry-After"] == "2"
    assert response.get_json()["error"]["code"] == "model_busy"
    backend.gate.set()
    for thread in threads:
        thread.join()
    assert chat(client).status_code == 200


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_goes_frees_the_slot(
    client: FlaskClient, backend: FakeBackend, stream: bool
) -> None:
    said, backend.chunks = backend.chunks, [delta(content="word")] * 1000
    backend.gate.clear()
    response = chat(client, stream=stream, buffered=False)
    next(iter(response.response))
    response.close()
    backend.gate.set()
    backend.chunks = said
    assert chat(client).get_json()["choices"][0]["message"]["content"] == "Hello there"
    assert backend.said < 5 + len(said)


def test_a_client_that_goes_before_its_turn_is_not_answered(
    engine: Engine, backend: FakeBackend
) -> None:
    backend.gate.clear()
    running, waiting = engine.generate({"of": "one"}), engine.generate({"of": "another"})
    waiting.close()
    waiting.close()
    # Its place is free, once.
    third = engine.generate({"of": "a third"})
    with pytest.raises(ApiError, match="busy"):
        engine.generate({"of": "a fourth"})
    backend.gate.set()
    third.wait()
    assert [body["of"] for body in backend.asked] == ["one", "a third"]
    running.close()
    third.close()


def test_a_silent_model_lets_the_server_look_for_its_client(
    engine: Engine, backend: FakeBackend
) -> None:
    backend.gate.clear()
    generation = engine.generate({})
    generation.wait()
    chunks = iter(generation)
    assert next(chunks) == backend.chunks[0]
    assert next(chunks) is None
    generation.close()


@pytest.mark.parametrize("stream", [False, True])
def test_a_late_error_is_in_the_body(
    client: FlaskClient, backend: FakeBackend, stream: bool
) -> None:
    error = {"code": 500, "message": "broken", "type": "server_error"}
    backend.chunks[3:] = [{"error": error}]
    text = chat(client, stream=stream).text
    document = json.loads(text.split("\n\n")[-2].removeprefix("data: ") if stream else text)
    assert document["error"]["message"] == "broken"
    assert "[DONE]" not in text


def test_a_model_that_hangs_is_unhealthy(engine: Engine, backend: FakeBackend) -> None:
    assert engine.alive()
    backend.gate.clear()
    threads = health_threads()
    assert not engine.alive(timeout=0.01)
    assert not engine.alive(timeout=0.01)
    assert health_threads() == threads
    backend.gate.set()
    assert engine.alive()


def test_an_unhealthy_model_is_reported(
    client: FlaskClient, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "alive", lambda: False)
    response = client.get("/health")
    assert response.status_code == 503
    assert response.get_json()["error"]["code"] == "model_unhealthy"


def health_threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name.startswith("health")}


def until(condition: Any) -> Any:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if result := condition():
            return result
        time.sleep(0.01)
    raise AssertionError("it did not happen within 10 s")
