"""Anthropic's own client."""

from __future__ import annotations

from collections.abc import Iterator

import anthropic
import pytest
from endpoint import QUESTION, Endpoint


@pytest.fixture(scope="module")
def client(endpoint: Endpoint) -> Iterator[anthropic.Anthropic]:
    """A client that repeats nothing."""
    with anthropic.Anthropic(
        base_url=endpoint.url, api_key=endpoint.token, max_retries=0
    ) as connected:
        yield connected


def test_message(client: anthropic.Anthropic, endpoint: Endpoint) -> None:
    answer = client.messages.create(
        model=endpoint.model,
        max_tokens=16,
        messages=[{"role": "user", "content": QUESTION}],
    )
    assert answer.content[0].type == "text"
    assert "Paris" in answer.content[0].text
    assert answer.stop_reason in {"end_turn", "max_tokens"}
    assert answer.usage.output_tokens > 0


def test_streamed_message(client: anthropic.Anthropic, endpoint: Endpoint) -> None:
    with client.messages.stream(
        model=endpoint.model,
        max_tokens=16,
        system="You are a helpful assistant. Answer in English.",
        messages=[{"role": "user", "content": QUESTION}],
    ) as stream:
        pieces = list(stream.text_stream)
        final = stream.get_final_message()
    assert "Paris" in "".join(pieces)
    assert len(pieces) > 1
    assert final.usage.output_tokens > 0


def test_unknown_model(client: anthropic.Anthropic) -> None:
    with pytest.raises(anthropic.NotFoundError):
        client.messages.create(
            model="unknown", max_tokens=8, messages=[{"role": "user", "content": QUESTION}]
        )
