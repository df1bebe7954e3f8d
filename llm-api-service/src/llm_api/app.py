"""The application factory."""

from __future__ import annotations

import logging
import time

from flask import Flask, Response, g, request

from llm_api import errors, request_id
from llm_api.config import Config
from llm_api.routes import health, legacy, models, openai
from llm_api.service import EXTENSION, Service

logger = logging.getLogger(__name__)


def create_app(config: Config) -> Flask:
    """Return the application for `config`, with its provider loop running.

    Raises:
        ConfigError: no provider can be used.
    """
    app = Flask(__name__, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = config.max_body_bytes
    app.extensions[EXTENSION] = Service(config)
    request_id.register(app)
    errors.register(app)
    if config.request_logging:
        _log_requests(app)
    for module in (health, models, openai, legacy):
        app.register_blueprint(module.blueprint)
    return app


def _log_requests(app: Flask) -> None:
    @app.before_request
    def start() -> None:
        g.start = time.monotonic()

    @app.after_request
    def end(response: Response) -> Response:
        # The path without the query: the old protocol carries prompts and tokens there.
        fields = {
            "method": request.method,
            "path": request.path,
            "status": response.status_code,
            "provider": response.headers.get("X-Provider"),
            "seconds": round(time.monotonic() - g.start, 4),
        }
        logger.info("request", extra={"fields": fields})
        return response
