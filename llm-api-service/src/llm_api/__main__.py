"""Run the service: `python -m llm_api`."""

from __future__ import annotations

import sys

from flask import Flask
from granian import Granian
from granian.constants import Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels

from llm_api import logs
from llm_api.app import create_app
from llm_api.config import ConfigError, load
from llm_api.providers.registry import chosen

# Longer than the gateway keeps an idle connection, so that none is closed under a request.
IDLE_MS = 600_000
# For health checks and refusals while all places for answers are taken.
SPARE_THREADS = 32


def worker() -> Flask:
    """Return the application; Granian calls this in its worker process."""
    config = load()
    logs.set_up(config.log_level)
    return create_app(config)


def main() -> int:
    """Run until a signal comes, let open answers finish, and return the exit code."""
    try:
        config = load()
        logs.set_up(config.log_level)
        chosen(config)
    except ConfigError as error:
        print(f"llm_api: {error}", file=sys.stderr)
        return 2
    Granian(
        "llm_api.__main__:worker",
        factory=True,
        # In the container, whose network is internal.
        address="0.0.0.0",  # noqa: S104
        port=config.port,
        interface=Interfaces.WSGI,
        workers=1,
        # An answer holds a thread for as long as it takes.
        blocking_threads=config.max_streams + SPARE_THREADS,
        backpressure=config.max_streams + SPARE_THREADS,
        workers_kill_timeout=config.shutdown_timeout,
        http1_settings=HTTP1Settings(header_read_timeout=IDLE_MS),
        websockets=False,
        log_level=LogLevels(config.log_level.lower()),
        log_dictconfig=logs.granian_config(config.log_level),
    ).serve()
    return 0


if __name__ == "__main__":
    sys.exit(main())
