"""Anthropic's Messages, with Anthropic's own client."""

from __future__ import annotations

import json
from typing import Any

import anthropic
import httpx2
import pytest
from chat_events import (
    CALLS,
    DONE,
    TEXT,
    THOUGHT,
    WHOLE_CALLS,
    call,
    delta,
    event,
    finish,
    whole,
)
from conftest import MakeClient, provider, until
from fake_upstream import FakeUpstream
from flask.testing import FlaskClient

MESSAGES: Any = [{"role": "user", "content": "Hi"}]
TOOL: Any = {
    "name": "weather",
    "description": "Tells the weather.",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
    "cache_control": {"type": "ephemeral"},
}


def sdk(client: FlaskClient) -> anthropic.Anthropic:
    """Return Anthropic's client, which asks the application of `client` without a network."""
    http = httpx2.Client(transport=httpx2.WSGITransport(app=client.application))
    return anthropic.Anthropic(
        base_url="http://service", api_key="none", max_retries=0, http_client=http
    )


def create(client: FlaskClient, **more: Any) -> Any:
    asked = {"model": "m", "max_tokens": 20, "messages": MESSAGES}
    return sdk(client).messages.create(**{**asked, **more})


def post(client: FlaskClient, path: str = "/v1/messages", **more: Any) -> Any:
    return client.post(path, json={"max_tokens": 20, "messages": MESSAGES, **more})


def sent(upstream: FakeUpstream) -> Any:
    return json.loads(upstream.requests[-1])


def test_a_text(client: FlaskClient, upstream: FakeUpstream) -> None:
    answer = create(
        client,
        system=[{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
        metadata={"user_id": "u"},
        stop_sequences=["###"],
        # The client has no arguments for these any more.
        extra_body={"temperature": 0.5, "top_k": 5},
    )
    assert answer.content[0].text == "Hello"
    assert (answer.stop_reason, answer.model, answer.role) == ("end_turn", "m", "assistant")
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (1, 1)
    assert answer._request_id
    assert sent(upstream) == {
        "model": "m",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hi"},
        ],
        "max_tokens": 20,
        "stop": ["###"],
        "user": "u",
        "temperature": 0.5,
        "top_k": 5,
    }


def test_a_stream_of_text(client: FlaskClient, upstream: FakeUpstream) -> None:
    upstream.events = TEXT
    events = list(create(client, stream=True))
    assert [event.type for event in events] == [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    last = events[-2]
    assert last.delta.stop_reason == "end_turn"
    assert last.usage.to_dict() == {
        "input_tokens": 4,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 3,
        "output_tokens": 5,
    }
    assert sent(upstream)["stream_options"] == {"include_usage": True}


def test_the_helper_for_streams(client: FlaskClient, upstream: FakeUpstream) -> None:
    upstream.events = CALLS
    with sdk(client).messages.stream(
        model="m", max_tokens=20, messages=MESSAGES, tools=[TOOL]
    ) as stream:
        assert list(stream.text_stream) == ["Let me see."]
        answer = stream.get_final_message()
    text, weather, time = answer.content
    assert text.type == "text"
    assert weather.type == time.type == "tool_use"
    assert (weather.id, weather.name, weather.input) == ("call_0", "weather", {"city": "Oslo"})
    assert (time.id, time.input) == ("call_1", {})
    assert answer.stop_reason == "tool_use"
    assert answer.usage.output_tokens == 5


def test_calls_as_a_whole(client: FlaskClient, upstream: FakeUpstream) -> None:
    upstream.body = whole({"content": "Aha.", "tool_calls": WHOLE_CALLS})
    choice = {"type": "tool", "name": "weather", "disable_parallel_tool_use": True}
    answer = create(client, tools=[TOOL], tool_choice=choice)
    assert [block.type for block in answer.content] == ["text", "tool_use", "tool_use"]
    assert answer.content[2].input == {"a": 1}
    assert answer.stop_reason == "tool_use"
    function = {
        "name": "weather",
        "description": "Tells the weather.",
        "parameters": TOOL["input_schema"],
    }
    assert sent(upstream)["tools"] == [{"type": "function", "function": function}]
    asked = {"type": "function", "function": {"name": "weather"}}
    assert sent(upstream)["tool_choice"] == asked
    assert sent(upstream)["parallel_tool_calls"] is False


@pytest.mark.parametrize(
    ("choice", "asked"), [({"type": "any"}, "required"), ({"type": "none"}, "none"), (None, "auto")]
)
def test_choices(client: FlaskClient, upstream: FakeUpstream, choice: Any, asked: str) -> None:
    assert post(client, tools=[{**TOOL, "strict": True}], tool_choice=choice).status_code == 200
    assert sent(upstream)["tool_choice"] == asked
    assert sent(upstream)["tools"][0]["function"]["strict"] is True


def test_an_image_without_an_address(client: FlaskClient, upstream: FakeUpstream) -> None:
    image = {"type": "image", "source": {"type": "url", "url": ""}}
    assert post(client, messages=[{"role": "user", "content": [image]}]).status_code == 200
    assert sent(upstream)["messages"][0]["content"][0]["image_url"] == {"url": ""}


def test_a_conversation(client: FlaskClient, upstream: FakeUpstream) -> None:
    upstream.body = whole({"content": "Aha.", "tool_calls": WHOLE_CALLS})
    output = [block.to_dict() for block in create(client, tools=[TOOL]).content]
    data = {"type": "base64", "media_type": "image/png", "data": "aaaa"}
    link = {"type": "url", "url": "https://images.example/1.png"}
    thought = {"type": "thinking", "thinking": "Hm.", "signature": ""}
    asked: Any = [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "What are these?"},
                {"type": "image", "source": data},
                {"type": "image", "source": link},
            ],
        },
        {"role": "assistant", "content": [thought, {"type": "text", "text": "Pictures."}]},
        {"role": "system", "content": "Be brief."},
        {"role": "system", "content": [{"type": "text", "text": "Be kind."}]},
        {"role": "user", "content": [{"type": "text", "text": "Where?"}]},
        {"role": "assistant", "content": output},
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "call_0", "content": "Sunny"},
                {
                    "type": "tool_result",
                    "tool_use_id": "call_1",
                    "content": [{"type": "text", "text": "No clock."}],
                    "is_error": True,
                },
                {"type": "text", "text": "Well?"},
            ],
        },
    ]
    create(client, messages=asked)
    urls = ["data:image/png;base64,aaaa", "https://images.example/1.png"]
    images = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    expected = [
        {"role": "user", "content": [{"type": "text", "text": "What are these?"}, *images]},
        {"role": "assistant", "content": "Pictures."},
        {"role": "system", "content": "Be brief."},
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "Where?"},
        {"role": "assistant", "content": "Aha.", "tool_calls": WHOLE_CALLS},
        {"role": "tool", "tool_call_id": "call_0", "content": "Sunny"},
        {"role": "tool", "tool_call_id": "call_1", "content": "Error: No clock."},
        {"role": "user", "content": "Well?"},
    ]
    got = sent(upstream)["messages"]
    for message in got:
        for made in message.get("tool_calls", ()):
            made["function"]["arguments"] = made["function"]["arguments"].replace(" ", "")
    assert got == expected


