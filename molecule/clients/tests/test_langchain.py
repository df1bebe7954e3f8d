"""LangChain's chat model for OpenAI."""

from __future__ import annotations

import asyncio

import pytest
from endpoint import QUESTION, Endpoint
from langchain_openai import ChatOpenAI
from pydantic import SecretStr


@pytest.fixture(scope="module")
def chat(endpoint: Endpoint) -> ChatOpenAI:
    """The cluster as a chat model."""
    return ChatOpenAI(
        model=endpoint.model,
        base_url=endpoint.openai,
        api_key=SecretStr(endpoint.token),
        max_completion_tokens=16,
        temperature=0,
        max_retries=0,
    )


def test_invoke(chat: ChatOpenAI) -> None:
    answer = chat.invoke(QUESTION)
    assert "Paris" in str(answer.content)
    assert answer.usage_metadata
    assert answer.usage_metadata["total_tokens"] > 0


def test_stream(chat: ChatOpenAI) -> None:
    pieces = [str(part.content) for part in chat.stream(QUESTION)]
    assert "Paris" in "".join(pieces)
    assert len([piece for piece in pieces if piece]) > 1


def test_many_at_once(chat: ChatOpenAI) -> None:
    async def ask() -> list[str]:
        answers = await chat.abatch([QUESTION] * 4)
        return [str(answer.content) for answer in answers]

    assert all("Paris" in text for text in asyncio.run(ask()))
