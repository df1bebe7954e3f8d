"""The official OpenAI client talks to the cluster as to OpenAI."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from openai import OpenAI
from openai.types.chat import ChatCompletionMessageParam
from testbed.cluster import Cluster

MODEL = "smollm2-135m"
QUESTION: list[ChatCompletionMessageParam] = [
    {"role": "user", "content": "What is the capital of France?"}
]


@pytest.fixture(scope="module")
def client(cluster: Cluster) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{cluster.url}/v1", api_key="none", max_retries=0) as openai:
        yield openai


def test_models(client: OpenAI) -> None:
    assert MODEL in [model.id for model in client.models.list()]


def test_answer(client: OpenAI) -> None:
    answer = client.chat.completions.create(model=MODEL, messages=QUESTION, max_tokens=16)
    assert "Paris" in (answer.choices[0].message.content or "")
    assert answer.choices[0].finish_reason in {"stop", "length"}
    assert answer.usage is not None
    assert answer.usage.total_tokens > 0


def test_streamed_answer(client: OpenAI) -> None:
    parts = list(
        client.chat.completions.create(
            model=MODEL, messages=QUESTION, max_tokens=16, temperature=0, stream=True
        )
    )
    texts = [choice.delta.content for part in parts for choice in part.choices]
    assert "Paris" in "".join(text or "" for text in texts)
    # It came in pieces.
    assert len([text for text in texts if text]) > 1
    assert parts[-1].choices[0].finish_reason in {"stop", "length"}