def test_thoughts_are_for_those_who_ask(client: FlaskClient, upstream: FakeUpstream) -> None:
    upstream.events = THOUGHT
    with sdk(client).messages.stream(
        model="m",
        max_tokens=20,
        messages=MESSAGES,
        thinking={"type": "adaptive"},
        output_config={"effort": "low"},
    ) as stream:
        thought, text = stream.get_final_message().content
    assert thought.type == "thinking"
    assert thought.thinking == "Hmm."
    assert text.type == "text"
    assert sent(upstream)["reasoning_effort"] == "low"
    events = list(create(client, stream=True, thinking={"type": "disabled"}))
    assert events[1].content_block.type == "text"


def test_a_schema(client: FlaskClient, upstream: FakeUpstream) -> None:
    schema = {"type": "object", "properties": {"name": {"type": "string"}}}
    upstream.body = whole({"content": '{"name": "Oslo"}'})
    create(client, output_config={"format": {"type": "json_schema", "schema": schema}})
    asked = sent(upstream)["response_format"]["json_schema"]
    assert (asked["schema"], asked["strict"]) == (schema, True)


@pytest.mark.parametrize(
    ("events", "reason"),
    [
        ([TEXT[1], finish("length"), DONE], "max_tokens"),
        ([TEXT[1], finish("content_filter"), DONE], "refusal"),
        ([delta(refusal="No."), finish("stop"), DONE], "refusal"),
        ([TEXT[1], finish("stop", stop_reason="###"), DONE], "stop_sequence"),
        ([TEXT[1], finish("stop", stop_reason="other"), DONE], "end_turn"),
        ([call(0, name="f", arguments="{}"), finish("stop"), DONE], "tool_use"),
        ([TEXT[1], DONE], "end_turn"),
    ],
)
def test_why_it_ends(
    client: FlaskClient, upstream: FakeUpstream, events: list[bytes], reason: str
) -> None:
    upstream.events = events
    last = list(create(client, stream=True, stop_sequences=["###"]))[-2]
    assert last.delta.stop_reason == reason
    assert last.delta.stop_sequence == ("###" if reason == "stop_sequence" else None)


