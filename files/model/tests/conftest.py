"""A model that needs no weights, and the application around it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from model_server.app import create_app
from model_server.config import Config
from model_server.engine import Engine


class FakeBackend:
    """Says its words, one after the other, and remembers what it was asked."""

    def __init__(self) -> None:
        self.words = ["Hello", " there"]
        self.asked: list[dict[str, Any]] = []
        self.gate = threading.Event()
        self.gate.set()
        self.said = 0

    def handle_chat_completions(
        self, body: dict[str, Any], callback: Callable[[dict[str, Any]], bool]
    ) -> None:
        self.asked.append(body)
        if body["messages"][-1].get("content") == "too long":
            error = {"code": 400, "message": "too long", "type": "exceed_context_size_error"}
            callback({"error": error})
            return
        if body["messages"][-1].get("content") == "bad":
            raise ValueError("messages[0].content must be text")
        if not body.get("stream"):
            self.gate.wait(10)
            message = {"role": "assistant", "content": "".join(self.words)}
            callback({"choices": [{"message": message}], "model": "path", "timings": {}})
            return
        for word in self.words:
            if callback({"choices": [{"delta": {"content": word}}], "model": "path"}):
                return
            self.said += 1
            self.gate.wait(10)


@pytest.fixture
def config() -> Config:
    return Config(model_path=Path("unused.gguf"), parallel=1, max_requests=2)


@pytest.fixture
def backend() -> Iterator[FakeBackend]:
    backend = FakeBackend()
    yield backend
    backend.gate.set()


@pytest.fixture
def client(config: Config, backend: FakeBackend) -> FlaskClient:
    return create_app(config, Engine(backend, config)).test_client()
