"""How the providers do, as the operator sees it."""

from __future__ import annotations

import time
from typing import Any

import pytest
from conftest import MakeClient, provider, until
from fake_upstream import FakeUpstream
from flask.testing import FlaskClient
from test_openai import chat
from test_pool import service_of

from llm_api.config import ProviderConfig
from llm_api.providers.breaker import MINIMUM
from llm_api.providers.health import SAMPLES, WINDOW, Health


def status_of(client: FlaskClient, name: str = "first") -> dict[str, Any]:
    listed = client.get("/v1/providers").get_json()
    assert listed["object"] == "list"
    return next(each for each in listed["data"] if each["name"] == name)


def test_a_provider_that_nobody_has_asked(client: FlaskClient) -> None:
    assert status_of(client) == {
        "name": "first",
        "adapter": "openai",
        "state": "available",
        "models": ["m"],
        "under_way": 0,
        "requests": 0,
        "success_rate": None,
        "first_byte_seconds": None,
        "last_error": "",
        "last_error_at": None,
    }


def test_requests_are_counted_when_they_end(client: FlaskClient, upstream: FakeUpstream) -> None:
    upstream.gap, upstream.silence = 0.05, 0.2
    held = chat(client, stream=True)
    assert (status_of(client)["under_way"], status_of(client)["requests"]) == (1, 0)
    held.close()
    until(lambda: status_of(client)["requests"] == 1)
    status = status_of(client)
    assert (status["under_way"], status["success_rate"]) == (0, 1.0)
    assert 0.2 <= status["first_byte_seconds"] < 2


def test_failures_are_told_until_they_are_old(client: FlaskClient, upstream: FakeUpstream) -> None:
    begun = time.time()
    chat(client)
    upstream.break_after = 1
    chat(client, stream=True).close()
    upstream.status = 500
    chat(client)
    until(lambda: status_of(client)["requests"] == 3)
    status = status_of(client)
    assert status["success_rate"] in (pytest.approx(1 / 3), pytest.approx(2 / 3))
    assert status["last_error"] == "status 500"
    assert begun <= status["last_error_at"] <= time.time()
    # What the client did wrong is no failure of the provider.
    upstream.status = 400
    chat(client)
    assert status_of(client)["last_error"] == "status 500"
    assert status_of(client)["success_rate"] >= 0.5


def test_one_that_is_left_alone_is_failing(client: FlaskClient, upstream: FakeUpstream) -> None:
    upstream.status = 500
    for _ in range(MINIMUM):
        chat(client)
    assert status_of(client)["state"] == "failing"


def test_who_is_left_out_is_listed_with_the_reason(
    make_client: MakeClient, upstream: FakeUpstream, caplog: pytest.LogCaptureFixture
) -> None:
    gone = ProviderConfig(name="NoSuchProvider", adapter="g4f")
    client = make_client(gone, provider("first", upstream))
    status = status_of(client, "NoSuchProvider")
    assert status["state"] == "off"
    assert "no usable provider NoSuchProvider" in status["last_error"]
    client = make_client(gone, provider("first", upstream), third_parties=False)
    assert "third parties" in status_of(client, "NoSuchProvider")["last_error"]
    assert "NoSuchProvider left out: third parties are off" in caplog.text


def test_no_secret_is_told(make_client: MakeClient, upstream: FakeUpstream) -> None:
    first = provider("first", upstream, api_key="canary")
    url = first.base_url.replace("http://", "http://canary:canary@")
    client = make_client(ProviderConfig(**{**vars(first), "base_url": url}))
    upstream.status = 500
    chat(client)
    text = client.get("/v1/providers").text
    assert "first" in text
    assert "canary" not in text
    assert "127.0.0.1" not in text


def test_private_mode_asks_for_a_token(make_client: MakeClient, upstream: FakeUpstream) -> None:
    client = make_client(provider("first", upstream), private_mode=True)
    assert client.get("/v1/providers").status_code == 401
    _, secret = service_of(client).state.tokens.create("t")
    assert client.get("/v1/providers", headers={"x-api-key": secret}).status_code == 200


class Clock:
    now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


def test_the_window_moves_and_does_not_grow() -> None:
    clock = Clock()
    health = Health(clock)
    health.failed("gone")
    for number in range(20_000):
        clock.now += 0.1
        health.began(number)
        health.answered()
    figures = health.figures()
    assert (figures.success_rate, figures.last_error, figures.last_error_at) == (1, "", None)
    assert WINDOW * 10 * 0.95 <= figures.requests <= WINDOW * 10
    assert figures.first_byte_seconds == 20_000 - SAMPLES / 2 - 0.5
    assert len(health._slices) <= WINDOW / 10
    assert len(health._first_bytes) == SAMPLES
    clock.now += WINDOW + 1
    assert health.figures().requests == 0
    assert health.figures().first_byte_seconds is None


MESSAGES = [{"role": "user", "content": "Hi"}]


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("/v1/chat/completions", {"messages": MESSAGES}),
        ("/v1/completions", {"prompt": "Hi"}),
        ("/v1/messages", {"messages": MESSAGES, "max_tokens": 5}),
        ("/v1/responses", {"input": "Hi"}),
    ],
)
@pytest.mark.parametrize(("status", "stream"), [(200, False), (200, True), (400, False)])
def test_every_answer_names_its_provider(
    client: FlaskClient,
    upstream: FakeUpstream,
    path: str,
    asked: dict[str, Any],
    *,
    status: int,
    stream: bool,
) -> None:
    upstream.status = status
    response = client.post(path, json={"model": "m", "stream": stream, **asked})
    assert response.status_code == status
    assert response.headers.getlist("X-Provider") == ["first"]
    response.close()


def test_the_old_protocol_names_its_provider_too(
    client: FlaskClient, upstream: FakeUpstream
) -> None:
    assert client.get("/?text=Hi").headers["X-Provider"] == "first"
    upstream.body = b'{"choices":[]}'
    broken = client.get("/?text=Hi")
    assert (broken.status_code, broken.headers["X-Provider"]) == (504, "first")
    upstream.body, upstream.status = None, 422
    assert client.get("/?text=Hi").headers["X-Provider"] == "first"


def test_nobodys_answer_names_nobody(client: FlaskClient, upstream: FakeUpstream) -> None:
    upstream.status = 500
    assert "X-Provider" not in chat(client).headers
    assert "X-Provider" not in chat(client, model="gone").headers