def test_without_counts_there_is_an_estimate(client: FlaskClient, upstream: FakeUpstream) -> None:
    upstream.events = [*TEXT[:4], DONE]
    usage = list(create(client, stream=True))[-2].usage
    assert (usage.input_tokens, usage.output_tokens) == (1, 2)


def test_a_call_that_was_cut_off(client: FlaskClient, upstream: FakeUpstream) -> None:
    half: Any = {"id": "1", "function": {"name": "f", "arguments": '{"a": '}}
    upstream.body = whole({"content": "Hi", "tool_calls": [half]}, "length")
    answer = create(client, tools=[TOOL])
    assert [block.type for block in answer.content] == ["text"]
    assert answer.stop_reason == "max_tokens"
    upstream.body = whole({"content": "Hi", "tool_calls": [half]}, "tool_calls")
    with pytest.raises(anthropic.InternalServerError, match="no JSON object"):
        create(client, tools=[TOOL])
    upstream.body = None
    upstream.events = [call(0, name="f", arguments="[]"), finish("stop"), DONE]
    with pytest.raises(anthropic.APIStatusError, match="no JSON object"):
        list(create(client, stream=True))


@pytest.mark.parametrize("in_band", [False, True])
def test_a_provider_that_breaks_off(
    client: FlaskClient, upstream: FakeUpstream, in_band: bool
) -> None:
    error = event({"error": {"message": "Overloaded."}})
    upstream.events = [*TEXT[:3], error, DONE] if in_band else TEXT[:3]
    upstream.gap = 0.05
    read: list[Any] = []
    with pytest.raises(anthropic.APIStatusError) as raised:
        read.extend(create(client, stream=True))
    assert raised.value.type == "api_error"
    assert [event.type for event in read][-1] == "content_block_delta"


UNSUPPORTED: list[tuple[dict[str, Any], str]] = [
    ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, "thinking.type"),
    ({"container": "c"}, "container"),
    ({"mcp_servers": []}, "mcp_servers"),
    ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "tools[0].type"),
    (
        {"messages": [{"role": "user", "content": [{"type": "document", "source": {}}]}]},
        "messages[0].content[0].type",
    ),
    (
        {
            "messages": [
                {
                    "role": "user",
                    "content": [{"type": "image", "source": {"type": "file", "file_id": "1"}}],
                }
            ]
        },
        "messages[0].content[0].source.type",
    ),
]
BAD: list[tuple[dict[str, Any], str]] = [
    ({"max_tokens": None}, "max_tokens"),
    ({"max_tokens": 0}, "max_tokens"),
    ({"messages": []}, "messages"),
    ({"messages": None}, "messages"),
    ({"messages": [3]}, "messages[0]"),
    ({"messages": [{"role": "king", "content": "Hi"}]}, "messages[0].role"),
    ({"messages": [{"role": "user"}]}, "messages[0].content"),
    ({"messages": [{"role": "user", "content": []}]}, "messages[0].content"),
    ({"messages": [*MESSAGES, {"role": "assistant", "content": "He"}]}, "messages"),
    ({"temperature": 1.5}, "temperature"),
    ({"tool_choice": {"type": "any"}}, "tool_choice"),
    ({"tools": [{"name": "f"}]}, "tools[0].input_schema"),
    ({"stop_sequences": [3]}, "stop_sequences[0]"),
]


@pytest.mark.parametrize(("more", "param"), [*UNSUPPORTED, *BAD])
def test_what_is_refused_is_named(
    client: FlaskClient, upstream: FakeUpstream, more: dict[str, Any], param: str
) -> None:
    with pytest.raises(anthropic.BadRequestError) as raised:
        create(client, extra_body=more)
    assert raised.value.type == "invalid_request_error"
    assert param in str(raised.value)
    assert upstream.requests == []


