"""What is no chat: completions, embeddings and images, by providers that have them or do not."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from conftest import MakeClient, provider
from fake_upstream import EVENTS, FakeUpstream
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st
from test_openai import dumps
from werkzeug.test import TestResponse

from llm_api.errors import ApiError
from llm_api.other_requests import parse_completion, parse_embeddings, parse_images
from llm_api.providers import sse

PATHS = {
    "completions": "/v1/completions",
    "embeddings": "/v1/embeddings",
    "images": "/v1/images/generations",
}
GOOD: dict[str, dict[str, Any]] = {
    "completions": {"model": "m", "prompt": "Hi"},
    "embeddings": {"model": "m", "input": ["a", "b"], "encoding_format": "base64"},
    "images": {"model": "m", "prompt": "A cat", "size": "512x512", "n": 2},
}


def post(client: FlaskClient, operation: str, **body: Any) -> TestResponse:
    return client.post(PATHS[operation], json={**GOOD[operation], **body})


@pytest.mark.parametrize("operation", ["embeddings", "images"])
def test_who_has_it_gets_it_as_it_is(
    make_client: MakeClient, upstream: FakeUpstream, second: FakeUpstream, operation: str
) -> None:
    other = provider("other", second, operations=("chat", operation))
    client = make_client(provider("first", upstream), other)
    data = json.dumps(GOOD[operation], indent=1).encode()
    response = client.post(PATHS[operation], data=data)
    assert response.status_code == 200
    assert response.headers["X-Provider"] == "other"
    assert response.get_json()["data"]
    assert (second.paths, second.requests) == ([PATHS[operation]], [data])
    assert upstream.requests == []


def test_a_provider_with_completions_is_asked_for_them(
    make_client: MakeClient, upstream: FakeUpstream
) -> None:
    client = make_client(provider("first", upstream, operations=("chat", "completions")))
    response = post(client, "completions", echo=True, prompt=["a", "b"])
    assert response.get_json()["choices"][0]["text"] == "Hello"
    assert upstream.paths == ["/v1/completions"]
    assert json.loads(upstream.requests[0])["echo"] is True


def test_a_completion_by_a_chat(make_client: MakeClient, upstream: FakeUpstream) -> None:
    client = make_client(provider("first", upstream), system_prompt="Be brief.", model="m")
    body = {"prompt": ["Hi"], "max_tokens": 5, "stop": ["x"], "echo": False, "best_of": 1}
    answer = client.post("/v1/completions", json=body).get_json()
    assert answer["object"] == "text_completion"
    choice = {"index": 0, "text": "Hello", "logprobs": None, "finish_reason": "stop"}
    assert answer["choices"] == [choice]
    assert answer["usage"]["total_tokens"] == 2
    assert json.loads(upstream.requests[0]) == {
        "model": "m",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hi"},
        ],
        "max_tokens": 5,
        "stop": ["x"],
    }


def test_a_completion_by_a_chat_as_a_stream(client: FlaskClient, upstream: FakeUpstream) -> None:
    usage = b'data: {"id":"x","choices":[],"usage":{"total_tokens":2}}\n\n'
    upstream.events = [b": hello\n\n", *EVENTS[:3], usage, sse.DONE]
    response = post(client, "completions", stream=True)
    assert response.mimetype == "text/event-stream"
    assert response.data.endswith(sse.DONE)
    parts = [json.loads(part) for part in list(sse.payloads(response.data))[:-1]]
    assert {part["object"] for part in parts} == {"text_completion"}
    choices = [choice for part in parts for choice in part["choices"]]
    assert [choice["text"] for choice in choices] == ["He", "llo", ""]
    assert [choice["finish_reason"] for choice in choices] == [None, None, "stop"]
    assert parts[-1]["usage"] == {"total_tokens": 2}


def test_a_broken_completion_by_a_chat(client: FlaskClient, upstream: FakeUpstream) -> None:
    upstream.break_after = 2
    text = post(client, "completions", stream=True).text
    assert "provider_broke_off" in text
    assert "[DONE]" not in text


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"echo": True}, "echo"),
        ({"suffix": "x"}, "suffix"),
        ({"logprobs": 0}, "logprobs"),
        ({"best_of": 2}, "best_of"),
        ({"prompt": ["a", "b"]}, "prompt"),
        ({"prompt": [1, 2]}, "prompt"),
        ({"prompt": [[1, 2]]}, "prompt"),
    ],
)
def test_what_a_chat_cannot_do_is_refused(
    client: FlaskClient, upstream: FakeUpstream, body: dict[str, Any], param: str
) -> None:
    response = post(client, "completions", **body)
    assert response.status_code == 400
    error = response.get_json()["error"]
    assert (error["code"], error["param"]) == ("unsupported_parameter", param)
    assert upstream.requests == []


@pytest.mark.parametrize("operation", ["embeddings", "images"])
def test_nobody_has_it(client: FlaskClient, upstream: FakeUpstream, operation: str) -> None:
    response = post(client, operation)
    assert response.status_code == 400
    error = response.get_json()["error"]
    assert error["code"] == "unsupported_operation"
    assert operation in error["message"]
    assert upstream.requests == []


def test_a_model_that_is_for_something_else(
    make_client: MakeClient, upstream: FakeUpstream, second: FakeUpstream
) -> None:
    embedder = provider("embedder", second, models=("e",), operations=("embeddings",))
    client = make_client(provider("first", upstream), embedder)
    assert post(client, "embeddings", model="e").headers["X-Provider"] == "embedder"
    # Its only operation makes its first model the default.
    assert post(client, "embeddings", model=None).headers["X-Provider"] == "embedder"
    error = post(client, "embeddings", model="m").get_json()["error"]
    assert (error["code"], error["param"]) == ("unsupported_operation", "model")
    assert "Available: e " in error["message"]
    assert post(client, "embeddings", model="nowhere").status_code == 404
    assert post(client, "completions", model="e").status_code == 400


def test_there_is_no_default_for_everything(
    make_client: MakeClient, upstream: FakeUpstream
) -> None:
    client = make_client(provider("first", upstream, operations=("chat", "embeddings")))
    error = post(client, "embeddings", model=None).get_json()["error"]
    assert (error["code"], error["param"]) == ("model_required", "model")


BAD = [
    ("completions", {"prompt": None}, "prompt"),
    ("completions", {"prompt": []}, "prompt"),
    ("completions", {"prompt": ["a", 1]}, "prompt[1]"),
    ("completions", {"prompt": [1, "a"]}, "prompt[1]"),
    ("completions", {"prompt": [[-1]]}, "prompt[0][0]"),
    ("completions", {"max_tokens": 0}, "max_tokens"),
    ("completions", {"logprobs": True}, "logprobs"),
    ("embeddings", {"input": None}, "input"),
    ("embeddings", {"input": {}}, "input"),
    ("embeddings", {"encoding_format": "hex"}, "encoding_format"),
    ("embeddings", {"dimensions": 0}, "dimensions"),
    ("images", {"prompt": None}, "prompt"),
    ("images", {"prompt": ""}, "prompt"),
    ("images", {"n": 11}, "n"),
    ("images", {"response_format": "png"}, "response_format"),
    ("images", {"stream": True}, "stream"),
]


@pytest.mark.parametrize(("operation", "body", "param"), BAD)
def test_a_bad_parameter_is_named(
    client: FlaskClient, operation: str, body: dict[str, Any], param: str
) -> None:
    response = post(client, operation, **body)
    assert response.status_code == 400
    assert response.get_json()["error"]["param"] == param


PARSERS = [parse_completion, parse_embeddings, parse_images]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
KNOWN = st.sampled_from(["model", "prompt", "input", "n", "stream", "logprobs", "size", "echo"])


@given(st.sampled_from(PARSERS), st.dictionaries(KNOWN, JSON).map(dumps) | st.binary())
def test_nothing_breaks_the_parsers(parse: Any, data: bytes) -> None:
    with suppress(ApiError):
        assert json.loads(parse(data).for_model("x"))["model"] == "x"
