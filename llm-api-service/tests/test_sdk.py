"""OpenAI's own client in front of the service: what it reads, and which exception it raises."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx2
import openai
import pytest
from conftest import MakeClient, provider
from fake_upstream import EVENTS, FakeUpstream
from flask.testing import FlaskClient

MESSAGES: Any = [{"role": "user", "content": "Hi"}]


def sdk(client: FlaskClient) -> openai.OpenAI:
    """Return OpenAI's client, which asks the application of `client` without a network."""
    http = httpx2.Client(transport=httpx2.WSGITransport(app=client.application))
    base = "http://service/v1"
    return openai.OpenAI(base_url=base, api_key="none", max_retries=0, http_client=http)


def test_a_chat(client: FlaskClient) -> None:
    answer = sdk(client).chat.completions.create(model="m", messages=MESSAGES)
    assert answer.choices[0].message.content == "Hello"
    assert answer._request_id


def test_a_stream(client: FlaskClient, upstream: FakeUpstream) -> None:
    usage = b'data: {"id":"x","object":"chat.completion.chunk","choices":[],'
    usage += b'"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}\n\n'
    upstream.events = [*EVENTS[:3], usage, EVENTS[3]]
    stream = sdk(client).chat.completions.create(
        model="m", messages=MESSAGES, stream=True, stream_options={"include_usage": True}
    )
    *chunks, last = stream
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "Hello"
    assert chunks[0].choices[0].delta.role == "assistant"
    assert last.usage
    assert (last.choices, last.usage.total_tokens) == ([], 3)


@pytest.mark.parametrize("brief", [False, True])
def test_a_stream_that_breaks_raises(
    client: FlaskClient, upstream: FakeUpstream, brief: bool
) -> None:
    error = b'data: {"error":{"message":"Overloaded."}}\n\n'
    upstream.events = EVENTS[:2] if brief else [*EVENTS[:2], error, EVENTS[3]]
    upstream.gap = 0.05
    stream = sdk(client).chat.completions.create(model="m", messages=MESSAGES, stream=True)
    read: list[object] = []
    with pytest.raises(openai.APIError, match="broke off"):
        read.extend(stream)
    assert len(read) == 2


def test_completions(client: FlaskClient) -> None:
    answer = sdk(client).completions.create(model="m", prompt="Hi", max_tokens=5)
    assert answer.choices[0].text == "Hello"
    parts = sdk(client).completions.create(model="m", prompt="Hi", stream=True)
    assert "".join(part.choices[0].text for part in parts) == "Hello"


def test_embeddings_and_images(make_client: MakeClient, upstream: FakeUpstream) -> None:
    client = sdk(make_client(provider("p", upstream, operations=("embeddings", "images"))))
    vectors = client.embeddings.create(model="m", input=["a"], encoding_format="float").data
    assert vectors[0].embedding == [0.5, -0.5]
    images = client.images.generate(model="m", prompt="A cat").data
    assert images
    assert images[0].url == "https://images.example/1.png"


REFUSALS: list[tuple[int, type[openai.APIStatusError]]] = [
    (400, openai.BadRequestError),
    (404, openai.NotFoundError),
    (409, openai.ConflictError),
    (422, openai.UnprocessableEntityError),
    (429, openai.RateLimitError),
    # These are about the service's account at the provider, not about the client's here.
    (401, openai.InternalServerError),
    (403, openai.InternalServerError),
    (500, openai.InternalServerError),
    (503, openai.InternalServerError),
]


@pytest.mark.parametrize(("status", "exception"), REFUSALS)
@pytest.mark.parametrize("stream", [False, True])
def test_what_a_provider_answers_is_raised(
    client: FlaskClient,
    upstream: FakeUpstream,
    status: int,
    exception: type[openai.APIStatusError],
    stream: bool,
) -> None:
    upstream.status = status
    with pytest.raises(exception) as raised:
        sdk(client).chat.completions.create(model="m", messages=MESSAGES, stream=stream)
    assert raised.value.request_id
    waits = status in (429, 401, 403, 500, 503)
    assert ("retry-after" in raised.value.response.headers) is waits


def test_what_the_service_refuses_is_raised(
    make_client: MakeClient, upstream: FakeUpstream
) -> None:
    client = sdk(make_client(provider("p", upstream), max_body_bytes=2048))

    def chat(**more: Any) -> Callable[[], object]:
        return lambda: client.chat.completions.create(
            **{"messages": MESSAGES, "model": "m", **more}
        )

    with pytest.raises(openai.BadRequestError) as bad:
        chat(temperature=9)()
    assert bad.value.param == "temperature"
    with pytest.raises(openai.NotFoundError) as unknown:
        chat(model="gpt-4")()
    assert unknown.value.code == "model_not_found"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("gpt-4")
    with pytest.raises(openai.APIStatusError) as large:
        chat(user="x" * 4096)()
    assert large.value.status_code == 413


def test_a_full_replica_says_when_to_come_again(
    make_client: MakeClient, upstream: FakeUpstream
) -> None:
    upstream.gap, upstream.repeat = 0.05, 10_000
    client = sdk(make_client(provider("p", upstream), max_streams=1))
    with (
        client.chat.completions.create(model="m", messages=MESSAGES, stream=True),
        pytest.raises(openai.InternalServerError) as full,
    ):
        client.chat.completions.create(model="m", messages=MESSAGES)
    assert (full.value.status_code, full.value.code) == (503, "too_many_streams")
    assert full.value.response.headers["Retry-After"] == "1"