def test_harmless_defaults(client: FlaskClient, upstream: FakeUpstream) -> None:
    defaults: dict[str, Any] = {
        "service_tier": "standard_only",
        "stop_sequences": [],
        "tools": [],
        "cache_control": {"type": "ephemeral"},
        "system": "",
        "thinking": {"type": "disabled"},
    }
    create(client, **defaults)
    assert set(sent(upstream)) == {"model", "messages", "max_tokens"}


def test_tokens_are_estimated(client: FlaskClient, upstream: FakeUpstream) -> None:
    counted = sdk(client).messages.count_tokens(
        model="m", messages=[{"role": "user", "content": "x" * 400}], system="y" * 40, tools=[TOOL]
    )
    assert 110 < counted.input_tokens < 200
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "a"}}
    answer = client.post(
        "/v1/messages/count_tokens", json={"messages": [{"role": "user", "content": [image]}]}
    )
    assert answer.get_json() == {"input_tokens": 1500}
    assert upstream.requests == []


Raised = tuple[type[anthropic.APIStatusError], int, str]
STATUSES: dict[int, Raised] = {
    400: (anthropic.BadRequestError, 400, "invalid_request_error"),
    404: (anthropic.NotFoundError, 404, "not_found_error"),
    422: (anthropic.UnprocessableEntityError, 422, "invalid_request_error"),
    429: (anthropic.RateLimitError, 429, "rate_limit_error"),
    401: (anthropic.InternalServerError, 504, "timeout_error"),
    500: (anthropic.InternalServerError, 504, "timeout_error"),
}


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("stream", [False, True])
def test_what_a_provider_answers_is_raised(
    client: FlaskClient, upstream: FakeUpstream, status: int, stream: bool
) -> None:
    upstream.status = status
    exception, answered, kind = STATUSES[status]
    with pytest.raises(exception) as raised:
        create(client, stream=stream)
    assert (raised.value.status_code, raised.value.type) == (answered, kind)
    assert raised.value.request_id
    assert raised.value.body["request_id"] == raised.value.request_id  # type: ignore[index]


def test_errors_before_the_route_have_the_same_shape(
    make_client: MakeClient, upstream: FakeUpstream
) -> None:
    client = make_client(provider("first", upstream), max_body_bytes=2048)
    answers = [
        (404, "not_found_error", client.post("/v1/messages/nowhere")),
        (405, "invalid_request_error", client.get("/v1/messages")),
        (413, "request_too_large", client.post("/v1/messages", data=b"x" * 4096)),
        (431, "invalid_request_error", client.post("/v1/messages", headers={"X": "x" * 9000})),
        (400, "invalid_request_error", client.post("/v1/messages", data=b"{")),
        (404, "not_found_error", post(client, model="gpt-4")),
    ]
    for status, kind, response in answers:
        assert response.status_code == status
        body = response.get_json()
        assert (body["type"], body["error"]["type"]) == ("error", kind)
        assert body["request_id"] == response.headers["request-id"]
    assert "error" in client.get("/v1/messagesnot").get_json()
    assert "type" not in client.get("/v1/messagesnot").get_json()


def test_the_unexpected_tells_nothing(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("secret of the house")

    monkeypatch.setattr("llm_api.routes.messages.ask_chat", fail)
    response = post(client)
    assert response.status_code == 500
    assert response.get_json()["error"]["type"] == "api_error"
    assert "secret" not in response.text


def test_a_client_that_goes_ends_the_stream_at_the_provider(
    client: FlaskClient, upstream: FakeUpstream
) -> None:
    upstream.gap, upstream.repeat = 0.05, 10_000
    for read in (0, 3):
        response = post(client, stream=True)
        for _ in range(read):
            next(iter(response.response))
        response.close()
        until(lambda: upstream.open_streams == 0)


@pytest.mark.parametrize("hidden", [False, True])
def test_silence_is_bridged(
    client: FlaskClient, upstream: FakeUpstream, monkeypatch: pytest.MonkeyPatch, hidden: bool
) -> None:
    monkeypatch.setattr("llm_api.asgi.MOMENT", 0.05)
    monkeypatch.setattr("llm_api.asgi.HEARTBEAT", 0.1)
    upstream.gap = 0.06 if hidden else 0.25
    if hidden:
        upstream.events = [delta(reasoning_content="Hm.")] * 10 + TEXT
    response = post(client, stream=True)
    assert response.data.count(b'event: ping\ndata: {"type":"ping"}\n\n') >= 3
    assert b": still here" not in response.data
