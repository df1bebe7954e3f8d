"""Server-sent events as OpenAI's protocol uses them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from llm_api.errors import error_body

CONTENT_TYPE = "text/event-stream"
DONE_PAYLOAD = b"[DONE]"
DONE = b"data: [DONE]\n\n"
# A comment, which clients skip.
HEARTBEAT = b": still here\n\n"

_encode = json.JSONEncoder(separators=(",", ":")).encode
_BOUNDARIES = (b"\n\n", b"\r\n\r\n")
_BETWEEN = re.compile(rb"(?:\r?\n){2,}")
_ENDS_WITH_DONE = re.compile(rb"(?:^|\n)data: ?\[DONE\]\s*\Z")
# Enough of a stream's end to see whether it was the end.
_TAIL = 64


def event(data: Any) -> bytes:
    """Return `data` as one event."""
    return b"data: " + _encode(data).encode() + b"\n\n"


def broken(message: str) -> bytes:
    """Return the event that ends a stream whose provider broke off. No `[DONE]` follows it."""
    return event(error_body(502, message, code="provider_broke_off"))


def payloads(events: bytes) -> Iterator[bytes]:
    """Yield the data of each of the whole `events`; comments and other fields are left out."""
    for block in _BETWEEN.split(events):
        lines = [line[5:].removeprefix(b" ") for line in block.splitlines() if line[:5] == b"data:"]
        if lines:
            yield b"\n".join(lines)


class WholeEvents:
    """Passes the bytes of a stream of events on as they are, but never a part of an event.

    So a comment can be put in at any time, and an error where the stream breaks.
    """

    def __init__(self) -> None:
        """Start at the beginning of a stream."""
        self._part = b""
        self._passed = b""
        """What was passed on last, with what came before where that is short."""

    @property
    def waiting(self) -> int:
        """How many bytes wait for the end of their event."""
        return len(self._part)

    def take(self, chunk: bytes) -> bytes:
        """Return the events that are whole with `chunk`; the rest waits for the next."""
        # This is done with every token: most come as one whole event.
        if not self._part and chunk.endswith(_BOUNDARIES):
            self._passed = chunk if len(chunk) >= _TAIL else (self._passed + chunk)[-_TAIL:]
            return chunk
        # A boundary may lie across two chunks, but not before that.
        start = max(0, len(self._part) - 3)
        data = self._part + chunk
        ends = [at + len(b) for b in _BOUNDARIES if (at := data.rfind(b, start)) >= 0]
        end = max(ends, default=0)
        self._part = data[end:]
        return self._pass(data[:end])

    def end(self) -> bytes | None:
        """Return what came after the last whole event, or None if the stream has no proper end."""
        last = self._pass(self._part)
        return last if _ENDS_WITH_DONE.search(self._passed) else None

    def _pass(self, data: bytes) -> bytes:
        self._passed = (self._passed + data)[-_TAIL:]
        return data
