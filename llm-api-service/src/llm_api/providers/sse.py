"""Server-sent events as OpenAI's protocol uses them."""

from __future__ import annotations

import json
from typing import Any

from llm_api.errors import error_body

CONTENT_TYPE = "text/event-stream"
DONE = b"data: [DONE]\n\n"


def event(data: Any) -> bytes:
    """Return `data` as one event."""
    return b"data: " + json.dumps(data, separators=(",", ":")).encode() + b"\n\n"


def broken(message: str) -> bytes:
    """Return the event that ends a stream whose provider broke off. No `[DONE]` follows it."""
    return b"\n\n" + event(error_body(502, message, code="provider_broke_off"))
