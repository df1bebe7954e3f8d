"""Run the service: `python -m llm_api`."""

from __future__ import annotations

import gc
import logging
import sys

import uvloop

from llm_api import flags, logs, server
from llm_api.app import create_app
from llm_api.asgi import Asgi
from llm_api.config import Config, ConfigError, load
from llm_api.on_loop import LoopFlask
from llm_api.service import EXTENSION, Service
from llm_api.state import StateError

logger = logging.getLogger(__name__)

FAILED = 1


def main() -> int:
    """Run until a signal comes, let open answers finish, and return the exit code."""
    command_line = flags.read(sys.argv[1:])
    try:
        config = load(command_line.environ)
        _set_up_logs(config)
        if command_line.shows_password:
            logger.warning("--password shows it to everybody on this host: use ADMIN_PASSWORD_FILE")
            command_line.hide_password()
        for remark in command_line.remarks:
            logger.warning(remark)
        app = create_app(config)
    except ConfigError as error:
        print(f"llm_api: {error}", file=sys.stderr)
        return 2
    server.prepare()
    return uvloop.run(serve(config, app))


def _set_up_logs(config: Config) -> None:
    try:
        logs.set_up(config.log_level, config.log_file)
    except OSError as error:
        raise ConfigError(f"LOG_FILE={config.log_file} cannot be written: {error}") from None


async def serve(config: Config, app: LoopFlask) -> int:
    """Serve `app` until a signal comes, and return the exit code."""
    server.use_own_threads()
    service: Service = app.extensions[EXTENSION]
    try:
        await service.start()
    except StateError as error:
        # An exception would be logged at length, and says no more.
        logger.critical("cannot start: %s", error)
        return FAILED
    # What is here now stays: to look through it again and again for garbage would halt all streams.
    gc.collect()
    gc.freeze()
    try:
        await server.serve(
            Asgi(app.respond, config.max_body_bytes), config.port, config.shutdown_timeout
        )
    finally:
        # Once the last answer is out: what is still to be written.
        await service.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
