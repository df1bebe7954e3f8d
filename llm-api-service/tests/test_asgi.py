"""The way from ASGI to the application and back."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from flask import Response

from llm_api import asgi
from llm_api.asgi import EXTENSION, Asgi, Environ, Message, Respond, Streamed
from llm_api.sink import Sink

LARGEST = 10
SCOPE: Message = {
    "type": "http",
    "http_version": "1.1",
    "method": "POST",
    "scheme": "http",
    "raw_path": b"/a%20b/%ff",
    "query_string": b"q=%20",
    "headers": [],
    "client": ("192.0.2.1", 1234),
    "server": ("192.0.2.2", 5500),
}


class Parts:
    """A body of some parts, which may wait for each."""

    def __init__(self, *parts: bytes, gap: float = 0.0) -> None:
        self._parts = parts
        self._gap = gap
        self.made = 0
        self.closed = 0

    async def into(self, sink: Sink) -> None:
        for part in self._parts:
            if self._gap:
                await asyncio.sleep(self._gap)
            self.made += 1
            if not sink.take(part):
                await sink.ready()

    def alive(self) -> bytes:
        return b"alive"

    def broken(self, message: str) -> bytes:
        return message.encode()

    async def close(self) -> None:
        self.closed += 1


class Client:
    """The other side: what it sends, and what it gets."""

    def __init__(self, *parts: bytes, reads: int | None = None, writes: bool = False) -> None:
        """Send a body of `parts`, and read `reads` messages, or all.

        `writes` is whether its server offers to write at once.
        """
        self._writes = writes
        self._parts = list(parts) or [b""]
        self._reads = reads
        self._room = asyncio.Event()
        self.gone = asyncio.Event()
        self.got: list[Message] = []
        self.taken = 0

    async def receive(self) -> Message:
        if self._parts:
            self.taken += 1
            part = self._parts.pop(0)
            return {"type": "http.request", "body": part, "more_body": bool(self._parts)}
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        if self._reads is not None and len(self.got) >= self._reads:
            await self._room.wait()
        self.got.append(message)

    def read_on(self) -> None:
        self._reads = None
        self._room.set()

    async def ask(self, respond: Respond, **scope: Any) -> None:
        extensions = {EXTENSION: {"write": self._write}} if self._writes else {}
        whole = {**SCOPE, "extensions": extensions, **scope}
        await Asgi(respond, LARGEST)(whole, self.receive, self.send)

    def _write(self, data: bytes) -> bool:
        self.got.append({"type": "http.response.body", "body": data, "more_body": True})
        return self._reads is None or len(self.got) < self._reads

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.got)

    @property
    def status(self) -> int:
        return int(self.got[0]["status"])

    @property
    def complete(self) -> bool:
        return bool(self.got) and not self.got[-1].get("more_body", False)


@pytest.fixture(params=[False, True], ids=["sends", "writes"])
def writes(request: pytest.FixtureRequest) -> bool:
    """Whether the server offers to write at once."""
    return bool(request.param)


async def echo(environ: Environ) -> Response:
    return Response(environ["wsgi.input"].read())


def test_a_request_as_wsgi_has_it() -> None:
    seen: Environ = {}

    async def look(environ: Environ) -> Response:
        seen.update(environ)
        return Response(environ["wsgi.input"].read(), 201, {"X-One": "1"})

    headers = [
        (b"content-type", b"text/x"),
        (b"x-two", b"a"),
        (b"x-two", b"b"),
        (b"x_two", b"c"),
        (b"transfer-encoding", b"chunked"),
    ]
    client = Client(b"ab", b"cd")
    asyncio.run(client.ask(look, headers=headers))
    assert (client.status, client.body, client.complete) == (201, b"abcd", True)
    assert (b"x-one", b"1") in client.got[0]["headers"]
    assert seen["PATH_INFO"] == "/a b/\xff"
    assert seen["QUERY_STRING"] == "q=%20"
    assert (seen["CONTENT_TYPE"], seen["CONTENT_LENGTH"]) == ("text/x", "4")
    assert seen["HTTP_X_TWO"] == "a,b"
    assert "HTTP_TRANSFER_ENCODING" not in seen
    assert (seen["REMOTE_ADDR"], seen["SERVER_PORT"]) == ("192.0.2.1", "5500")


@pytest.mark.parametrize("announced", [False, True])
def test_of_a_body_that_is_too_large_little_is_read(announced: bool) -> None:
    seen: Environ = {}

    async def look(environ: Environ) -> Response:
        seen.update(environ)
        return Response(status=413)

    client = Client(*[b"x" * 6] * 5)
    headers = [(b"content-length", b"30")] if announced else []
    asyncio.run(client.ask(look, headers=headers))
    assert client.taken == (0 if announced else 2)
    assert int(seen["CONTENT_LENGTH"]) > LARGEST
    assert client.status == 413


def test_head_gets_no_body() -> None:
    client = Client(b"body")
    asyncio.run(client.ask(echo, method="HEAD"))
    assert (b"content-length", b"4") in client.got[0]["headers"]
    assert client.body == b""
    assert client.complete


def test_a_client_that_goes_before_its_request_is_whole_is_not_answered() -> None:
    async def run() -> None:
        client = Client(b"ab", b"cd")
        client._parts.pop()
        client.gone.set()

        async def receive() -> Message:
            message = await client.receive()
            return {**message, "more_body": True}

        await Asgi(echo, LARGEST)(SCOPE, receive, client.send)
        assert client.got == []

    asyncio.run(run())


def test_a_client_that_goes_ends_the_work_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asgi, "MOMENT", 0.01)
    ended = False

    async def work(_: Environ) -> Response:
        nonlocal ended
        try:
            await asyncio.sleep(60)
        finally:
            ended = True
        return Response()

    async def run() -> None:
        client = Client()
        asyncio.get_running_loop().call_later(0.05, client.gone.set)
        async with asyncio.timeout(5):
            await client.ask(work)
        assert ended
        assert client.got == []

    asyncio.run(run())


def test_a_client_that_goes_in_mid_stream_ends_it(
    monkeypatch: pytest.MonkeyPatch, writes: bool
) -> None:
    monkeypatch.setattr(asgi, "MOMENT", 0.01)

    async def run() -> None:
        body, closed = Parts(b"one", *[b"more"] * 1000, gap=0.02), []

        async def stream(_: Environ) -> Response:
            response = Streamed(body)
            response.call_on_close(lambda: closed.append(True))
            return response

        client = Client(writes=writes)
        asyncio.get_running_loop().call_later(0.1, client.gone.set)
        async with asyncio.timeout(5):
            await client.ask(stream)
        assert client.body.startswith(b"one")
        assert not client.complete
        assert (body.closed, closed) == (1, [True])

    asyncio.run(run())


def test_nothing_is_made_for_a_client_that_is_behind(writes: bool) -> None:
    async def run() -> None:
        body = Parts(*[b"part"] * 50)

        async def stream(_: Environ) -> Response:
            return Streamed(body)

        client = Client(reads=10, writes=writes)
        asking = asyncio.create_task(client.ask(stream))
        await asyncio.sleep(0.05)
        # The first message was the head. Without an offer to write, one more part waits for room.
        assert body.made == (9 if writes else 10)
        client.read_on()
        await asking
        assert client.body == b"part" * 50
        assert client.complete

    asyncio.run(run())


def test_a_client_that_never_reads_is_given_up(
    monkeypatch: pytest.MonkeyPatch, writes: bool
) -> None:
    monkeypatch.setattr(asgi, "MOMENT", 0.01)
    monkeypatch.setattr(asgi, "STALL", 0.1)

    async def run() -> None:
        body = Parts(*[b"part"] * 50)

        async def stream(_: Environ) -> Response:
            return Streamed(body)

        client = Client(reads=3, writes=writes)
        asking = asyncio.create_task(client.ask(stream))
        await asyncio.sleep(0.5)
        assert (body.closed, asking.done()) == (1, False)
        client.read_on()
        await asking
        assert client.body == b"partpart" + asgi.LEFT_UNREAD.encode()

    asyncio.run(run())


def test_a_client_that_goes_without_reading_anything_ends_it(
    monkeypatch: pytest.MonkeyPatch, writes: bool
) -> None:
    monkeypatch.setattr(asgi, "MOMENT", 0.01)

    async def run() -> None:
        body = Parts(b"part")

        async def stream(_: Environ) -> Response:
            return Streamed(body)

        client = Client(reads=0, writes=writes)
        asyncio.get_running_loop().call_later(0.05, client.gone.set)
        async with asyncio.timeout(5):
            await client.ask(stream)
        assert (body.made, body.closed) == (0, 1)

    asyncio.run(run())


def test_silence_is_filled_with_signs_of_life(
    monkeypatch: pytest.MonkeyPatch, writes: bool
) -> None:
    monkeypatch.setattr(asgi, "MOMENT", 0.01)
    monkeypatch.setattr(asgi, "HEARTBEAT", 0.05)

    async def stream(_: Environ) -> Response:
        return Streamed(Parts(b"one", b"two", gap=0.3))

    client = Client(writes=writes)
    asyncio.run(client.ask(stream))
    first, _, second = client.body.partition(b"one")
    assert first.count(b"alive") >= 3
    assert second.removesuffix(b"two").count(b"alive") >= 3
    assert client.complete


def test_an_end_from_outside_is_told_to_the_client(writes: bool) -> None:
    async def run() -> None:
        body = Parts(b"one", b"two", gap=0.05)

        async def stream(_: Environ) -> Response:
            return Streamed(body)

        client = Client(writes=writes)
        asking = asyncio.create_task(client.ask(stream))
        await asyncio.sleep(0.08)
        asking.cancel()
        await asking
        assert client.body == b"one" + asgi.STOPPED.encode()
        assert (client.complete, body.closed) == (True, 1)

    asyncio.run(run())


def test_an_error_before_the_response_is_the_servers() -> None:
    async def fail(_: Environ) -> Response:
        raise LookupError

    client = Client()
    with pytest.raises(LookupError):
        asyncio.run(client.ask(fail))
    assert client.got == []


def test_an_error_within_the_response_leaves_it_incomplete(writes: bool) -> None:
    class Failing(Parts):
        async def into(self, sink: Sink) -> None:
            if not sink.take(b"one"):
                await sink.ready()
            raise LookupError

    body = Failing()

    async def stream(_: Environ) -> Response:
        return Streamed(body)

    client = Client(writes=writes)
    with pytest.raises(LookupError):
        asyncio.run(client.ask(stream))
    assert (client.body, client.complete, body.closed) == (b"one", False, 1)


def test_nothing_but_http_is_spoken() -> None:
    client = Client()
    with pytest.raises(ValueError, match="lifespan"):
        asyncio.run(client.ask(echo, type="lifespan"))
    asyncio.run(client.ask(echo, type="websocket"))
    assert client.got == [{"type": "websocket.close"}]
