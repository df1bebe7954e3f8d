"""OpenAI's own client for Python."""

from __future__ import annotations

import json
from collections.abc import Iterator

import openai
import pytest
from endpoint import QUESTION, Endpoint


@pytest.fixture(scope="module")
def client(endpoint: Endpoint) -> Iterator[openai.OpenAI]:
    """A client that repeats nothing."""
    with openai.OpenAI(
        base_url=endpoint.openai, api_key=endpoint.token, max_retries=0
    ) as connected:
        yield connected


def test_models(client: openai.OpenAI, endpoint: Endpoint) -> None:
    assert endpoint.model in [model.id for model in client.models.list()]
    assert client.models.retrieve(endpoint.model).id == endpoint.model


def test_chat(client: openai.OpenAI, endpoint: Endpoint) -> None:
    answer = client.chat.completions.create(
        model=endpoint.model,
        messages=[{"role": "user", "content": QUESTION}],
        max_completion_tokens=16,
        temperature=0,
    )
    assert "Paris" in (answer.choices[0].message.content or "")
    assert answer.choices[0].finish_reason in {"stop", "length"}
    assert answer.usage is not None
    assert answer.usage.total_tokens > 0


def test_streamed_chat(client: openai.OpenAI, endpoint: Endpoint) -> None:
    parts = list(
        client.chat.completions.create(
            model=endpoint.model,
            messages=[{"role": "user", "content": QUESTION}],
            max_tokens=16,
            temperature=0,
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    texts = [choice.delta.content for part in parts for choice in part.choices]
    assert "Paris" in "".join(text or "" for text in texts)
    # It came in pieces.
    assert len([text for text in texts if text]) > 1
    assert len({part.id for part in parts}) == 1
    reasons = [choice.finish_reason for part in parts for choice in part.choices]
    assert [reason for reason in reasons if reason] in (["stop"], ["length"])
    assert parts[-1].choices == []
    assert parts[-1].usage is not None


def test_json_schema(client: openai.OpenAI, endpoint: Endpoint) -> None:
    schema = {
        "type": "object",
        "properties": {"city": {"type": "string", "maxLength": 12}},
        "required": ["city"],
        "additionalProperties": False,
    }
    answer = client.chat.completions.create(
        model=endpoint.model,
        messages=[{"role": "user", "content": QUESTION}],
        max_tokens=48,
        response_format={
            "type": "json_schema",
            "json_schema": {"name": "city", "strict": True, "schema": schema},
        },
    )
    assert set(json.loads(answer.choices[0].message.content or "")) == {"city"}


def test_completion(client: openai.OpenAI, endpoint: Endpoint) -> None:
    answer = client.completions.create(model=endpoint.model, prompt=QUESTION, max_tokens=8)
    assert answer.choices[0].text


def test_response(client: openai.OpenAI, endpoint: Endpoint) -> None:
    answer = client.responses.create(
        model=endpoint.model, input=QUESTION, max_output_tokens=16, temperature=0
    )
    assert "Paris" in answer.output_text
    assert answer.usage is not None
    assert answer.usage.output_tokens > 0


def test_streamed_response(client: openai.OpenAI, endpoint: Endpoint) -> None:
    with client.responses.stream(
        model=endpoint.model, input=QUESTION, max_output_tokens=16, temperature=0
    ) as stream:
        deltas = [event.delta for event in stream if event.type == "response.output_text.delta"]
        answer = stream.get_final_response()
    assert "".join(deltas) == answer.output_text
    assert "Paris" in answer.output_text


def test_unknown_model(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(
            model="unknown", messages=[{"role": "user", "content": QUESTION}]
        )


def test_faulty_request(client: openai.OpenAI, endpoint: Endpoint) -> None:
    with pytest.raises(openai.BadRequestError) as refusal:
        client.chat.completions.create(
            model=endpoint.model,
            messages=[{"role": "user", "content": QUESTION}],
            temperature=3,
        )
    assert refusal.value.param == "temperature"
