"""The g4f adapter: what it makes of a provider's answer, and the traps of g4f that it avoids."""

from __future__ import annotations

import json
import os
import tempfile
import threading
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from conftest import MakeClient, provider
from fake_upstream import FakeUpstream
from flask.testing import FlaskClient
from test_openai import MESSAGES, chat

from llm_api.config import ConfigError, ProviderConfig
from llm_api.providers import g4f


class Reasoning:
    def __init__(self, text: str) -> None:
        self._text = text

    def __str__(self) -> str:
        return self._text


class Usage:
    def get_dict(self) -> dict[str, int]:
        return {"prompt_tokens": 3, "completion_tokens": 4, "cache": 9}


class FinishReason:
    reason = "length"


class FakeClass:
    """A provider class as g4f has them."""

    default_model = "default"
    models = ("default", "large")
    items: tuple[Any, ...] = ("He", "llo")
    error: Exception | None = None
    error_at = 0
    calls: list[dict[str, Any]]
    closed = 0

    @classmethod
    async def create_async_generator(cls, **arguments: Any) -> AsyncGenerator[Any, None]:
        cls.calls.append(arguments)
        try:
            for number, item in enumerate(cls.items):
                if cls.error and number == cls.error_at:
                    raise cls.error
                yield item
        finally:
            cls.closed += 1


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> type[FakeClass]:
    class Fresh(FakeClass):
        calls: list[dict[str, Any]] = []  # noqa: RUF012 (one for each test)

    monkeypatch.setattr(g4f, "load_class", lambda _name: Fresh)
    return Fresh


FREE = ProviderConfig(name="Free", adapter="g4f")


@pytest.fixture
def client(make_client: MakeClient, fake: type[FakeClass]) -> FlaskClient:
    del fake
    return make_client(FREE)


def events(text: str) -> list[dict[str, Any]]:
    lines = [line.removeprefix("data: ") for line in text.split("\n\n") if line]
    return [json.loads(line) for line in lines if line != "[DONE]"]


