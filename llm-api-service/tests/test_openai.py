"""OpenAI's protocol, in front of one provider that behaves."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from conftest import MakeClient, provider, until, until_it_stands_still
from fake_upstream import EVENTS, FakeUpstream
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from llm_api.chat_request import CHAT, parse
from llm_api.checks import MAX_DEPTH
from llm_api.errors import ApiError
from llm_api.providers import sse

EVERYTHING = 200_000
MESSAGES = [{"role": "user", "content": "Hi"}]


def dumps(value: object) -> bytes:
    return json.dumps(value).encode()


def chat(client: FlaskClient, **body: Any) -> TestResponse:
    return client.post("/v1/chat/completions", json={"messages": MESSAGES, **body})


def test_an_answer_passes_as_it_is(client: FlaskClient) -> None:
    response = chat(client, model="m")
    assert response.status_code == 200
    assert response.get_json()["choices"][0]["message"]["content"] == "Hello"
    assert response.headers["X-Provider"] == "first"


def test_a_stream_passes_byte_for_byte(client: FlaskClient) -> None:
    response = chat(client, model="m", stream=True)
    assert response.data == b"".join(EVENTS)
    assert response.mimetype == "text/event-stream"
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["X-Accel-Buffering"] == "no"


def test_every_parameter_reaches_the_provider(client: FlaskClient, upstream: FakeUpstream) -> None:
    body = {
        "model": "m",
        "messages": [{"role": "developer", "content": [{"type": "text", "text": "Hi"}]}],
        "tools": [{"type": "function", "function": {"name": "f"}}],
        "response_format": {"type": "json_object"},
        "seed": 7,
        "logit_bias": {"1": 2},
        "something_new": [1, None],
    }
    data = json.dumps(body, indent=1).encode()
    assert client.post("/v1/chat/completions", data=data).status_code == 200
    assert upstream.requests == [data]


def test_a_request_without_a_model_gets_the_default(
    make_client: MakeClient, upstream: FakeUpstream
) -> None:
    client = make_client(provider("first", upstream, models=("m", "other")), model="other")
    chat(client)
    chat(client, model="auto")
    chat(client, model="m")
    assert [json.loads(raw)["model"] for raw in upstream.requests] == ["other", "other", "m"]


def test_a_request_without_a_model_where_there_is_no_default(
    make_client: MakeClient, upstream: FakeUpstream
) -> None:
    client = make_client(provider("first", upstream, models=()))
    assert chat(client, model="anything").status_code == 200
    response = chat(client)
    assert response.status_code == 400
    assert response.get_json()["error"]["code"] == "model_required"


def test_the_system_prompt_is_added_where_there_is_none(
    make_client: MakeClient, upstream: FakeUpstream
) -> None:
    client = make_client(provider("first", upstream), system_prompt="Be brief.")
    chat(client)
    chat(client, messages=[{"role": "system", "content": "Mine"}, *MESSAGES])
    sent = [json.loads(raw)["messages"][0]["content"] for raw in upstream.requests]
    assert sent == ["Be brief.", "Mine"]


def test_the_key_goes_to_the_provider_and_the_clients_key_does_not(
    make_client: MakeClient, upstream: FakeUpstream
) -> None:
    client = make_client(provider("first", upstream, api_key="ours"))
    headers = {"Authorization": "Bearer theirs"}
    client.post("/v1/chat/completions", json={"messages": MESSAGES}, headers=headers)
    assert upstream.headers[0]["Authorization"] == "Bearer ours"


BAD = [
    ({"messages": []}, "messages"),
    ({"messages": "Hi"}, "messages"),
    ({"messages": [3]}, "messages[0]"),
    ({"messages": [{"role": "king", "content": "Hi"}]}, "messages[0].role"),
    ({"messages": [{"role": "user"}]}, "messages[0].content"),
    ({"messages": [{"role": "user", "content": ["Hi"]}]}, "messages[0].content[0]"),
    ({"messages": [{"role": "assistant", "content": None}]}, "messages[0].content"),
    ({"model": 3}, "model"),
    ({"stream_options": []}, "stream_options"),
    ({"stream": "yes"}, "stream"),
    ({"messages": None}, "messages"),
    ({"messages": [{"content": "Hi"}]}, "messages[0].role"),
    ({"messages": [{"role": [], "content": "Hi"}]}, "messages[0].role"),
    ({"messages": [{"role": "user", "content": []}]}, "messages[0].content"),
    ({"messages": [{"role": "user", "content": "Hi", "name": 3}]}, "messages[0].name"),
    (
        {"messages": [{"role": "user", "content": [{"type": "text"}]}]},
        "messages[0].content[0].text",
    ),
    ({"tools": {}}, "tools"),
    ({"tools": ["f"]}, "tools[0]"),
    ({"tools": [{"type": "function", "function": {}}]}, "tools[0].function.name"),
    ({"tool_choice": 3}, "tool_choice"),
    ({"tool_choice": {"function": {"name": "f"}}}, "tool_choice.type"),
    ({"stop": 3}, "stop"),
    ({"stop": list("abcde")}, "stop"),
    ({"stop": ["a", 3]}, "stop[1]"),
    ({"response_format": "json_object"}, "response_format"),
    ({"response_format": {}}, "response_format.type"),
    (
        {"response_format": {"type": "json_schema", "json_schema": []}},
        "response_format.json_schema",
    ),
    ({"seed": 1.5}, "seed"),
    ({"seed": 2**64}, "seed"),
    ({"logit_bias": [1]}, "logit_bias"),
    ({"logit_bias": {"5": "much"}}, "logit_bias.5"),
    ({"logprobs": 3}, "logprobs"),
    ({"metadata": {"a": 1}}, "metadata.a"),
    ({"user": {}}, "user"),
    ({"stream_options": {"include_usage": "yes"}}, "stream_options.include_usage"),
    ({"temperature": 3}, "temperature"),
    ({"temperature": "hot"}, "temperature"),
    ({"top_p": -1}, "top_p"),
    ({"n": 0}, "n"),
    ({"n": True}, "n"),
    ({"max_tokens": -5}, "max_tokens"),
    ({"max_completion_tokens": 1.5}, "max_completion_tokens"),
]


@pytest.mark.parametrize(("body", "param"), BAD)
def test_a_bad_parameter_is_named(
    client: FlaskClient, upstream: FakeUpstream, body: dict[str, Any], param: str
) -> None:
    response = chat(client, **body)
    assert response.status_code == 400
    error = response.get_json()["error"]
    assert error["param"] == param
    assert error["type"] == "invalid_request_error"
    assert error["message"].startswith(param)
    assert upstream.requests == []


def nested(depth: int) -> bytes:
    """Return a good request with a parameter that has `depth` levels."""
    deep = "[" * depth + "]" * depth
    return b'{"messages": %s, "x": %s}' % (json.dumps(MESSAGES).encode(), deep.encode())


def test_a_tool_call_may_stand_for_a_content(client: FlaskClient) -> None:
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    assert chat(client, messages=[*MESSAGES, message]).status_code == 200


def test_control_characters_are_text(client: FlaskClient, upstream: FakeUpstream) -> None:
    odd = "\x00\x07\u202e\ud800"
    assert chat(client, messages=[{"role": "user", "content": odd}]).status_code == 200
    assert json.loads(upstream.requests[0])["messages"][0]["content"] == odd


def test_nesting_has_a_limit(client: FlaskClient, upstream: FakeUpstream) -> None:
    many: dict[str, Any] = {"x": [[]] * 1000}
    assert chat(client, **many).status_code == 200
    good = client.post("/v1/chat/completions", data=nested(MAX_DEPTH - 1))
    assert good.status_code == 200
    bad = client.post("/v1/chat/completions", data=nested(MAX_DEPTH))
    assert bad.status_code == 400
    assert "levels" in bad.get_json()["error"]["message"]
    assert len(upstream.requests) == 2


FIELDS = ["type", "role", "content", "text", "function", "name", "url", "image_url", "id"]
NO_JSON = [
    b"",
    b"{",
    b"[]",
    b'"x"',
    b"\xff\xfe",
    '{"messages": []}'.encode("utf-16"),
    b'{"x": NaN}',
    b'{"x": 1e999}',
    b"1" * 10_000,
    b"[" * 200_000,
]


@pytest.mark.parametrize("data", NO_JSON)
def test_a_body_that_is_no_json_object(client: FlaskClient, data: bytes) -> None:
    response = client.post("/v1/chat/completions", data=data)
    assert response.status_code == 400
    assert response.get_json()["error"]["code"] == "invalid_json"
    assert chat(client).status_code == 200


@given(st.binary() | st.recursive(st.none() | st.text() | st.integers(), st.lists).map(dumps))
def test_nothing_breaks_the_parser(data: bytes) -> None:
    with pytest.raises(ApiError) as caught:
        parse(data)
    assert caught.value.status == 400


PARTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner),
)


@given(st.dictionaries(st.sampled_from(sorted(CHAT)), PARTS), st.booleans())
def test_what_passes_is_kept(body: dict[str, Any], good: bool) -> None:
    body |= {"messages": MESSAGES} if good else {}
    try:
        data = json.dumps(body, allow_nan=False).encode()
    except ValueError:
        return
    with suppress(ApiError):
        asked = parse(data, model="d", system_prompt="Be brief.")
        sent = json.loads(asked.for_model("x"))
        assert sent.pop("messages")[-len(body["messages"]) :] == body["messages"]
        assert sent.pop("model") == "x"
        assert sent == {k: v for k, v in body.items() if k not in ("messages", "model")}


def test_an_unknown_model(client: FlaskClient) -> None:
    response = chat(client, model="gpt-4")
    assert response.status_code == 404
    error = response.get_json()["error"]
    assert (error["code"], error["param"]) == ("model_not_found", "model")
    assert "gpt-4" in error["message"]
    assert "m" in error["message"]


def test_other_errors_have_the_same_shape(make_client: MakeClient, upstream: FakeUpstream) -> None:
    client = make_client(provider("first", upstream), max_body_bytes=2048)
    answers = {
        404: client.get("/nowhere"),
        405: client.get("/v1/chat/completions"),
        413: client.post("/v1/chat/completions", data=b"x" * 4096),
    }
    for status, response in answers.items():
        assert response.status_code == status
        assert set(response.get_json()["error"]) == {"message", "type", "param", "code"}
    assert "POST" in answers[405].headers["Allow"]


def test_the_unexpected_tells_nothing(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("secret of the house")

    monkeypatch.setattr("llm_api.routes.models.current_service", fail)
    response = client.get("/v1/models")
    assert response.status_code == 500
    assert "secret" not in response.text
    assert "secret of the house" in caplog.text


def test_models(make_client: MakeClient, upstream: FakeUpstream, second: FakeUpstream) -> None:
    client = make_client(
        provider("first", upstream, models=("a", "b")),
        provider("other", second, models=("b", "c/d")),
    )
    listed = client.get("/v1/models").get_json()
    assert [(m["id"], m["owned_by"]) for m in listed["data"]] == [
        ("a", "first"),
        ("b", "first"),
        ("c/d", "other"),
    ]
    assert client.get("/v1/models/c/d").get_json()["owned_by"] == "other"
    assert client.get("/v1/models/x").get_json()["error"]["code"] == "model_not_found"
    assert client.get("/models").get_json() == ["a", "b", "c/d"]


def test_the_request_id_is_kept_or_made(client: FlaskClient) -> None:
    kept = client.get("/models", headers={"X-Request-ID": "client-id-1"})
    assert kept.headers["X-Request-ID"] == "client-id-1"
    for odd in ("short", "with space 123", "x" * 65):
        made = client.get("/models", headers={"X-Request-ID": odd})
        assert made.headers["X-Request-ID"] != odd
    assert client.get("/nowhere").headers["X-Request-ID"]


def test_a_header_has_a_limit(client: FlaskClient) -> None:
    assert client.get("/models", headers={"X-Long": "x" * 8192}).status_code == 200
    response = client.get("/models", headers={"X-Long": "x" * 9000, "X-Request-ID": "request-1"})
    assert response.status_code == 431
    assert "X-Long" in response.get_json()["error"]["message"]
    assert response.headers["X-Request-ID"] == "request-1"


def test_health(client: FlaskClient) -> None:
    assert client.get("/health/live").get_json() == {"status": "live"}
    assert client.get("/health/ready").get_json() == {"status": "ready"}


def test_a_client_that_goes_ends_the_stream_at_the_provider(
    client: FlaskClient, upstream: FakeUpstream
) -> None:
    upstream.gap, upstream.repeat = 0.05, 10_000
    response = chat(client, stream=True)
    next(iter(response.response))
    assert upstream.open_streams == 1
    response.close()
    until(lambda: upstream.open_streams == 0)


def test_closing_at_once_frees_everything(make_client: MakeClient, upstream: FakeUpstream) -> None:
    upstream.gap, upstream.repeat = 0.05, 10_000
    client = make_client(provider("first", upstream, max_concurrency=1), max_streams=1)
    for _ in range(20):
        chat(client, stream=True).close()
        until(lambda: upstream.open_streams == 0)
    upstream.gap, upstream.repeat = 0, 1
    assert until(lambda: chat(client).status_code == 200)


def test_a_silent_provider_does_not_mean_a_silent_stream(
    client: FlaskClient, upstream: FakeUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llm_api.asgi.MOMENT", 0.05)
    monkeypatch.setattr("llm_api.asgi.HEARTBEAT", 0.1)
    upstream.gap = 0.5
    data = chat(client, stream=True).data
    assert data.count(sse.HEARTBEAT) >= 3
    assert data.replace(sse.HEARTBEAT, b"") == b"".join(EVENTS)


def test_a_client_that_does_not_read_holds_the_provider_back(
    client: FlaskClient, upstream: FakeUpstream
) -> None:
    upstream.repeat = EVERYTHING
    response = chat(client, stream=True)
    next(iter(response.response))
    until_it_stands_still(lambda: upstream.sent)
    assert 0 < upstream.sent < EVERYTHING
    assert upstream.open_streams == 1
    response.close()
    until(lambda: upstream.open_streams == 0)


def test_a_client_that_never_reads_does_not_hold_the_provider_for_ever(
    client: FlaskClient, upstream: FakeUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llm_api.asgi.MOMENT", 0.05)
    monkeypatch.setattr("llm_api.asgi.STALL", 0.3)
    upstream.repeat = EVERYTHING
    response = chat(client, stream=True)
    until(lambda: upstream.sent)
    until(lambda: upstream.open_streams == 0)
    assert upstream.sent < EVERYTHING
    # Should it read after all, it does not take this for the end.
    data = response.data
    assert b"left unread" in data
    assert not data.endswith(sse.DONE)
    assert chat(client).status_code == 200


def test_more_answers_than_places(make_client: MakeClient, upstream: FakeUpstream) -> None:
    upstream.gap, upstream.repeat = 0.05, 10_000
    client = make_client(provider("first", upstream), max_streams=1)
    first = chat(client, stream=True)
    refused = chat(client)
    assert refused.status_code == 503
    assert refused.headers["Retry-After"] == "1"
    assert client.get("/health/ready").status_code == 200
    first.close()
    upstream.gap, upstream.repeat = 0, 1
    assert chat(client).status_code == 200
