"""LiteLLM's library, as an OpenAI-compatible provider and as an Anthropic one."""

from __future__ import annotations

import litellm
import pytest
from endpoint import QUESTION, Endpoint

MESSAGES = [{"role": "user", "content": QUESTION}]


@pytest.mark.parametrize("kind", ["openai", "anthropic"])
def test_chat(endpoint: Endpoint, kind: str) -> None:
    answer = litellm.completion(
        model=f"{kind}/{endpoint.model}",
        messages=MESSAGES,
        api_base=endpoint.openai if kind == "openai" else endpoint.url,
        api_key=endpoint.token,
        max_tokens=16,
        temperature=0,
        num_retries=0,
    )
    assert "Paris" in answer.choices[0].message.content
    assert answer.usage.total_tokens > 0


def test_streamed_chat(endpoint: Endpoint) -> None:
    parts = litellm.completion(
        model=f"openai/{endpoint.model}",
        messages=MESSAGES,
        api_base=endpoint.openai,
        api_key=endpoint.token,
        max_tokens=16,
        temperature=0,
        stream=True,
        num_retries=0,
    )
    texts = [part.choices[0].delta.content or "" for part in parts]
    assert "Paris" in "".join(texts)
    assert len([text for text in texts if text]) > 1
