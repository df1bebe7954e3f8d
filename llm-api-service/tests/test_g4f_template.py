"""Classes of g4f that only say where a server is: who they are, and that they answer as others."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from conftest import MakeClient, until, until_it_stands_still
from fake_upstream import EVENTS, FakeUpstream
from flask.testing import FlaskClient
from test_g4f import FREE, real
from test_openai import chat

from llm_api.providers import g4f
from llm_api.providers.g4f import template
from llm_api.providers.g4f.template import server_of

__all__ = ["real"]

DONE = b"data: [DONE]\n\n"


def event(*, finish: str | None = None, end: str = "\n\n", **delta: str) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return f"data: {json.dumps({'choices': [choice]})}{end}".encode()


COUNTS = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
USAGE = b"data: " + json.dumps({"choices": [], "usage": COUNTS}).encode() + b"\n\n"


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        (EVENTS, {"content": "Hello"}),
        (EVENTS[:-1], {"content": "Hello"}),
        ([event(content="\n\n"), event(content=" Hi "), DONE], {"content": "Hi "}),
        ([event(content="Hi"), event(finish="length"), USAGE, DONE], {"content": "Hi"}),
        (
            [event(reasoning="Hm"), event(reasoning_content="."), event(content="A"), DONE],
            {"content": "A", "reasoning_content": "Hm."},
        ),
        ([b": hello\n\n", event(content="Hi", end="\r\n\r\n"), DONE], {"content": "Hi"}),
        ([event(content="Hi", end="")], {"content": "Hi"}),
        ([event(content="Hi"), DONE, event(content="no more")], {"content": "Hi"}),
    ],
)
@pytest.mark.parametrize("split", [None, 1])
def test_an_answer_is_the_same_by_either_way(
    *,
    make_client: MakeClient,
    real: type[Any],
    upstream: FakeUpstream,
    events: list[bytes],
    expected: Mapping[str, str],
    split: int | None,
) -> None:
    del real
    upstream.events, upstream.split = events, split
    answer = chat(make_client(FREE)).get_json()
    assert answer["choices"][0]["message"] == {"role": "assistant", **expected}
    assert answer["choices"][0]["finish_reason"] == ("length" if USAGE in events else "stop")
    if USAGE in events:
        assert answer["usage"] == COUNTS


def test_what_is_sent_is_the_same_by_either_way(
    make_client: MakeClient, real: type[Any], upstream: FakeUpstream
) -> None:
    real.max_tokens = 50
    client = make_client(replace(FREE, api_key="key", models=("m",)))
    chat(client, temperature=0.5, stop=["x"])
    chat(client, stream=True, max_completion_tokens=9, user="somebody")
    first, second = (json.loads(raw) for raw in upstream.requests)
    asked = {
        "messages": [{"role": "user", "content": "Hi"}],
        "model": "m",
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    assert first == {**asked, "max_tokens": 50, "temperature": 0.5, "stop": ["x"]}
    assert second == {**asked, "max_tokens": 9}
    for headers in upstream.headers:
        assert headers["Authorization"] == "Bearer key"
        assert headers["Accept"] == "text/event-stream"
        assert headers["Content-Type"] == "application/json"


@pytest.mark.parametrize("stream", [False, True])
def test_a_server_without_streams_answers_by_either_way(
    make_client: MakeClient, real: type[Any], upstream: FakeUpstream, stream: bool
) -> None:
    del real
    choice = {"message": {"role": "assistant", "content": " Hi"}, "finish_reason": "length"}
    upstream.body = json.dumps({"choices": [choice], "usage": COUNTS}).encode()
    response = chat(make_client(FREE), stream=stream)
    assert '"Hi"' in response.text
    assert '"length"' in response.text


Told = tuple[int, bytes, int, str]
"""What the server answers, status and body, and what a client is told, status and reason."""


def check(client: FlaskClient, upstream: FakeUpstream, told: Told) -> None:
    upstream.status, upstream.body, expected, reason = told
    response = chat(client)
    assert response.status_code == expected
    assert reason in response.get_json()["error"]["message"]


@pytest.mark.parametrize(
    "told",
    [
        (400, b'{"error":{"message":"no such thing"}}', 400, ""),
        (404, b'{"error":{"message":"no such model"}}', 504, "status 404"),
        (429, b"{}", 429, "status 429"),
        (503, b"{}", 504, "status 503"),
        (200, b'{"error":{"message":"not today"}}', 504, "Free"),
        (200, b"<html>", 504, "Free"),
    ],
)
@pytest.mark.usefixtures("real")
def test_what_is_no_answer_is_the_same_by_either_way(
    make_client: MakeClient, upstream: FakeUpstream, told: Told
) -> None:
    check(make_client(FREE), upstream, told)


@pytest.mark.parametrize("real", ["asked by its server's address"], indirect=True)
@pytest.mark.parametrize(
    "told",
    [
        (400, b'{"error":{"message":"no such thing"}}', 400, "no such thing"),
        (400, b"no", 400, "bad request"),
        (503, b"<html>", 504, "status 503"),
        (200, b'{"choices":[]}', 504, "an empty answer"),
        (200, b'{"error":"no"}', 504, "an error in place of an answer"),
    ],
)
@pytest.mark.usefixtures("real")
def test_what_is_no_answer_is_told_better_than_by_g4f(
    make_client: MakeClient, upstream: FakeUpstream, told: Told
) -> None:
    check(make_client(FREE), upstream, told)


@pytest.mark.parametrize("real", ["asked by its server's address"], indirect=True)
def test_no_message_is_dropped(
    make_client: MakeClient, real: type[Any], upstream: FakeUpstream
) -> None:
    del real
    said = [{"role": "assistant", "content": text} for text in ("one", "two")]
    messages = [*said, {"role": "user", "content": "three"}]
    chat(make_client(FREE), messages=messages)
    assert json.loads(upstream.requests[0])["messages"] == messages


@pytest.mark.parametrize("stream", [False, True])
def test_an_error_in_the_middle_is_the_same_by_either_way(
    make_client: MakeClient, real: type[Any], upstream: FakeUpstream, stream: bool
) -> None:
    del real
    upstream.events = [event(content="Hi"), b'data: {"error":{"message":"no"}}\n\n', DONE]
    response = chat(make_client(FREE), stream=stream)
    assert "[DONE]" not in response.text
    assert '"error"' in response.text


def test_a_connection_that_breaks_is_an_error_by_either_way(
    make_client: MakeClient, real: type[Any], upstream: FakeUpstream
) -> None:
    del real
    upstream.break_after = 1
    response = chat(make_client(FREE), stream=True)
    assert "broke off its answer" in response.text
    assert "[DONE]" not in response.text


def test_one_that_breaks_after_the_end_is_none_by_either_way(
    make_client: MakeClient, real: type[Any], upstream: FakeUpstream
) -> None:
    del real
    upstream.events, upstream.break_after = [*EVENTS, b"data: more"], len(EVENTS)
    for stream in (False, True):
        response = chat(make_client(FREE), stream=stream)
        assert response.status_code == 200
        assert "error" not in response.text


@pytest.mark.parametrize("stream", [False, True])
def test_a_server_that_is_silent_is_not_waited_for_to_the_deadline_by_either_way(
    make_client: MakeClient, real: type[Any], upstream: FakeUpstream, stream: bool
) -> None:
    del real
    upstream.silence = 30
    config = replace(FREE, first_chunk_timeout=0.2, deadline=20)
    began = time.monotonic()
    response = chat(make_client(config), stream=stream)
    assert "no answer in time" in response.get_json()["error"]["message"]
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("real", ["asked by its server's address"], indirect=True)
def test_lines_without_end_are_no_answer(
    make_client: MakeClient,
    real: type[Any],
    upstream: FakeUpstream,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    del real
    monkeypatch.setattr(template, "LARGEST_EVENT", 1000)
    upstream.events = [event(content="Hi"), b"data: " + b"x" * 2000]
    assert "an event that is too large" in chat(make_client(FREE), stream=True).text


def test_a_client_that_does_not_read_holds_the_server_back_by_either_way(
    make_client: MakeClient, real: type[Any], upstream: FakeUpstream
) -> None:
    del real
    upstream.events = [event(content="x" * 100_000)] * 300 + [DONE]
    response = chat(make_client(FREE), stream=True)
    next(iter(response.response))
    until_it_stands_still(lambda: upstream.sent)
    assert 0 < upstream.sent < 300
    assert response.text.count("x" * 100_000) >= 299


def test_a_client_that_goes_frees_the_server_by_either_way(
    make_client: MakeClient, real: type[Any], upstream: FakeUpstream
) -> None:
    del real
    upstream.gap, upstream.repeat = 0.1, 100
    response = chat(make_client(FREE), stream=True)
    assert upstream.open_streams == 1
    response.close()
    until(lambda: upstream.open_streams == 0)


@pytest.mark.parametrize(
    ("name", "key", "url", "authorization"),
    [
        ("LLM7", "", "https://api.llm7.io/v1", b""),
        ("LLM7", "own-key", "https://api.llm7.io/v1", b"own-key"),
        # Keys for g4f's own servers go nowhere else.
        ("LLM7", "g4f_key", "https://api.llm7.io/v1", b""),
        ("OpenRouter", "own-key", "https://openrouter.ai/api/v1", b"own-key"),
        ("Groq", "", "https://g4f.space/api/groq", b""),
        ("Groq", "own-key", "https://api.groq.com/openai/v1", b"own-key"),
        ("Groq", "g4f_key", "https://g4f.space/api/groq", b"g4f_key"),
    ],
)
def test_where_a_class_says_its_server_is(
    name: str, key: str, url: str, authorization: bytes
) -> None:
    server = server_of(g4f.load_class(name), key, None)
    assert server
    assert str(server.url) == url
    assert (b"Authorization" in server._head) == bool(authorization)
    assert authorization in server._head


@pytest.mark.parametrize(
    "name", ["Yqcloud", "TeachAnything", "DeepInfra", "Ollama", "OpenRouter", "You"]
)
def test_other_classes_have_code_of_their_own_or_no_server(name: str) -> None:
    assert server_of(g4f.load_class(name), "", None) is None


@pytest.mark.parametrize("change", [{"needs_auth": True}, {"image_models": ["m"]}, {"ssl": True}])
def test_what_the_template_does_for_some_is_left_to_it(change: Mapping[str, Any]) -> None:
    found = g4f.load_class("Custom")
    assert server_of(found, "", None)
    assert server_of(type("Changed", (found,), dict(change)), "", None) is None
