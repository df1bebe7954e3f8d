"""Logs as lines of JSON on standard output. They never hold prompts, answers, tokens or queries."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any

from flask import g, has_request_context


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
        if has_request_context() and "request_id" in g:
            line["request_id"] = g.request_id
        line |= getattr(record, "fields", {})
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        # In ASCII: what clients send may hold characters that no output takes.
        return json.dumps(line)


def set_up(level: str) -> None:
    """Send the logs of the whole process to standard output from `level` on."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # g4f and its like log what they send.
    for chatty in ("g4f", "aiohttp", "asyncio", "urllib3"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


def granian_config(level: str) -> dict[str, Any]:
    """Return the logging configuration of the server around the application."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": JsonFormatter}},
        # A thread for each answer is what this service is built on.
        "filters": {"expected": {"()": lambda: _is_news}},
        "handlers": {
            "stdout": {
                "filters": ["expected"],
                "class": "logging.StreamHandler",
                "formatter": "json",
                "stream": "ext://sys.stdout",
            }
        },
        "loggers": {"_granian": {"handlers": ["stdout"], "level": level, "propagate": False}},
    }


def _is_news(record: logging.LogRecord) -> bool:
    return not record.getMessage().startswith("Configuration allows spawning")
