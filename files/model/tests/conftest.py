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


def delta(index: int = 0, finish_reason: str | None = None, **fields: Any) -> dict[str, Any]:
    choice = {"index": index, "delta": fields, "finish_reason": finish_reason}
    return {"id": "chatcmpl-1", "choices": [choice], "model": "path", "timings": {}}


def usage(completion: int) -> dict[str, Any]:
    counts = {
        "prompt_tokens": 5,
        "completion_tokens": completion,
        "total_tokens": 5 + completion,
    }
    return {"id": "chatcmpl-1", "choices": [], "model": "path", "usage": counts}


class FakeBackend:
    """Says its chunks, one after the other, and remembers what it was asked."""

    def __init__(self) -> None:
        self.chunks = [
            delta(role="assistant", content=None) | {"prompt_progress": {"processed": 0}},
            delta(role="assistant", content=None),
            delta(content="Hello"),
            delta(content=" there"),
            delta(finish_reason="stop"),
            usage(2),
        ]
        self.asked: list[dict[str, Any]] = []
        self.gate = threading.Event()
        self.gate.set()
        self.said = 0
        self.failure: Exception | None = None

    def handle_chat_completions(
        self, body: dict[str, Any], callback: Callable[[dict[str, Any]], bool]
    ) -> None:
        self.asked.append(body)
        if self.failure:
            raise self.failure
        for chunk in self.chunks:
            if callback(chunk):
                return
            self.said += 1
            if not self.gate.wait(5):
                raise TimeoutError

    def handle_metrics(self) -> object:
        self.gate.wait(10)
        return b""


@pytest.fixture
def config() -> Config:
    return Config(model_path=Path("unused.gguf"), parallel=1, max_requests=2)


@pytest.fixture
def backend() -> Iterator[FakeBackend]:
    backend = FakeBackend()
    yield backend
    backend.gate.set()


@pytest.fixture
def engine(config: Config, backend: FakeBackend) -> Engine:
    return Engine(backend, config)


@pytest.fixture
def client(config: Config, engine: Engine) -> FlaskClient:
    return create_app(config, engine).test_client()
