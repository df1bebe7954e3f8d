"""Run the service: `python -m llm_api`."""

from __future__ import annotations

import logging
import multiprocessing
import multiprocessing.util
import os
import resource
import sys
from typing import Any

from flask import Flask
from granian import Granian
from granian.constants import Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels

from llm_api import flags, logs, signals
from llm_api.app import create_app
from llm_api.config import Config, ConfigError, load
from llm_api.service import EXTENSION, Service
from llm_api.state import StateError

logger = logging.getLogger(__name__)

# Longer than the gateway keeps an idle connection, so that none is closed under a request.
IDLE_MS = 600_000
# For health checks and refusals while all places for answers are taken.
SPARE_THREADS = 32
# Granian counts idle connections, too, and accepts no more beyond this: far above what gateways
# keep open, so that a health check always gets in.
CONNECTIONS = 16_384
# Seconds after which a thread that waits for the interpreter asks again for its turn. With hundreds
# that wait, Python's own 5 ms are a storm of wake-ups in which nothing else gets done.
SWITCH = 0.1
FAILED = 1


def main() -> int:
    """Run until a signal comes, let open answers finish, and return the exit code."""
    command_line = flags.read(sys.argv[1:])
    try:
        config = load(command_line.environ)
        log_configuration = _set_up_logs(config)
        if command_line.shows_password:
            logger.warning("--password shows it to everybody on this host: use ADMIN_PASSWORD_FILE")
            command_line.hide_password()
        for remark in command_line.remarks:
            logger.warning(remark)
        app = create_app(config)
    except ConfigError as error:
        print(f"llm_api: {error}", file=sys.stderr)
        return 2
    _allow_open_files()
    serve(config, app, log_configuration)
    return 0


def _set_up_logs(config: Config) -> dict[str, Any]:
    try:
        return logs.set_up(config.log_level, config.log_file)
    except OSError as error:
        raise ConfigError(f"LOG_FILE={config.log_file} cannot be written: {error}") from None


def serve(config: Config, app: Flask, log_configuration: dict[str, Any]) -> None:
    """Serve `app` in a process of its own, which a signal to this one ends."""

    def worker() -> Flask:
        signals.wake_main_thread()
        sys.setswitchinterval(SWITCH)
        service: Service = app.extensions[EXTENSION]
        try:
            service.start()
        except StateError as error:
            logger.critical("cannot start: %s", error)
            # An exception would be logged at length, and says no more.
            os._exit(FAILED)
        # Once the last answer is out: what is still to be written.
        multiprocessing.util.Finalize(None, service.close, exitpriority=1)
        return app

    signals.wake_main_thread()
    # The worker inherits `app`, whose threads start in it, and shares its memory.
    multiprocessing.set_start_method("fork", force=True)
    Granian(
        "llm_api",
        # In the container, whose network is internal.
        address="0.0.0.0",  # noqa: S104
        port=config.port,
        interface=Interfaces.WSGI,
        workers=1,
        # An answer holds a thread for as long as it takes.
        blocking_threads=config.max_streams + SPARE_THREADS,
        backpressure=CONNECTIONS,
        workers_kill_timeout=config.shutdown_timeout,
        http1_settings=HTTP1Settings(header_read_timeout=IDLE_MS),
        websockets=False,
        log_level=LogLevels(config.log_level.lower()),
        log_dictconfig=log_configuration,
    ).serve(target_loader=worker, wrap_loader=False)


def _allow_open_files() -> None:
    """Raise the limit on open files as far as it goes: an answer holds two."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


if __name__ == "__main__":
    sys.exit(main())