def test_an_answer(client: FlaskClient, fake: type[FakeClass]) -> None:
    fake.items = (Reasoning("Hm."), "He", "llo", Usage(), FinishReason())
    answer = chat(client).get_json()
    message = answer["choices"][0]["message"]
    assert message == {"role": "assistant", "content": "Hello", "reasoning_content": "Hm."}
    assert answer["choices"][0]["finish_reason"] == "length"
    assert answer["usage"] == {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
    assert answer["model"] == "default"


def test_a_stream(client: FlaskClient, fake: type[FakeClass]) -> None:
    fake.items = ("He", "", object(), "llo")
    response = chat(client, stream=True, stream_options={"include_usage": True})
    assert response.text.endswith("data: [DONE]\n\n")
    chunks = events(response.text)
    assert len({chunk["id"] for chunk in chunks}) == 1
    deltas = [choice["delta"] for chunk in chunks for choice in chunk["choices"]]
    assert deltas == [{"role": "assistant", "content": "He"}, {"content": "llo"}, {}]
    reasons = [choice["finish_reason"] for chunk in chunks for choice in chunk["choices"]]
    assert reasons == [None, None, "stop"]
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"]["total_tokens"] > 0
    assert "usage" not in chat(client, stream=True).text


def test_what_is_passed_on(client: FlaskClient, fake: type[FakeClass]) -> None:
    chat(client, model="large", temperature=0.5, max_tokens=9, stop=["x"], user="me", n=1)
    assert fake.calls[0] == {
        "model": "large",
        "messages": MESSAGES,
        "stream": True,
        "proxy": None,
        "temperature": 0.5,
        "max_tokens": 9,
        "stop": ["x"],
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [("seed", 1), ("response_format", {"type": "json_object"}), ("n", 2), ("tools", [{}])],
)
def test_a_parameter_that_would_be_dropped_is_refused(
    client: FlaskClient, fake: type[FakeClass], name: str, value: Any
) -> None:
    response = chat(client, **{name: value})
    assert response.status_code == 400
    assert response.get_json()["error"]["param"] == name
    assert fake.calls == []


def test_somebody_who_can_gets_such_a_parameter(
    make_client: MakeClient, fake: type[FakeClass], upstream: FakeUpstream
) -> None:
    client = make_client(FREE, provider("local", upstream, models=("default",)))
    assert chat(client, model="default").headers["X-Provider"] == "Free"
    assert chat(client, model="default", seed=1).headers["X-Provider"] == "local"
    assert len(fake.calls) == 1


@pytest.mark.parametrize(
    "error", [RuntimeError("no Chrome"), Exception("Error 429: slow down"), TimeoutError()]
)
def test_the_next_answers_for_one_that_fails(
    make_client: MakeClient, fake: type[FakeClass], upstream: FakeUpstream, error: Exception
) -> None:
    fake.error = error
    client = make_client(FREE, provider("local", upstream))
    for stream in (False, True):
        assert chat(client, stream=stream).headers["X-Provider"] == "local"
    assert fake.closed == 2


def test_an_empty_answer_is_none(client: FlaskClient, fake: type[FakeClass]) -> None:
    fake.items = (Usage(),)
    assert chat(client).get_json()["error"]["code"] == "provider_unavailable"


def test_a_bad_request_is_the_clients(client: FlaskClient, fake: type[FakeClass]) -> None:
    fake.error = Exception("Error 400: what?")
    response = chat(client)
    assert response.status_code == 400
    assert response.get_json()["error"]["type"] == "invalid_request_error"


def test_a_stream_that_breaks_ends_with_an_error(
    client: FlaskClient, fake: type[FakeClass]
) -> None:
    fake.error, fake.error_at = RuntimeError("gone"), 1
    text = chat(client, stream=True).text
    assert "He" in text
    assert events(text)[-1]["error"]["code"] == "provider_broke_off"
    assert "[DONE]" not in text
    assert chat(client).get_json()["error"]["code"] == "provider_unavailable"


def test_a_client_that_goes_ends_the_call(client: FlaskClient, fake: type[FakeClass]) -> None:
    fake.items = ("word",) * 10_000_000
    response = chat(client, stream=True)
    next(iter(response.response))
    response.close()
    client.get("/models")
    for _ in range(1000):
        if fake.closed:
            break
        threading.Event().wait(0.01)
    assert fake.closed == 1


def test_a_class_that_is_gone_is_left_out(
    make_client: MakeClient, upstream: FakeUpstream, caplog: pytest.LogCaptureFixture
) -> None:
    gone = ProviderConfig(name="NoSuchProvider", adapter="g4f")
    client = make_client(gone, provider("local", upstream))
    assert "NoSuchProvider" in caplog.text
    assert chat(client).headers["X-Provider"] == "local"
    with pytest.raises(ConfigError, match="leaves no provider"):
        make_client(gone)


# From here on with the real g4f: a class of its own template, in front of the fake upstream.


@pytest.fixture
def real(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, upstream: FakeUpstream) -> type[Any]:
    assert g4f.load_class("Pollinations").__name__ == "Pollinations"
    from g4f.Provider.template import OpenaiTemplate  # noqa: PLC0415 (after its home is set)

    class Real(OpenaiTemplate):  # type: ignore[misc]  # g4f carries no types
        base_url = upstream.url
        default_model = "m"
        models = ["m"]  # noqa: RUF012 (as the template has it)
        working = True
        needs_auth = False

    monkeypatch.setattr(g4f, "load_class", lambda _name: Real)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/nowhere")
    return Real


def test_the_real_thing_answers_and_writes_nothing(
    make_client: MakeClient, real: type[Any], upstream: FakeUpstream, tmp_path: Path
) -> None:
    del real
    client = make_client(FREE)
    assert chat(client, stream=True).text.endswith("data: [DONE]\n\n")
    assert chat(client).get_json()["choices"][0]["message"]["content"] == "Hello"
    assert len(upstream.requests) == 2
    assert list(tmp_path.iterdir()) == []
    home = Path(os.environ["G4F_CONFIG_DIR"])
    assert home.is_relative_to(tempfile.gettempdir())
    assert list(home.rglob("*.jsonl")) == []


def test_conversations_are_not_shared_between_users(
    make_client: MakeClient, real: type[Any], upstream: FakeUpstream
) -> None:
    del real
    client = make_client(FREE)
    system = {"role": "system", "content": "Be brief."}
    for name in ("alice", "bob"):
        chat(client, messages=[system, {"role": "user", "content": f"I am {name}."}])
    from g4f.tools import run_tools  # noqa: PLC0415 (after its home is set)

    assert "alice" not in upstream.requests[1].decode()
    assert not run_tools._conversation_cache


def test_more_than_twenty_streams_at_once(
    make_client: MakeClient, real: type[Any], upstream: FakeUpstream
) -> None:
    del real
    upstream.gap, upstream.repeat = 0.2, 20
    client = make_client(FREE)
    responses = [chat(client, stream=True) for _ in range(30)]
    assert upstream.open_streams == 30
    for response in responses:
        response.close()


def test_it_asks_for_no_newer_version(real: type[Any]) -> None:
    del real
    from g4f import debug  # noqa: PLC0415 (after its home is set)

    assert debug.version_check is False
