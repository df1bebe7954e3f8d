"""POSTs and streams that go on and on, each of them counted, while replicas fail."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import Counter
from dataclasses import dataclass
from statistics import median

from testbed.background import Background

# Seconds that a client waits for an answer, and between its requests.
PATIENCE = 8.0
PAUSE = 0.05

CHAT = b'{"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 2, "stream": %s}'


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one request.

    Attributes:
        stream: whether it asked for a stream.
        started: when, in seconds of the monotonic clock.
        seconds: how long it took.
        replica: who began to answer, or nothing.
        request_id: the id that the client gave it.
        failure: what went wrong, or nothing.
    """

    stream: bool
    started: float
    seconds: float
    replica: str
    request_id: str
    failure: str


class Load(Background):
    """Clients that ask for as long as the `with` block lasts; what is under way is finished.

    Each request has a connection of its own and nothing is repeated, so each failure is one
    that a client would see.
    """

    def __init__(
        self, address: str, *, posts: int = 8, streams: int = 4, pause: float = PAUSE
    ) -> None:
        """Plan for `posts` clients that want an answer at once, and `streams` that want tokens."""
        self.outcomes: list[Outcome] = []
        self._address = address
        self._clients = [False] * posts + [True] * streams
        self._pause = pause
        super().__init__(lambda: asyncio.run(self._run()))

    @property
    def posts(self) -> list[Outcome]:
        """The requests that wanted an answer at once."""
        return [outcome for outcome in self.outcomes if not outcome.stream]

    @property
    def streams(self) -> list[Outcome]:
        """The requests that wanted tokens."""
        return [outcome for outcome in self.outcomes if outcome.stream]

    def failures(self, *, since: float = 0.0) -> list[Outcome]:
        """Return what failed of the requests that started `since` then."""
        return [o for o in self.outcomes if o.failure and o.started >= since]

    def report(self, event: str) -> str:
        """Return one line on what `event` cost."""
        failures = Counter(o.failure for o in self.failures())
        return (
            f"{event}: {len(self.posts)} POSTs, {sum(bool(o.failure) for o in self.posts)} failed;"
            f" {len(self.streams)} streams, {sum(bool(o.failure) for o in self.streams)} failed;"
            f" median {1000 * median(o.seconds for o in self.posts):.0f} ms"
            f"{' ' + str(dict(failures)) if failures else ''}"
        )

    async def _run(self) -> None:
        await asyncio.gather(*(self._repeat(stream) for stream in self._clients))

    async def _repeat(self, stream: bool) -> None:
        while not self.stopped:
            self.outcomes.append(await ask(self._address, stream=stream))
            await asyncio.sleep(self._pause)


async def ask(address: str, *, stream: bool = False, patience: float = PATIENCE) -> Outcome:
    """Make one request of the gateway at `address`."""
    started = time.monotonic()
    request_id = uuid.uuid4().hex
    received = b""
    failure = ""
    try:
        async with asyncio.timeout(patience):
            reader, writer = await asyncio.open_connection(address, 80)
            try:
                writer.write(_request(address, stream, request_id))
                while part := await reader.read(65536):
                    received += part
            finally:
                writer.close()
    except TimeoutError:
        failure = "no answer in time"
    except OSError as error:
        failure = type(error).__name__
    head, _, body = received.partition(b"\r\n\r\n")
    if not failure:
        failure = _judge(head, body, stream)
    replica = head.partition(b"X-Replica: ")[2].partition(b"\r\n")[0].decode()
    return Outcome(stream, started, time.monotonic() - started, replica, request_id, failure)


def _request(address: str, stream: bool, request_id: str) -> bytes:
    body = CHAT % (b"true" if stream else b"false")
    return (
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n"
        b"X-Request-ID: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
        % (address.encode(), request_id.encode(), len(body), body)
    )


def _judge(head: bytes, body: bytes, stream: bool) -> str:
    """Return what is wrong with an answer, or nothing."""
    status = head[9:12].decode()
    if status != "200":
        return f"status {status or 'none'}"
    end = b"data: [DONE]" if stream else b'"finish_reason"'
    return "" if end in body else "it broke off"
