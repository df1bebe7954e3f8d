"""What providers can be asked to do, and what such a request looks like to them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any, ClassVar

# Names that stand for the default model.
DEFAULT_MODELS = ("", "auto", "default")


class Operation(StrEnum):
    """Something that a provider can be asked to do, under its name in the configuration."""

    CHAT = "chat"
    COMPLETIONS = "completions"
    EMBEDDINGS = "embeddings"
    IMAGES = "images"

    @property
    def path(self) -> str:
        """Where OpenAI's protocol has it, below the base URL."""
        return _PATHS[self]


_PATHS = {
    Operation.CHAT: "chat/completions",
    Operation.COMPLETIONS: "completions",
    Operation.EMBEDDINGS: "embeddings",
    Operation.IMAGES: "images/generations",
}


@dataclass(frozen=True)
class Request:
    """What a client asks for. `body` is the whole JSON object and is never changed."""

    operation: ClassVar[Operation]

    body: Mapping[str, Any]
    raw: bytes | None = None
    """`body` as the client wrote it, where nothing was added to it."""

    @property
    def stream(self) -> bool:
        """Whether the answer is wanted as a stream."""
        return bool(self.body.get("stream"))

    @cached_property
    def model(self) -> str:
        """The model that is wanted; empty means the default."""
        model = self.body.get("model") or ""
        return "" if model in DEFAULT_MODELS else model

    def for_model(self, model: str) -> bytes:
        """Return the body to send to a provider that calls the model `model`."""
        if self.raw is not None and self.body.get("model") == model:
            return self.raw
        return json.dumps({**self.body, "model": model}).encode()


class EmbeddingsRequest(Request):
    """A request for embeddings."""

    operation = Operation.EMBEDDINGS


class ImagesRequest(Request):
    """A request for new images."""

    operation = Operation.IMAGES
