"""OpenAI's Responses, with OpenAI's own client."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest
from chat_events import CALLS, DONE, TEXT, THOUGHT, WHOLE_CALLS, delta, event, finish, whole
from conftest import MakeClient, provider, until
from fake_upstream import FakeUpstream
from flask.testing import FlaskClient
from pydantic import BaseModel
from test_sdk import sdk

from llm_api.providers import sse

TOOL: Any = {
    "type": "function",
    "name": "weather",
    "description": "Tells the weather.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    "strict": False,
}


def create(client: FlaskClient, **more: Any) -> Any:
    return sdk(client).responses.create(**{"model": "m", "input": "Hi", **more})


def sent(upstream: FakeUpstream) -> Any:
    return json.loads(upstream.requests[-1])


def refused(client: FlaskClient, **more: Any) -> Any:
    """Return the error that such a request is refused with."""
    response = client.post("/v1/responses", json={"model": "m", "input": "Hi", **more})
    assert response.status_code == 400
    return response.get_json()["error"]


def test_a_text(client: FlaskClient, upstream: FakeUpstream) -> None:
    answer = create(client, instructions="Be brief.", max_output_tokens=20, metadata={"a": "b"})
    assert answer.output_text == "Hello"
    assert (answer.status, answer.model, answer.store) == ("completed", "m", False)
    assert answer.metadata == {"a": "b"}
    assert answer.usage.total_tokens == 2
    assert answer._request_id
    assert sent(upstream) == {
        "model": "m",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hi"},
        ],
        "max_tokens": 20,
    }


def kinds(events: list[Any]) -> list[str]:
    return [event.type.removeprefix("response.") for event in events]


BEGIN = ["created", "in_progress"]
MESSAGE = ["output_item.added", "content_part.added"]
MESSAGE_DONE = ["output_text.done", "content_part.done", "output_item.done"]


def test_a_stream_of_text(client: FlaskClient, upstream: FakeUpstream) -> None:
    upstream.events = TEXT
    events = list(create(client, stream=True))
    said = ["output_text.delta"] * 2
    assert kinds(events) == [*BEGIN, *MESSAGE, *said, *MESSAGE_DONE, "completed"]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    answer = events[-1].response
    assert answer.output_text == "Hello"
    assert answer.usage.model_dump(exclude_none=True) == {
        "input_tokens": 7,
        "input_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 0},
        "output_tokens": 5,
        "output_tokens_details": {"reasoning_tokens": 2},
        "total_tokens": 12,
    }
    assert sent(upstream)["stream_options"] == {"include_usage": True}


def test_the_helper_for_streams(client: FlaskClient, upstream: FakeUpstream) -> None:
    upstream.events = CALLS
    with sdk(client).responses.stream(model="m", input="Hi", tools=[TOOL]) as stream:
        deltas = [e.delta for e in stream if e.type == "response.function_call_arguments.delta"]
        answer = stream.get_final_response()
    assert deltas == ['{"city":', ' "Oslo"}', "{}"]
    message, weather, time = answer.output
    assert message.type == "message"
    assert weather.type == time.type == "function_call"
    assert (weather.call_id, weather.name) == ("call_0", "weather")
    assert weather.arguments == '{"city": "Oslo"}'
    assert (time.call_id, time.arguments) == ("call_1", "{}")


def test_calls_as_a_whole(client: FlaskClient, upstream: FakeUpstream) -> None:
    upstream.body = whole({"content": None, "tool_calls": WHOLE_CALLS}, "tool_calls")
    answer = create(client, tools=[TOOL], tool_choice={"type": "function", "name": "weather"})
    assert [item.name for item in answer.output] == ["weather", "time"]
    assert answer.tools[0].name == "weather"
    function = {name: TOOL[name] for name in ("name", "description", "parameters", "strict")}
    assert sent(upstream)["tools"] == [{"type": "function", "function": function}]
    choice = {"type": "function", "function": {"name": "weather"}}
    assert sent(upstream)["tool_choice"] == choice


def test_reasoning(client: FlaskClient, upstream: FakeUpstream) -> None:
    upstream.events = THOUGHT
    events = list(create(client, stream=True, reasoning={"effort": "low", "summary": "auto"}))
    summary = "reasoning_summary"
    assert kinds(events)[2:9] == [
        "output_item.added",
        f"{summary}_part.added",
        f"{summary}_text.delta",
        f"{summary}_text.delta",
        f"{summary}_text.done",
        f"{summary}_part.done",
        "output_item.done",
    ]
    thought, message = events[-1].response.output
    assert thought.summary[0].text == "Hmm."
    assert message.content[0].text == "Hello"
    assert sent(upstream)["reasoning_effort"] == "low"


class City(BaseModel):
    name: str


def test_a_schema(client: FlaskClient, upstream: FakeUpstream) -> None:
    upstream.body = whole({"content": '{"name": "Oslo"}'})
    answer = sdk(client).responses.parse(model="m", input="Hi", text_format=City)
    assert answer.output_parsed == City(name="Oslo")
    asked = sent(upstream)["response_format"]
    assert asked["type"] == "json_schema"
    assert (asked["json_schema"]["name"], asked["json_schema"]["strict"]) == ("City", True)


def test_a_conversation(client: FlaskClient, upstream: FakeUpstream) -> None:
    upstream.body = whole({"reasoning": "Hm.", "content": "Aha.", "tool_calls": WHOLE_CALLS})
    output = [item.to_dict() for item in create(client, tools=[TOOL]).output]
    image = {"type": "input_image", "image_url": "https://images.example/1.png", "detail": "low"}
    sound = {"data": "aaaa", "format": "wav"}
    asked = [
        {"role": "developer", "content": [{"type": "input_text", "text": "Be brief."}]},
        {"role": "user", "content": [{"type": "input_text", "text": "What is this?"}, image]},
        {"role": "user", "content": [{"type": "input_audio", "input_audio": sound}]},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]},
        *output,
        {"type": "function_call_output", "call_id": "call_0", "output": "Sunny"},
        {
            "type": "function_call_output",
            "call_id": "call_1",
            "output": [{"type": "input_text", "text": "Noon"}],
        },
    ]
    create(client, input=asked)
    url = {"url": "https://images.example/1.png", "detail": "low"}
    parts = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": url}]
    assert sent(upstream)["messages"] == [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": parts},
        {"role": "user", "content": [{"type": "input_audio", "input_audio": sound}]},
        {"role": "assistant", "content": None, "refusal": "No."},
        {"role": "assistant", "content": "Aha.", "tool_calls": WHOLE_CALLS},
        {"role": "tool", "tool_call_id": "call_0", "content": "Sunny"},
        {"role": "tool", "tool_call_id": "call_1", "content": "Noon"},
    ]


def test_a_call_without_a_text(client: FlaskClient, upstream: FakeUpstream) -> None:
    item = {"type": "function_call", "call_id": "1", "name": "f", "arguments": "{}"}
    create(client, input=[{"role": "user", "content": "Hi"}, item])
    assert sent(upstream)["messages"][1]["content"] is None


def test_an_answer_that_was_cut_off(client: FlaskClient, upstream: FakeUpstream) -> None:
    upstream.events = [*TEXT[:3], finish("length"), DONE]
    last = list(create(client, stream=True))[-1]
    assert last.type == "response.incomplete"
    assert last.response.incomplete_details.reason == "max_output_tokens"
    assert last.response.output[0].status == "incomplete"
    upstream.body = whole({"content": ""}, "content_filter")
    answer = create(client)
    assert answer.status == "incomplete"
    assert answer.incomplete_details.reason == "content_filter"


def test_a_refusal(client: FlaskClient, upstream: FakeUpstream) -> None:
    upstream.events = [TEXT[1], delta(refusal="No"), delta(refusal="."), finish("stop"), DONE]
    events = list(create(client, stream=True))
    assert kinds(events)[4:10] == [
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "content_part.added",
        "refusal.delta",
        "refusal.delta",
    ]
    text, refusal = events[-1].response.output[0].content
    assert (text.text, refusal.refusal) == ("He", "No.")


@pytest.mark.parametrize("in_band", [False, True])
def test_a_provider_that_breaks_off(
    client: FlaskClient, upstream: FakeUpstream, in_band: bool
) -> None:
    error = event({"error": {"message": "Overloaded."}})
    upstream.events = [*TEXT[:3], error, DONE] if in_band else TEXT[:3]
    upstream.gap = 0.05
    events = list(create(client, stream=True))
    assert events[-1].type == "response.failed"
    answer = events[-1].response
    assert (answer.status, answer.error.code) == ("failed", "server_error")
    assert answer.output[0].status == "incomplete"
    assert answer.output_text == "Hello"


NO_ANSWERS = [b"{}", b"[]", b"no JSON", b'{"error": "x"}', b'{"choices": []}']
NAMELESS = whole({"tool_calls": [{"function": {"arguments": "{}"}}]})


@pytest.mark.parametrize("body", [*NO_ANSWERS, NAMELESS])
def test_an_answer_that_is_none(client: FlaskClient, upstream: FakeUpstream, body: bytes) -> None:
    upstream.body = body
    with pytest.raises(openai.InternalServerError) as raised:
        create(client)
    assert raised.value.status_code == 504
    assert raised.value.code == "provider_unavailable"


UNSUPPORTED: list[tuple[dict[str, Any], str]] = [
    ({"previous_response_id": "resp_1"}, "previous_response_id"),
    ({"store": True}, "store"),
    ({"background": True}, "background"),
    ({"conversation": "conv_1"}, "conversation"),
    ({"prompt": {"id": "1"}}, "prompt"),
    ({"include": ["reasoning.encrypted_content"]}, "include"),
    ({"truncation": "auto"}, "truncation"),
    ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
    ({"tools": [{**TOOL, "defer_loading": True}]}, "tools[0].defer_loading"),
    ({"input": [{"type": "item_reference", "id": "1"}]}, "input[0].type"),
    ({"reasoning": {"mode": "pro"}}, "reasoning.mode"),
    ({"top_logprobs": 3}, "top_logprobs"),
    (
        {"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "1"}]}]},
        "input[0].content[0].type",
    ),
    (
        {"input": [{"role": "user", "content": [{"type": "output_text", "text": "1"}]}]},
        "input[0].content[0].type",
    ),
]


@pytest.mark.parametrize(("more", "param"), UNSUPPORTED)
def test_what_cannot_be_honoured_is_refused(
    client: FlaskClient, upstream: FakeUpstream, more: dict[str, Any], param: str
) -> None:
    error = refused(client, **more)
    assert (error["param"], error["code"]) == (param, "unsupported_parameter")
    assert param in error["message"]
    assert upstream.requests == []


BAD: list[tuple[dict[str, Any], str]] = [
    ({"input": None}, "input"),
    ({"input": []}, "input"),
    ({"input": 3}, "input"),
    ({"input": [3]}, "input[0]"),
    ({"input": [{"type": 3}]}, "input[0].type"),
    ({"input": [{"role": "king", "content": "Hi"}]}, "input[0].role"),
    ({"input": [{"type": "reasoning", "summary": []}]}, "input"),
    ({"temperature": 3}, "temperature"),
    ({"max_output_tokens": 0}, "max_output_tokens"),
    ({"tools": [{"type": "function"}]}, "tools[0].name"),
    ({"tools": [{"name": "f"}]}, "tools[0].type"),
    ({"tool_choice": "required"}, "tool_choice"),
    ({"tool_choice": {"type": "function", "name": "f"}}, "tool_choice"),
    ({"text": {"format": {"type": "json_schema", "name": "x"}}}, "text.format.schema"),
    ({"stream": 1}, "stream"),
    ({"model": 1}, "model"),
]


@pytest.mark.parametrize(("more", "param"), BAD)
def test_a_bad_parameter_is_named(
    client: FlaskClient, upstream: FakeUpstream, more: dict[str, Any], param: str
) -> None:
    assert refused(client, **more)["param"] == param
    assert upstream.requests == []


def test_harmless_defaults(client: FlaskClient, upstream: FakeUpstream) -> None:
    defaults: dict[str, Any] = {
        "store": False,
        "background": False,
        "include": [],
        "truncation": "disabled",
        "service_tier": "auto",
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "previous_response_id": None,
        "text": {"format": {"type": "text"}, "verbosity": "medium"},
        "top_logprobs": 0,
        "stream_options": {"include_obfuscation": False},
    }
    assert create(client, **defaults).output_text == "Hello"
    assert set(sent(upstream)) == {"model", "messages"}


def test_what_a_provider_refuses(client: FlaskClient, upstream: FakeUpstream) -> None:
    upstream.status = 400
    error = {"message": "No schema.", "param": "response_format", "code": "unsupported_parameter"}
    upstream.body = json.dumps({"error": error}).encode()
    with pytest.raises(openai.BadRequestError) as raised:
        create(client, text={"format": {"type": "json_object"}})
    assert raised.value.param == "text.format"
    assert "No schema. Here, that is text.format." in str(raised.value)
    upstream.body = b'{"error": {"message": {}}}'
    with pytest.raises(openai.BadRequestError, match="refused"):
        create(client)


def test_errors_raise_the_right_exceptions(make_client: MakeClient, upstream: FakeUpstream) -> None:
    client = make_client(provider("p", upstream))
    with pytest.raises(openai.NotFoundError):
        create(client, model="gpt-4")
    for status, kind in ((429, openai.RateLimitError), (500, openai.InternalServerError)):
        upstream.status = status
        with pytest.raises(kind) as raised:
            create(client, stream=True)
        assert raised.value.response.headers["Retry-After"]


def test_the_newer_name_of_a_limit(client: FlaskClient, upstream: FakeUpstream) -> None:
    upstream.status = 400
    message = "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."
    error = {"message": message, "param": "max_tokens", "code": "unsupported_parameter"}
    upstream.body = json.dumps({"error": error}).encode()
    with pytest.raises(openai.BadRequestError) as raised:
        create(client, max_output_tokens=9)
    assert raised.value.param == "max_output_tokens"
    first, second = map(json.loads, upstream.requests)
    assert first["max_tokens"] == second["max_completion_tokens"] == 9
    assert "max_tokens" not in second


def test_a_client_that_goes_ends_the_stream_at_the_provider(
    client: FlaskClient, upstream: FakeUpstream
) -> None:
    upstream.gap, upstream.repeat = 0.05, 10_000
    for read in (0, 3):
        response = client.post("/v1/responses", json={"input": "Hi", "stream": True})
        for _ in range(read):
            next(iter(response.response))
        response.close()
        until(lambda: upstream.open_streams == 0)


def test_silence_is_bridged(
    client: FlaskClient, upstream: FakeUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llm_api.asgi.MOMENT", 0.05)
    monkeypatch.setattr("llm_api.asgi.HEARTBEAT", 0.1)
    upstream.gap = 0.25
    response = client.post("/v1/responses", json={"input": "Hi", "stream": True})
    assert response.mimetype == sse.CONTENT_TYPE
    assert response.headers["X-Provider"] == "first"
    assert response.data.count(sse.HEARTBEAT) >= 3
