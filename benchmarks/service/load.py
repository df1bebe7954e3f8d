"""The load: chats over plain sockets, as many at once as wanted."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

from benchmarks.service.wire import MARK, MODEL

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)
_MARK = MARK.encode()
_OK = b"HTTP/1.1 200"
_DONE = b"[DONE]"
_END = b"0\r\n\r\n"
# So much of what came before is kept to find what lies across two reads.
_TAIL = 12

# The event loop's own clock stands still between two of its rounds, and counts milliseconds.
now = time.perf_counter


def request(port: int, key: str, *, stream: bool) -> bytes:
    """Return a chat request as it goes over the wire."""
    messages = [{"role": "user", "content": "Say something in a few words."}]
    body = json.dumps({"model": MODEL, "messages": messages, "stream": stream}).encode()
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        f"{f'Authorization: Bearer {key}' if key else 'X-Key: none'}\r\n\r\n"
    )
    return head.encode() + body


@dataclass
class Outcome:
    """What became of one chat. Times are seconds since it was begun."""

    first: float = 0.0
    """To its first token, or to the whole answer."""
    total: float = 0.0
    tokens: int = 0
    error: str = ""


@dataclass
class Samples:
    """What became of many."""

    outcomes: list[Outcome] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def good(self) -> list[Outcome]:
        """Those without an error."""
        return [outcome for outcome in self.outcomes if not outcome.error]

    @property
    def errors(self) -> list[str]:
        """What went wrong."""
        return [outcome.error for outcome in self.outcomes if outcome.error]


class Answers:
    """Cuts the answers of one connection off what it brings, whole ones only."""

    def __init__(self) -> None:
        """Start with none."""
        self._data = b""

    def take(self, data: bytes) -> list[bytes]:
        """Return the answers that are whole with `data`."""
        self._data += data
        whole = []
        while (end := self._end()) >= 0:
            whole.append(self._data[:end])
            self._data = self._data[end:]
        return whole

    def _end(self) -> int:
        head = self._data.find(b"\r\n\r\n")
        if head < 0:
            return -1
        if length := _LENGTH.search(self._data, 0, head + 2):
            end = head + 4 + int(length[1])
            return end if len(self._data) >= end else -1
        if _CHUNKED.search(self._data, 0, head + 2):
            end = self._data.find(_END, head)
            return end + len(_END) if end >= 0 else -1
        return -1


class _Closed(asyncio.Protocol):
    """A connection that asks again as soon as it is answered."""

    def __init__(self, data: bytes, samples: Samples, going: Callable[[], bool]) -> None:
        self._request = data
        self._samples = samples
        self._going = going
        self._loop = asyncio.get_running_loop()
        self._answers = Answers()
        self._begun = 0.0
        self._transport: asyncio.Transport
        self.over: asyncio.Future[None] = self._loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._ask()

    def _ask(self) -> None:
        self._begun = now()
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        for answer in self._answers.take(data):
            seconds = now() - self._begun
            good = answer.startswith(_OK) and _MARK in answer
            error = "" if good else answer[:200].decode(errors="replace")
            self._samples.outcomes.append(Outcome(seconds, seconds, 1, error))
            if not self._going():
                self._transport.close()
                return
            self._ask()

    def connection_lost(self, _: Exception | None) -> None:
        if self._going():
            self._samples.outcomes.append(Outcome(error="connection closed"))
        if not self.over.done():
            self.over.set_result(None)


async def closed_loop(
    port: int,
    key: str,
    connections: int,
    *,
    seconds: float = 0.0,
    count: int = 0,
    stream: bool = False,
) -> Samples:
    """Keep `connections` busy for `seconds`, or until `count` answers have come."""
    loop = asyncio.get_running_loop()
    samples = Samples()
    start = now()
    until = start + seconds

    def going() -> bool:
        return len(samples.outcomes) < count if count else now() < until

    data = request(port, key, stream=stream)
    made = [
        await loop.create_connection(lambda: _Closed(data, samples, going), "127.0.0.1", port)
        for _ in range(connections)
    ]
    await asyncio.wait([protocol.over for _, protocol in made], timeout=seconds + 120)
    for transport, _ in made:
        transport.abort()
    samples.seconds = now() - start
    return samples


class Stream(asyncio.Protocol):
    """One streamed chat on a connection of its own."""

    def __init__(self, data: bytes, begun: float) -> None:
        """Ask `data`; count from the loop's time `begun`."""
        self._request = data
        self._begun = begun
        self._tail = b""
        self._head = True
        self._transport: asyncio.Transport | None = None
        self._loop = asyncio.get_running_loop()
        self.outcome = Outcome(error="unfinished")
        self.over: asyncio.Future[None] = self._loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Count the tokens, and note the first and the end."""
        if self._head:
            self._head = False
            if not data.startswith(_OK):
                self.outcome.error = data[:200].decode(errors="replace")
                self.close()
                return
        window = self._tail + data
        if found := window.count(_MARK) - self._tail.count(_MARK):
            self.outcome.tokens += found
            if not self.outcome.first:
                self.outcome.first = now() - self._begun
        if _DONE in window:
            self.outcome.total = now() - self._begun
            self.outcome.error = ""
            self.close()
        self._tail = window[-_TAIL:]

    def connection_lost(self, _: Exception | None) -> None:
        """Note the end."""
        if not self.over.done():
            self.over.set_result(None)

    def close(self) -> None:
        """Hang up."""
        if self._transport:
            self._transport.abort()
        if not self.over.done():
            self.over.set_result(None)


async def streams(
    port: int,
    key: str,
    count: int,
    *,
    ramp: float,
    limit: float,
    when_open: Callable[[], None] = lambda: None,
) -> Samples:
    """Begin `count` streams, evenly over `ramp` seconds, and wait `limit` seconds for all to end.

    `when_open` is called half a second after the last has been begun.
    """
    loop = asyncio.get_running_loop()
    data = request(port, key, stream=True)
    start = now()

    async def one(number: int) -> Stream:
        due = start + ramp * number / count
        await asyncio.sleep(due - now())
        protocol = Stream(data, now())
        try:
            async with asyncio.timeout(limit):
                await loop.create_connection(lambda: protocol, "127.0.0.1", port)
                await protocol.over
        except TimeoutError:
            protocol.close()
        except OSError as error:
            protocol.outcome.error = type(error).__name__
        return protocol

    tasks = [asyncio.create_task(one(number)) for number in range(count)]
    handle = loop.call_later(ramp + 0.5, when_open)
    done = await asyncio.gather(*tasks)
    handle.cancel()
    samples = Samples([protocol.outcome for protocol in done], now() - start)
    # A stream whose tokens came over incomplete is no success.
    most = max((outcome.tokens for outcome in samples.outcomes), default=0)
    for outcome in samples.good:
        if outcome.tokens != most:
            outcome.error = f"{outcome.tokens} of {most} tokens"
    return samples


async def call(port: int, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    """Make one request on a connection of its own and return status and JSON body.

    Raises:
        OSError: nobody listens.
    """
    data = b"" if body is None else json.dumps(body).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(data)}\r\n\r\n"
    writer.write(head.encode() + data)
    answers = Answers()
    try:
        async with asyncio.timeout(5):
            while chunk := await reader.read(65536):
                for answer in answers.take(chunk):
                    head_bytes, _, rest = answer.partition(b"\r\n\r\n")
                    return int(head_bytes.split(b" ", 2)[1]), _json(rest)
    finally:
        writer.close()
    raise ConnectionResetError


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None
