"""What happens when a provider does not answer as it should."""

from __future__ import annotations

import json
import socket
from dataclasses import replace
from typing import Any

import pytest
from conftest import MakeClient, provider
from fake_upstream import EVENTS, FakeUpstream
from flask.testing import FlaskClient
from test_openai import chat

from llm_api.config import ProviderConfig
from llm_api.providers import sse
from llm_api.providers.breaker import COOLDOWN, MINIMUM, WINDOW, Breaker


@pytest.fixture
def dead() -> ProviderConfig:
    """A provider on a port where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    url = f"http://127.0.0.1:{port}/v1"
    return ProviderConfig(name="dead", adapter="openai", base_url=url, models=("m",))


@pytest.mark.parametrize("stream", [False, True])
def test_the_next_answers_for_a_dead_one(
    make_client: MakeClient, dead: ProviderConfig, upstream: FakeUpstream, stream: bool
) -> None:
    response = chat(make_client(dead, provider("live", upstream)), stream=stream)
    assert response.status_code == 200
    assert response.headers["X-Provider"] == "live"


@pytest.mark.parametrize("status", [302, 401, 402, 403, 408, 429, 500, 502, 503])
def test_the_next_answers_where_the_provider_is_at_fault(
    make_client: MakeClient, upstream: FakeUpstream, second: FakeUpstream, status: int
) -> None:
    upstream.status = status
    response = chat(make_client(provider("first", upstream), provider("other", second)))
    assert response.headers["X-Provider"] == "other"


@pytest.mark.parametrize("status", [400, 404, 409, 413, 415, 422])
def test_a_refused_request_is_not_tried_again(
    make_client: MakeClient, upstream: FakeUpstream, second: FakeUpstream, status: int
) -> None:
    upstream.status, upstream.body = status, b'{"error":{"message":"No."}}'
    response = chat(make_client(provider("first", upstream), provider("other", second)))
    assert (response.status_code, response.data) == (status, b'{"error":{"message":"No."}}')
    assert second.requests == []


@pytest.mark.parametrize("body", [b"<html>No.</html>", b'{"detail":"No."}', b"[" * 100_000])
def test_a_refusal_has_the_protocols_shape(
    client: FlaskClient, upstream: FakeUpstream, body: bytes
) -> None:
    upstream.status, upstream.body = 422, body
    response = chat(client)
    assert response.status_code == 422
    error = response.get_json()["error"]
    assert (error["code"], error["type"]) == ("provider_refused", "invalid_request_error")


def test_a_page_is_no_answer(
    make_client: MakeClient, upstream: FakeUpstream, second: FakeUpstream
) -> None:
    upstream.content_type = "text/html"
    client = make_client(provider("first", upstream), provider("other", second))
    assert chat(client, stream=True).headers["X-Provider"] == "other"


ERRORS = [
    (b'{"error":{"message":"Overloaded."}}', "status 502"),
    (b'{"error":"Overloaded.","choices":[]}', "status 502"),
    (b'{"error":{"message":"Slow down.","code":429}}', "status 429"),
    (b'{"detail":"What?"}', "without choices"),
    (b"null", "without choices"),
    (b"<html>", "without choices"),
]


@pytest.mark.parametrize(("body", "reason"), ERRORS)
def test_an_error_that_calls_itself_an_answer_is_none(
    client: FlaskClient, upstream: FakeUpstream, body: bytes, reason: str
) -> None:
    upstream.body = body
    response = chat(client)
    assert response.status_code == (429 if reason.endswith("429") else 504)
    assert reason in response.get_json()["error"]["message"]


def test_an_answer_may_speak_of_errors(client: FlaskClient, upstream: FakeUpstream) -> None:
    for body in (b'{"choices":[{"token":"error"}],"error":null}', b'{"choices":["\\"error\\""]}'):
        upstream.body = body
        assert chat(client).data == body


ERROR = b'data: {"error":{"message":"Overloaded."}}\n\n'


def test_a_stream_that_begins_with_an_error_is_none(
    make_client: MakeClient, upstream: FakeUpstream, second: FakeUpstream
) -> None:
    upstream.events = [b": wait\n\n", ERROR]
    client = make_client(provider("first", upstream), provider("other", second))
    assert chat(client, stream=True).headers["X-Provider"] == "other"
    upstream.events = [b'data: {"error":{"message":"No.","code":400}}\n\n']
    refused = chat(client, stream=True)
    assert (refused.status_code, refused.get_json()["error"]["message"]) == (400, "No.")


def test_an_error_in_a_stream_ends_it_once(client: FlaskClient, upstream: FakeUpstream) -> None:
    upstream.events, upstream.gap = [*EVENTS[:2], ERROR, sse.DONE], 0.05
    data = chat(client, stream=True).data
    assert data.startswith(EVENTS[0] + EVENTS[1])
    assert data.count(b'"error"') == 1
    assert b"provider_broke_off" in data
    assert b"[DONE]" not in data


def test_an_answer_that_is_not_what_was_asked_for_is_none(
    make_client: MakeClient, upstream: FakeUpstream, second: FakeUpstream
) -> None:
    upstream.content_type = "application/json"
    client = make_client(provider("first", upstream), provider("other", second))
    assert chat(client, stream=True).headers["X-Provider"] == "other"


def test_answers_have_a_limit(
    make_client: MakeClient,
    upstream: FakeUpstream,
    second: FakeUpstream,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("LARGEST_ANSWER", "LARGEST_EVENT"):
        monkeypatch.setattr(f"llm_api.providers.openai.{name}", 1000)
    client = make_client(provider("first", upstream), provider("other", second))
    long = b'data: {"choices":[' + b" " * 1000
    upstream.body = long
    assert chat(client).headers["X-Provider"] == "other"
    upstream.body = None
    for endless in ([long], [b": wait\n\n"] * 200):
        upstream.events = endless
        assert chat(client, stream=True).headers["X-Provider"] == "other"
    upstream.events, upstream.gap = [EVENTS[0], long], 0.05
    assert b"too large" in chat(client, stream=True).data


def test_a_provider_is_reached_through_the_proxy(
    make_client: MakeClient, upstream: FakeUpstream
) -> None:
    far = replace(provider("far", upstream), base_url="http://far.invalid/v1", via_egress=True)
    proxy = f"http://127.0.0.1:{upstream.port}"
    assert chat(make_client(far, egress_proxy=proxy)).status_code == 200
    assert upstream.headers[0]["Host"] == "far.invalid"
    direct = replace(far, via_egress=False)
    assert chat(make_client(direct, egress_proxy=proxy)).status_code == 504


def test_a_silent_provider_is_left_in_time(
    make_client: MakeClient, upstream: FakeUpstream, second: FakeUpstream
) -> None:
    upstream.silence = 30
    slow = provider("slow", upstream, first_chunk_timeout=0.2)
    response = chat(make_client(slow, provider("other", second)), stream=True)
    assert response.headers["X-Provider"] == "other"


def test_a_stream_that_breaks_ends_with_an_error(
    make_client: MakeClient, upstream: FakeUpstream, second: FakeUpstream
) -> None:
    upstream.break_after, upstream.split = 2, 7
    text = chat(make_client(provider("first", upstream), provider("o", second)), stream=True).data
    assert text.startswith(EVENTS[0] + EVENTS[1] + b"data: {")
    last = text.strip().split(b"\n\n")[-1]
    assert json.loads(last.removeprefix(b"data: "))["error"]["code"] == "provider_broke_off"
    assert b"[DONE]" not in text
    assert second.requests == []


def test_a_stream_beyond_its_deadline_ends_with_an_error(
    make_client: MakeClient, upstream: FakeUpstream
) -> None:
    upstream.gap, upstream.repeat = 0.1, 10_000
    text = chat(make_client(provider("first", upstream, deadline=0.5)), stream=True).text
    assert "deadline" in text
    assert "[DONE]" not in text


def test_nobody_answers(make_client: MakeClient, dead: ProviderConfig) -> None:
    response = chat(make_client(dead))
    assert response.status_code == 504
    error = response.get_json()["error"]
    assert error["code"] == "provider_unavailable"
    assert "dead: no connection" in error["message"]
    assert response.headers["Retry-After"]


def test_everybody_is_busy(
    make_client: MakeClient, upstream: FakeUpstream, second: FakeUpstream
) -> None:
    upstream.gap, upstream.repeat = 0.05, 10_000
    second.status = 429
    first = provider("first", upstream, max_concurrency=1)
    client = make_client(first, provider("other", second))
    held = chat(client, stream=True)
    response = chat(client)
    assert response.status_code == 429
    assert response.get_json()["error"]["type"] == "rate_limit_error"
    assert response.headers["Retry-After"]
    held.close()


def test_a_model_is_asked_only_where_it_is(
    make_client: MakeClient, upstream: FakeUpstream, second: FakeUpstream
) -> None:
    client = make_client(provider("first", upstream), provider("other", second, models=("n",)))
    assert chat(client, model="n").headers["X-Provider"] == "other"
    assert upstream.requests == []


def test_the_configured_order_decides(
    make_client: MakeClient, upstream: FakeUpstream, second: FakeUpstream
) -> None:
    providers = (provider("first", upstream), provider("other", second))
    for order, answering in (
        ("Auto", "first"),
        ("You", "first"),
        ("other", "other"),
        ("other, first", "other"),
    ):
        client = make_client(*providers, provider=order)
        assert chat(client).headers["X-Provider"] == answering


def test_a_provider_that_keeps_failing_is_left_alone(
    make_client: MakeClient, upstream: FakeUpstream, second: FakeUpstream
) -> None:
    upstream.status = 500
    client = make_client(provider("first", upstream), provider("other", second))
    for _ in range(MINIMUM + 3):
        assert chat(client).headers["X-Provider"] == "other"
    assert len(upstream.requests) == MINIMUM


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def opened(clock: Clock) -> Breaker:
    breaker = Breaker(clock)
    for _ in range(MINIMUM):
        assert breaker.allow()
        breaker.failed()
    assert breaker.state == "open"
    return breaker


def test_an_open_breaker_lets_one_probe_through(clock: Clock) -> None:
    breaker = opened(clock)
    assert not breaker.allow()
    clock.now += COOLDOWN
    assert breaker.state == "half_open"
    assert [breaker.allow(), breaker.allow()] == [True, False]
    breaker.succeeded()
    assert breaker.state == "closed"
    assert breaker.allow()


def test_a_failed_probe_opens_it_again(clock: Clock) -> None:
    breaker = opened(clock)
    clock.now += COOLDOWN
    assert breaker.allow()
    breaker.failed()
    assert breaker.state == "open"
    clock.now += COOLDOWN
    assert breaker.allow()
    breaker.abandoned()
    assert breaker.allow()


def test_old_failures_and_few_failures_do_not_count(clock: Clock) -> None:
    breaker = Breaker(clock)
    for _ in range(MINIMUM - 1):
        breaker.failed()
    clock.now += WINDOW + 1
    breaker.failed()
    assert breaker.state == "closed"
    outcomes: list[Any] = [breaker.succeeded] * MINIMUM + [breaker.failed]
    for outcome in outcomes:
        outcome()
    assert breaker.state == "closed"
