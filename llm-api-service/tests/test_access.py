"""Who may ask, what, and how much."""

from __future__ import annotations

import time
import uuid
from typing import Any

import pytest
from conftest import MakeClient, provider, state_of
from fake_upstream import FakeUpstream
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from llm_api.access import _duration
from llm_api.state import UsageEntry

BODY: dict[str, Any] = {"messages": [{"role": "user", "content": "Hi"}]}


def chat(client: FlaskClient, secret: str = "", **more: Any) -> TestResponse:
    headers = {"Authorization": f"Bearer {secret}"} if secret else {}
    return client.post("/v1/chat/completions", json=BODY | more, headers=headers)


def code(response: TestResponse) -> str:
    return str(response.get_json()["error"]["code"])


@pytest.fixture
def private(make_client: MakeClient, upstream: FakeUpstream, second: FakeUpstream) -> FlaskClient:
    other = provider("other", second, models=("m", "n"))
    return make_client(provider("first", upstream), other, private_mode=True)


def test_a_private_service_wants_a_token(private: FlaskClient) -> None:
    own = str(uuid.uuid4())
    _, secret = state_of(private).tokens.create("own", secret=own)
    for response in (chat(private), chat(private, "sk-wrong"), private.get("/v1/models")):
        assert response.status_code == 401
        assert response.headers["WWW-Authenticate"] == "Bearer"
        assert code(response) == "invalid_api_key"
    assert private.get("/?text=Hi").status_code == 401
    assert chat(private, secret).status_code == 200
    header = {"x-api-key": secret}
    assert private.post("/v1/chat/completions", json=BODY, headers=header).status_code == 200
    assert private.get(f"/?text=Hi&token={secret}").status_code == 200
    both = {"Authorization": "Bearer none", "x-api-key": secret}
    assert private.get("/v1/models", headers=both).status_code == 200
    for path in ("/health/live", "/health/ready", "/openapi.json", "/docs"):
        assert private.get(path).status_code == 200
    assert private.get("/nowhere").status_code == 404


def test_messages_have_errors_of_their_protocol(private: FlaskClient) -> None:
    response = private.post("/v1/messages", json={})
    assert response.status_code == 401
    assert response.get_json()["error"]["type"] == "authentication_error"


def test_tokens_end(private: FlaskClient) -> None:
    tokens = state_of(private).tokens
    token, secret = tokens.create("t")
    _, late = tokens.create("late", expires=time.time() - 1)
    assert chat(private, late).status_code == 401
    assert chat(private, secret).status_code == 200
    tokens.revoke(token.id)
    assert chat(private, secret).status_code == 401


def test_tokens_for_some_models_and_providers(private: FlaskClient) -> None:
    tokens = state_of(private).tokens
    _, secret = tokens.create("model", models=["n"])
    assert chat(private, secret, model="n").status_code == 200
    refused = chat(private, secret, model="m")
    assert (refused.status_code, code(refused)) == (403, "model_not_allowed")
    # m is every provider's default.
    assert chat(private, secret).status_code == 403
    assert chat(private, secret, model="gone").status_code == 404
    _, secret = tokens.create("provider", providers=["other"])
    assert chat(private, secret, model="m").headers["X-Provider"] == "other"


def test_an_open_service_ignores_tokens_that_it_does_not_know(client: FlaskClient) -> None:
    assert chat(client).status_code == 200
    assert chat(client, "sk-none").status_code == 200


def test_private_mode_can_be_switched(client: FlaskClient) -> None:
    state_of(client).change_settings({"private_mode": True})
    assert chat(client).status_code == 401
    state_of(client).reset_settings(["private_mode"])
    assert chat(client).status_code == 200


def test_requests_per_minute(client: FlaskClient) -> None:
    state = state_of(client)
    state.admissions._clock = lambda: 1_800_000_010.0
    _, secret = state.tokens.create("t", requests_per_minute=2)
    answers = [chat(client, secret) for _ in range(3)]
    assert [a.status_code for a in answers] == [200, 200, 429]
    names = ("limit", "remaining", "reset")
    said = [[a.headers[f"x-ratelimit-{name}-requests"] for name in names] for a in answers]
    assert said == [["2", "1", "50s"], ["2", "0", "50s"], ["2", "0", "50s"]]
    assert answers[2].headers["Retry-After"] == "50"
    assert code(answers[2]) == "rate_limit_exceeded"
    header = {"Authorization": f"Bearer {secret}"}
    assert client.get("/v1/models", headers=header).status_code == 200
    assert chat(client).status_code == 200


def test_tokens_per_day(client: FlaskClient) -> None:
    state = state_of(client)
    token, secret = state.tokens.create("t", tokens_per_day=1000)
    answer = chat(client, secret)
    assert answer.headers["x-ratelimit-limit-tokens"] == "1000"
    assert answer.headers["x-ratelimit-remaining-tokens"] == "1000"
    state.usage.note(UsageEntry(token.id, "m", "p", 200, 500, 600, 1, 1))
    answer = chat(client, secret)
    assert answer.status_code == 429
    assert answer.headers["x-ratelimit-remaining-tokens"] == "0"
    # Whether it has been written by then, or is being written.
    end = time.monotonic() + 3
    while time.monotonic() < end:
        assert chat(client, secret).status_code == 429


@pytest.mark.parametrize("stream", [False, True])
def test_usage_is_noted(client: FlaskClient, upstream: FakeUpstream, stream: bool) -> None:
    state = state_of(client)
    token, secret = state.tokens.create("t")
    with chat(client, secret, stream=stream) as answer:
        assert answer.get_data()
    upstream.status = 500
    assert chat(client, secret).status_code == 504
    failed, good = state.usage.totals()
    assert (failed.token_id, failed.model, failed.provider) == (token.id, "", "")
    assert (failed.requests, failed.failed) == (1, 1)
    assert (good.token_id, good.model, good.provider) == (token.id, "m", "first")
    assert (good.requests, good.failed) == (1, 0)
    assert good.prompt_tokens > 0
    assert good.completion_tokens > 0
    assert 0 < good.first_byte_seconds <= good.seconds


def test_durations_are_written_as_openai_does() -> None:
    assert [_duration(s) for s in (0.2, 59.5, 360, 3600, 86_399)] == [
        "1s",
        "1m0s",
        "6m0s",
        "1h0m0s",
        "23h59m59s",
    ]
