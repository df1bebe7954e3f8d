"""A fake OpenAI-compatible server that is never the bottleneck.

`python -m benchmarks.service.upstream` prints its port. It answers as it was last told to by
`POST /behaviour`, and understands of HTTP only what the systems under test write.
"""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import dataclass, field
from typing import cast

import uvloop

from benchmarks.service import pinning
from benchmarks.service.wire import MARK, MODEL

_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_STREAM = re.compile(rb'"stream": ?true')
_BASE = {"id": "chatcmpl-bench", "created": 1, "model": MODEL}


def _chunked(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def _event(delta: dict[str, str], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    chunk = {**_BASE, "object": "chat.completion.chunk", "choices": [choice]}
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


def _whole(status: str, body: object) -> bytes:
    data = json.dumps(body).encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(data)}"
    return head.encode() + b"\r\n\r\n" + data


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
TOKEN = _chunked(_event({"role": "assistant", "content": f" {MARK}"}))
LAST = _chunked(_event({}, "stop") + b"data: [DONE]\n\n") + b"0\r\n\r\n"
ANSWER = _whole(
    "200 OK",
    {
        **_BASE,
        "object": "chat.completion",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": f"An answer of some words: {MARK}."},
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 9, "completion_tokens": 8, "total_tokens": 17},
    },
)
MODELS = _whole(
    "200 OK",
    {
        "object": "list",
        "data": [{"id": MODEL, "object": "model", "created": 1, "owned_by": "bench"}],
    },
)


@dataclass
class Behaviour:
    """How streams are answered. Times are in seconds."""

    first: float = 0.0
    """From the request to the first token."""
    tokens: int = 8
    gap: float = 0.0
    """From one token to the next; with 0 all go out at once."""


@dataclass
class State:
    """What the server does and has."""

    behaviour: Behaviour = field(default_factory=Behaviour)
    requests: int = 0
    open: int = 0
    """Streams under way."""


class Connection(asyncio.Protocol):
    """One connection, whose requests come one after the other."""

    def __init__(self, state: State) -> None:
        """Answer as `state` says."""
        self._state = state
        self._data = b""
        self._timer: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport
        self._begun = 0.0
        self._sent = 0
        self._behaviour = state.behaviour
        self._loop = asyncio.get_running_loop()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, _: Exception | None) -> None:
        """Stop what is under way."""
        if self._timer:
            self._timer.cancel()
            self._timer = None
            self._state.open -= 1

    def data_received(self, data: bytes) -> None:
        """Answer each request that has come whole."""
        self._data += data
        while (end := self._data.find(b"\r\n\r\n")) >= 0:
            head = self._data[:end]
            length = _LENGTH.search(head)
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(self._data) < whole:
                return
            body = self._data[end + 4 : whole]
            self._data = self._data[whole:]
            self._answer(head, body)

    def _answer(self, head: bytes, body: bytes) -> None:
        path = head.split(b" ", 2)[1]
        if path.endswith(b"/chat/completions"):
            self._state.requests += 1
            if _STREAM.search(body):
                self._begin()
            else:
                self._transport.write(ANSWER)
        elif path == b"/behaviour":
            self._state.behaviour = Behaviour(**json.loads(body))
            self._transport.write(_whole("200 OK", {}))
        elif path == b"/state":
            now = {"requests": self._state.requests, "open": self._state.open}
            self._transport.write(_whole("200 OK", now))
        elif path.endswith(b"/models"):
            self._transport.write(MODELS)
        else:
            self._transport.write(_whole("404 Not Found", {"error": {"message": "not here"}}))

    def _begin(self) -> None:
        self._behaviour = behaviour = self._state.behaviour
        if not behaviour.first and not behaviour.gap:
            self._transport.write(HEAD + TOKEN * behaviour.tokens + LAST)
            return
        self._state.open += 1
        self._transport.write(HEAD)
        self._sent = 0
        self._begun = self._loop.time() + behaviour.first
        self._timer = self._loop.call_at(self._begun, self._token)

    def _token(self) -> None:
        self._sent += 1
        if self._sent >= self._behaviour.tokens:
            self._timer = None
            self._state.open -= 1
            self._transport.write(TOKEN + LAST)
            return
        self._transport.write(TOKEN)
        due = self._begun + self._sent * self._behaviour.gap
        self._timer = self._loop.call_at(due, self._token)


async def serve() -> None:
    """Serve on a free port of this host until the process is ended."""
    state = State()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(state), "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    pinning.pin_to(pinning.OURS)
    uvloop.run(serve())
