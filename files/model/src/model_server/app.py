"""The HTTP interface of the model."""

from __future__ import annotations

import json
from typing import Any

from flask import Flask, Response, request

from model_server import answer, errors
from model_server.config import Config
from model_server.engine import Engine
from model_server.errors import ApiError
from model_server.request import to_model

MAX_BODY = 1024 * 1024
"""Bytes; hundreds of times what fits into a slot's context."""


def create_app(config: Config, engine: Engine) -> Flask:
    """Return the application that answers with `engine`."""
    app = Flask("model_server")
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY
    errors.register(app)

    @app.get("/health")
    def health() -> dict[str, str]:
        if not engine.alive():
            raise ApiError(503, "The model does not react.", code="model_unhealthy")
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
        generation = engine.generate(asked)
        try:
            # Whatever the model refuses, it refuses here, while the status is still open.
            generation.wait()
        except BaseException:
            generation.close()
            raise
        if body.get("stream"):
            usage = bool((body.get("stream_options") or {}).get("include_usage"))
            response = Response(
                answer.events(generation, config.model_id, usage=usage),
                mimetype="text/event-stream",
                headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
            )
        else:
            response = Response(
                answer.document(generation, config.model_id), mimetype="application/json"
            )
        # The server closes a response at its end, and as soon as the client has gone.
        response.call_on_close(generation.close)
        return response

    return app


def _model(config: Config) -> dict[str, Any]:
    return {"id": config.model_id, "object": "model", "created": 0, "owned_by": "local"}
