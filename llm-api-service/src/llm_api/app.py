"""The application factory."""

from __future__ import annotations

from flask import Flask

from llm_api import access, access_log, errors, header_limit, pages, request_id
from llm_api.config import Config
from llm_api.routes import description, health, legacy, messages, models, openai, responses
from llm_api.service import EXTENSION, Service


def create_app(config: Config) -> Flask:
    """Return the application for `config`. It answers once its service has been started.

    Raises:
        ConfigError: no provider can be used.
    """
    app = Flask(__name__, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = config.max_body_bytes
    app.extensions[EXTENSION] = Service(config)
    request_id.register(app)
    if config.request_logging:
        access_log.register(app)
    errors.register(app, {messages.PREFIX: messages.error})
    header_limit.register(app)
    access.register(app)
    for module in (description, health, models, openai, responses, messages, legacy):
        app.register_blueprint(module.blueprint)
    pages.register(app)
    return app
