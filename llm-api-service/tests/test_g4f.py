"""The g4f adapter: what it makes of a provider's answer, and the traps of g4f that it avoids."""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import MakeClient, provider, until
from fake_upstream import FakeUpstream
from flask.testing import FlaskClient
from test_openai import chat

from llm_api.config import ConfigError, ProviderConfig
from llm_api.providers import g4f
from llm_api.providers.g4f.containment import LIVE_PROVIDERS, honoured_parameters, listed_models


class FakeClass:
    """A provider class as g4f has them."""

    default_model = "default"
    models = ("default", "large")
    items: tuple[Any, ...] = ("He", "llo")
    error: Exception | None = None
    error_at = 0
    silence = 0.0
    calls: list[dict[str, Any]]
    closed = 0

    @classmethod
    async def create_async_generator(
        cls,
        model: str,
        messages: list[Any],
        *,
        temperature: float | None = None,
        max_tokens: int | None = None,
        stop: list[str] | None = None,
        **more: Any,
    ) -> AsyncGenerator[Any, None]:
        given = {"temperature": temperature, "max_tokens": max_tokens, "stop": stop}
        cls.calls.append({"model": model, "messages": messages, **given, **more})
        try:
            if cls.silence:
                await asyncio.sleep(cls.silence)
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

    g4f.load_class("Pollinations")
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


def test_an_answer(client: FlaskClient, make_client: MakeClient, fake: type[FakeClass]) -> None:
    from g4f.providers import response  # noqa: PLC0415 (after its home is set)

    fake.items = (
        response.Reasoning("Hm."),
        response.Reasoning(status="Thought for a second"),
        "He",
        "llo",
        response.Sources([{"url": "https://a.example", "title": "A"}]),
        response.Usage(prompt_tokens=3, completion_tokens=4, cache=9),
        response.FinishReason("length"),
    )
    answer = chat(client).get_json()
    message = answer["choices"][0]["message"]
    assert message == {"role": "assistant", "content": "Hello", "reasoning_content": "Hm."}
    assert "a.example" in make_client(FREE, remove_sources=False).get("/?text=Hi").text
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
    assert {json.dumps(chunk["usage"]) for chunk in chunks[:-1]} == {"null"}
    assert "usage" not in chat(client, stream=True).text


def test_what_is_passed_on(make_client: MakeClient, fake: type[FakeClass]) -> None:
    client = make_client(FREE, egress_proxy="http://egress:3128")
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    messages = [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "name": "Ann", "content": parts},
    ]
    neutral = {"n": 1, "presence_penalty": 0, "logprobs": False, "seed": None, "user": "me"}
    chat(client, messages=messages, model="large", temperature=0, stop=["x"], **neutral)
    expected = {
        "model": "large",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "a\nb"},
        ],
        "proxy": "http://egress:3128",
        "stream": True,
        "temperature": 0,
        "max_tokens": None,
        "stop": ["x"],
    }
    assert fake.calls == [expected]
    chat(client, max_completion_tokens=9)
    assert fake.calls[1]["max_tokens"] == 9


IMAGE = [{"type": "image_url", "image_url": {"url": "https://a.example/b.png"}}]


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"seed": 1}, "seed"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"n": 2}, "n"),
        ({"tools": [{"type": "web_search"}]}, "tools"),
        ({"presence_penalty": 1}, "presence_penalty"),
        ({"logprobs": True}, "logprobs"),
        # This class does not know it.
        ({"top_p": 0.5}, "top_p"),
        ({"messages": [{"role": "user", "content": IMAGE}]}, "messages[0].content"),
        ({"messages": [{"role": "tool", "content": "42"}]}, "messages[0].role"),
    ],
)
def test_what_would_be_dropped_is_refused(
    client: FlaskClient, fake: type[FakeClass], body: dict[str, Any], param: str
) -> None:
    response = chat(client, **body)
    assert response.status_code == 400
    assert response.get_json()["error"]["param"] == param
    assert fake.calls == []


@pytest.mark.parametrize("stream", [False, True])
def test_silence_is_left_in_time(
    make_client: MakeClient, fake: type[FakeClass], upstream: FakeUpstream, stream: bool
) -> None:
    fake.silence = 30
    quick = replace(FREE, first_chunk_timeout=0.2)
    client = make_client(quick, provider("local", upstream))
    assert chat(client, stream=stream).headers["X-Provider"] == "local"
    assert fake.closed == 1


def test_the_models_of_a_class() -> None:
    class Listing:
        default_model = "b"
        models: Any = {"a": {}, "b": {}}  # noqa: RUF012 (as some classes have it)

    assert listed_models(Listing) == ("b", "a")
    assert listed_models(object) == ()


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
    fake.items = (object(), "")
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
    until(lambda: fake.closed == 1)


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


@pytest.fixture(params=["asked by its server's address", "asked by its own code"])
def real(
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    upstream: FakeUpstream,
) -> type[Any]:
    # One that is made of the template, which is changed only as such a class is loaded.
    assert g4f.load_class("Custom").__name__ == "Custom"
    from g4f.Provider.template import OpenaiTemplate  # noqa: PLC0415 (after its home is set)

    class Real(OpenaiTemplate):  # type: ignore[misc]  # g4f carries no types
        base_url = upstream.url
        default_model = "m"
        models = ["m"]  # noqa: RUF012 (as the template has it)
        working = True
        needs_auth = False

    class Own(Real):
        @classmethod
        def create_async_generator(cls, **given: Any) -> Any:
            return super().create_async_generator(**given)

    chosen = Own if "code" in request.param else Real
    monkeypatch.setattr(g4f, "load_class", lambda _name: chosen)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/nowhere")
    return chosen


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


def test_it_asks_its_home_for_nothing(real: type[Any]) -> None:
    del real
    from g4f import debug  # noqa: PLC0415 (after its home is set)
    from g4f.client.factory import AbstractClientFactory  # noqa: PLC0415 (the same)

    assert debug.version_check is False
    assert AbstractClientFactory._live_providers == LIVE_PROVIDERS


def test_no_list_of_models_is_fetched(
    make_client: MakeClient,
    real: type[Any],
    upstream: FakeUpstream,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fetch(*_: object, **__: object) -> None:
        raise AssertionError("a list of models was fetched")

    monkeypatch.setattr("requests.get", fetch)
    real.models = []
    real.model_aliases = {"nick": "name"}
    client = make_client(replace(FREE, models=("vendor/m", "m", "nick")))
    for model in ("m", "vendor/m", "nick"):
        assert chat(client, model=model).status_code == 200
    sent = [json.loads(raw)["model"] for raw in upstream.requests]
    assert sent == ["m", "vendor/m", "name"]


def test_what_a_class_honours(real: type[Any]) -> None:
    assert {"temperature", "top_p", "max_tokens", "stop"} <= honoured_parameters(real)

    class Passing(FakeClass):
        @classmethod
        def create_async_generator(cls, *_: Any, **more: Any) -> Any:
            return super().create_async_generator(**more)

    class Closed:
        @classmethod
        def create_async_generator(cls, model: str) -> str:
            return model

    assert "temperature" in honoured_parameters(Passing)
    assert honoured_parameters(Closed) == {"cls", "model"}
