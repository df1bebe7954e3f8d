"""Logs as lines of JSON. They never hold prompts, answers, tokens or queries."""

from __future__ import annotations

import json
import logging
import logging.config
import logging.handlers
import time
from datetime import UTC, datetime
from io import TextIOWrapper
from pathlib import Path
from typing import Any

from llm_api import request_id

ROTATION = 1.0
"""Seconds within which a file that was renamed is there again."""


class JsonFormatter(logging.Formatter):
    """Formats a record as one line of JSON; what is in `extra={"fields": …}` goes in as it is."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if current := request_id.current.get():
            line["request_id"] = current
        line |= getattr(record, "fields", {})
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        # In ASCII: what clients send may hold characters that no output takes.
        return json.dumps(line)


class RotatedFileHandler(logging.handlers.WatchedFileHandler):
    """Writes to a file that others rename and make anew; no line is lost."""

    def _open(self) -> TextIOWrapper:
        """Open the file. Where its folder is not ours, there is none for a moment of rotation."""
        end = time.monotonic() + ROTATION
        while True:
            try:
                return super()._open()
            except PermissionError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.01)


def set_up(level: str, file: str = "") -> None:
    """Send the logs of the whole process, from `level` on, to standard output and to `file`.

    Raises:
        OSError: `file` cannot be written.
    """
    if file:
        Path(file).open("a").close()
    logging.config.dictConfig(_configuration(level, file))


def _configuration(level: str, file: str) -> dict[str, Any]:
    handlers: dict[str, Any] = {
        "stdout": {"class": "logging.StreamHandler", "stream": "ext://sys.stdout"}
    }
    if file:
        handlers["file"] = {"()": RotatedFileHandler, "filename": file}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": JsonFormatter}},
        "handlers": {name: {**handler, "formatter": "json"} for name, handler in handlers.items()},
        "root": {"level": level, "handlers": list(handlers)},
        "loggers": {
            # g4f and its like log what they send.
            **{name: {"level": "WARNING"} for name in ("g4f", "aiohttp", "asyncio", "urllib3")},
        },
    }
