"""The application factory."""

from __future__ import annotations

from dataclasses import replace

from llm_api import access, access_log, errors, header_limit, pages, request_id
from llm_api.config import Config
from llm_api.on_loop import LoopFlask
from llm_api.providers.registry import with_named_classes
from llm_api.routes import (
    description,
    generatetoken,
    health,
    legacy,
    messages,
    models,
    openai,
    responses,
)
from llm_api.service import EXTENSION, Service


def create_app(config: Config) -> LoopFlask:
    """Return the application for `config`. It answers once its service has been started.

    Raises:
        ConfigError: no provider can be used.
    """
    config = replace(config, settings=with_named_classes(config.settings))
    app = LoopFlask(__name__, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = config.max_body_bytes
    app.extensions[EXTENSION] = Service(config)
    request_id.register(app)
    if config.request_logging:
        access_log.register(app)
    errors.register(app, {legacy.PATH: legacy.error, messages.PREFIX: messages.error})
    header_limit.register(app)
    access.register(app)
    protocols = (models, openai, responses, messages, legacy, generatetoken)
    for module in (description, health, *protocols):
        app.register_blueprint(module.blueprint)
    pages.register(app)
    return app
