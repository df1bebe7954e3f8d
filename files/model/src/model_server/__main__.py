"""Run the server: `python -m model_server`."""

from __future__ import annotations

import logging
import sys

from flask import Flask
from granian import Granian
from granian.constants import Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels

from model_server.app import create_app
from model_server.config import ConfigError, load
from model_server.engine import Engine, load_backend

# Longer than any client keeps an idle connection, so that none is closed under a request.
IDLE_MS = 600_000


def worker() -> Flask:
    """Load the model and return the application; Granian calls this in its worker process."""
    config = load()
    logging.basicConfig(level=config.log_level)
    backend = load_backend(config)
    logging.getLogger(__name__).info(
        "%s is ready: %d slots of %d tokens, %d threads",
        config.model_id,
        config.parallel,
        config.context_size // config.parallel,
        config.threads,
    )
    return create_app(config, Engine(backend, config))


def main() -> int:
    """Run until a signal comes; return the exit code."""
    try:
        config = load()
    except ConfigError as error:
        print(f"model_server: {error}", file=sys.stderr)
        return 2
    Granian(
        "model_server.__main__:worker",
        factory=True,
        # In the container, whose network is internal.
        address="0.0.0.0",  # noqa: S104
        port=config.port,
        interface=Interfaces.WSGI,
        workers=1,
        # A request that waits holds a thread; a few more answer health checks and refusals.
        blocking_threads=config.max_requests + 16,
        workers_kill_timeout=config.shutdown_timeout,
        http1_settings=HTTP1Settings(header_read_timeout=IDLE_MS),
        log_level=LogLevels(config.log_level.lower()),
    ).serve()
    return 0


if __name__ == "__main__":
    sys.exit(main())
