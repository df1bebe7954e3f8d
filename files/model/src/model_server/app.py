"""The HTTP interface of the model."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from flask import Flask, Response, jsonify, request

from model_server import errors
from model_server.config import Config
from model_server.engine import Engine, Generation
from model_server.errors import ApiError
from model_server.request import to_model

# What the engine adds to OpenAI's format, and what nobody should rely on.
PRIVATE = ("timings", "system_fingerprint", "__verbose")


def create_app(config: Config, engine: Engine) -> Flask:
    """Return the application that answers with `engine`."""
    app = Flask("model_server")
    app.config["MAX_CONTENT_LENGTH"] = 16 * 1024 * 1024
    errors.register(app)

    @app.get("/health")
    def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/v1/models")
    def models() -> dict[str, Any]:
        return {"object": "list", "data": [_model(config)]}

    @app.get("/v1/models/<name>")
    def model(name: str) -> dict[str, Any]:
        if name != config.model_id:
            raise ApiError(404, f"The model {name} does not exist here.", code="model_not_found")
        return _model(config)

    @app.post("/v1/chat/completions")
    def chat() -> Response:
        try:
            body = json.loads(request.get_data())
        except (ValueError, RecursionError):
            raise ApiError(400, "The body is no valid JSON.") from None
        asked = to_model(body, config)
        engine.admit()
        generation = engine.generate(asked)
        try:
            chunks = iter(generation)
            first = _public(next(chunks), config)
        except BaseException:
            generation.close()
            engine.release()
            raise
        if not asked.get("stream"):
            engine.release()
            return jsonify(first)
        return Response(
            _Stream(engine, generation, first, chunks, config),
            mimetype="text/event-stream",
            headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        )

    return app


class _Stream:
    """The events of one answer. The server closes it when the client has gone."""

    def __init__(
        self,
        engine: Engine,
        generation: Generation,
        first: dict[str, Any],
        rest: Iterator[dict[str, Any]],
        config: Config,
    ) -> None:
        self._engine = engine
        self._generation = generation
        self._events = self._encode(first, rest, config)
        self._open = True

    def __iter__(self) -> Iterator[bytes]:
        return self._events

    def _encode(
        self, first: dict[str, Any], rest: Iterator[dict[str, Any]], config: Config
    ) -> Iterator[bytes]:
        yield _event(first)
        try:
            for chunk in rest:
                yield _event(_public(chunk, config))
        except ApiError as error:
            # The status has gone out already: the error is an event, and no [DONE] follows it.
            yield _event(error.body)
            return
        yield b"data: [DONE]\n\n"

    def close(self) -> None:
        if self._open:
            self._open = False
            self._generation.close()
            self._engine.release()


def _event(data: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(data, separators=(",", ":")).encode() + b"\n\n"


def _public(chunk: dict[str, Any], config: Config) -> dict[str, Any]:
    return {k: v for k, v in chunk.items() if k not in PRIVATE} | {"model": config.model_id}


def _model(config: Config) -> dict[str, Any]:
    return {"id": config.model_id, "object": "model", "created": 0, "owned_by": "local"}
