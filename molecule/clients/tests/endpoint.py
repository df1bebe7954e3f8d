"""The cluster as its clients are told of it."""

from __future__ import annotations

from dataclasses import dataclass

QUESTION = "What is the capital of France?"


@dataclass(frozen=True)
class Endpoint:
    """Where the cluster is, and what to ask it for.

    Attributes:
        url: the gateway, without a path.
        token: what a private cluster asks for; an open one takes anything.
        model: a model that it has.
    """

    url: str
    token: str
    model: str

    @property
    def openai(self) -> str:
        """The base URL of OpenAI's protocol."""
        return f"{self.url}/v1"
