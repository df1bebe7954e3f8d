"""The client asks as it should, whatever the server does."""

from __future__ import annotations

import asyncio
import socket
import ssl
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
import trustme
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st
from yarl import URL

from llm_api.http_client import (
    ConnectionFailedError,
    HttpError,
    Origin,
    Response,
    connection,
    origin,
)
from llm_api.http_client.connection import Connection
from llm_api.sink import Collected

Say = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
"""What a server does with a connection."""

HELLO = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nHello"
CHUNKED = (
    b"HTTP/1.1 100 Continue\r\nX-Early: yes\r\n\r\n"
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nX-Kind: a\r\n\r\n"
    b"2;name=value\r\nHe\r\n3\r\nllo\r\n0\r\nX-Late: yes\r\n\r\n"
)


class Server:
    """A server that speaks as its test says, and what it heard."""

    def __init__(self, say: Callable[[Server], Say]) -> None:
        self._say = say(self)
        self.requests: list[bytes] = []
        self.connections = 0
        self.gone = asyncio.Event()
        """Whether some client has hung up."""

    async def request(self, reader: asyncio.StreamReader) -> bytes:
        """Read one request, and return it; raise IncompleteReadError where none comes."""
        head = await reader.readuntil(b"\r\n\r\n")
        length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
        request = head + await reader.readexactly(int(length or 0))
        self.requests.append(request)
        return request

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            await self._say(reader, writer)
        except (asyncio.IncompleteReadError, OSError):
            self.gone.set()
        finally:
            writer.close()


@asynccontextmanager
async def serving(
    say: Callable[[Server], Say], tls: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[Server, int]]:
    """Serve on a port of its own, which is returned, too."""
    server = Server(say)
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=tls)
    try:
        yield server, listening.sockets[0].getsockname()[1]
    finally:
        listening.close()


def always(*pieces: bytes, pause: float = 0.0) -> Callable[[Server], Say]:
    """Answer each request with these pieces, and keep the connection."""

    def say(server: Server) -> Say:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while True:
                await server.request(reader)
                for piece in pieces:
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(pause)

        return answer

    return say


def once(*pieces: bytes) -> Callable[[Server], Say]:
    """Answer one request with these pieces, and close the connection."""

    def say(server: Server) -> Say:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await server.request(reader)
            writer.write(b"".join(pieces))

        return answer

    return say


def run(test: Coroutine[Any, Any, None]) -> None:
    """Run `test` on the loop that the service runs on."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(asyncio.wait_for(test, 20))


async def read(response: Response) -> bytes:
    parts = []
    while part := await response.read():
        parts.append(part)
    return b"".join(parts)


async def get(asked: Origin, port: int) -> bytes:
    response = await asked.ask(asked.head("GET", local(port), {}))
    return await read(response)


def local(port: int) -> URL:
    return URL(f"http://127.0.0.1:{port}/a%20path?q=1")


def test_a_request_and_its_answer() -> None:
    async def test() -> None:
        async with serving(always(HELLO)) as (server, port):
            asked = Origin(local(port))
            head = asked.head("POST", local(port), {"X-Key": "k"})
            response = await asked.ask(head, b"body")
            assert response.status == 200
            assert response.headers[b"content-type"] == b"text/plain"
            assert await read(response) == b"Hello"
            lines = server.requests[0].split(b"\r\n")
            assert lines[0] == b"POST /a%20path?q=1 HTTP/1.1"
            assert {f"Host: 127.0.0.1:{port}".encode(), b"X-Key: k"} <= set(lines)
            assert server.requests[0].endswith(b"Content-Length: 4\r\n\r\nbody")
            asked.close()

    run(test())


def test_a_connection_is_kept() -> None:
    async def test() -> None:
        async with serving(always(HELLO)) as (server, port):
            asked = Origin(local(port))
            for _ in range(3):
                assert await get(asked, port) == b"Hello"
            assert (server.connections, asked.connections) == (1, 1)
            assert await asyncio.gather(*(get(asked, port) for _ in range(3))) == [b"Hello"] * 3
            assert (server.connections, asked.connections) == (3, 3)
            asked.close()
            await server.gone.wait()
            assert asked.connections == 0

    run(test())


@settings(max_examples=40, deadline=None)
async def pour(response: Response, *, room: bool = True) -> bytes:
    """Let all be poured out; where there is no `room`, each piece is one too many for now."""
    parts: list[bytes] = []

    def take(data: bytes) -> bool:
        assert data
        parts.append(data)
        return room

    whole = False
    while not whole:
        whole = await response.pour(take)
    return b"".join(parts)


READERS = [read, pour, partial(pour, room=False)]


@given(
    st.sampled_from([HELLO, CHUNKED]),
    st.sets(st.integers(1, len(CHUNKED) - 1), max_size=20),
    st.sampled_from(READERS),
)
def test_any_cut_gives_the_same_answer(
    answer: bytes, cuts: set[int], read: Callable[[Response], Awaitable[bytes]]
) -> None:
    edges = [0, *sorted(cut for cut in cuts if cut < len(answer)), len(answer)]
    pieces = [answer[a:b] for a, b in pairwise(edges)]

    async def test() -> None:
        async with serving(always(*pieces, pause=0.0005)) as (server, port):
            asked = Origin(local(port))
            for _ in range(2):
                response = await asked.ask(asked.head("GET", local(port), {}))
                assert await read(response) == b"Hello"
                assert (b"x-kind" in response.headers) is (answer is CHUNKED)
                assert not {b"x-early", b"x-late"} & set(response.headers)
            assert server.connections == 1
            asked.close()

    run(test())


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (b"HTTP/1.0 200 OK\r\n\r\nuntil the end", b"until the end"),
        (HELLO.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"), b"Hello"),
        (b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n", b""),
    ],
)
def test_a_connection_that_ends_is_not_used_again(answer: bytes, body: bytes) -> None:
    async def test() -> None:
        async with serving(once(answer)) as (server, port):
            asked = Origin(local(port))
            for _ in range(2):
                assert await get(asked, port) == body
            assert server.connections == 2

    run(test())


def test_a_server_that_wants_the_end_gets_it() -> None:
    closing = HELLO.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")

    async def test() -> None:
        async with serving(always(closing)) as (server, port):
            asked = Origin(local(port))
            assert await get(asked, port) == b"Hello"
            await server.gone.wait()
            assert await get(asked, port) == b"Hello"
            assert len(server.requests) == 2

    run(test())


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"", "ended too early"),
        (b"HTTP/1.1 200 OK\r\nContent-Le", "ended too early"),
        (HELLO[:-1], "ended too early"),
        (CHUNKED[:-30], "ended too early"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "no HTTP"),
        (b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n\r\n", "no HTTP"),
        (CHUNKED.replace(b"3\r\nllo", b"zz\r\nllo"), "no HTTP"),
        (b"HTTP/1.1 200 OK\r\n" + b"X-Long: " + b"x" * 100_000, "too large"),
    ],
)
def test_what_is_no_answer(answer: bytes, reason: str) -> None:
    async def test() -> None:
        async with serving(once(answer)) as (server, port):
            asked = Origin(local(port))
            with pytest.raises(HttpError, match=reason):
                await get(asked, port)
            assert server.connections == 1
            await until(lambda: asked.connections == 0)

    run(test())


def test_nobody_listens() -> None:
    async def test() -> None:
        async with serving(always()) as (_, port):
            pass
        with pytest.raises(ConnectionFailedError, match="no connection"):
            await get(Origin(local(port)), port)
        unknown = Origin(URL("http://unknown.invalid/"))
        with pytest.raises(ConnectionFailedError, match="no connection"):
            await unknown.ask(b"GET / HTTP/1.1\r\n")

    run(test())


def test_a_server_that_hangs_up_at_once() -> None:
    def say(_: Server) -> Say:
        async def leave(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.transport.abort()

        return leave

    async def test() -> None:
        async with serving(say) as (_, port):
            asked = Origin(local(port))
            for _ in range(50):
                with pytest.raises(HttpError, match="too early"):
                    await get(asked, port)
            await until(lambda: asked.connections == 0)

    run(test())


def test_a_connection_that_is_lost_already_answers_nothing() -> None:
    async def test() -> None:
        connection = Connection(lambda _: None, lambda _: None)
        connection.connection_lost(None)
        with pytest.raises(HttpError, match="too early"):
            await connection.ask(b"GET / HTTP/1.1\r\n\r\n").head()

    run(test())


def test_a_kept_connection_that_the_server_just_closed_costs_nothing() -> None:
    def say(server: Server) -> Say:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await server.request(reader)
            writer.write(HELLO)
            # The next one crosses the end of the connection.
            await server.request(reader)

        return answer

    async def test() -> None:
        async with serving(say) as (server, port):
            asked = Origin(local(port))
            for _ in range(2):
                assert await get(asked, port) == b"Hello"
            assert (server.connections, len(server.requests)) == (2, 3)
            asked.close()

    run(test())


def test_what_a_server_worked_on_is_not_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(origin, "CROSSING", 0.05)

    def say(server: Server) -> Say:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await server.request(reader)
            writer.write(HELLO)
            await server.request(reader)
            await asyncio.sleep(0.2)

        return answer

    async def test() -> None:
        async with serving(say) as (server, port):
            asked = Origin(local(port))
            await get(asked, port)
            with pytest.raises(HttpError, match="too early"):
                await get(asked, port)
            assert len(server.requests) == 2

    run(test())


def test_what_broke_after_it_began_is_not_asked_again() -> None:
    def say(server: Server) -> Say:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await server.request(reader)
            writer.write(HELLO)
            await server.request(reader)
            writer.write(HELLO[:10])

        return answer

    async def test() -> None:
        async with serving(say) as (server, port):
            asked = Origin(local(port))
            await get(asked, port)
            with pytest.raises(HttpError, match="too early"):
                await get(asked, port)
            assert len(server.requests) == 2

    run(test())


@pytest.mark.parametrize("surplus", [HELLO, b"garbage"])
def test_what_nobody_asked_for_is_nobodys_answer(surplus: bytes) -> None:
    async def test() -> None:
        async with serving(always(HELLO + surplus)) as (server, port):
            asked = Origin(local(port))
            for _ in range(2):
                assert await get(asked, port) == b"Hello"
            assert server.connections == 2
        async with serving(always(HELLO, surplus, pause=0.05)) as (server, port):
            asked = Origin(local(port))
            assert await get(asked, port) == b"Hello"
            await until(lambda: asked.connections == 0)

    run(test())


def test_a_server_waits_for_whoever_does_not_read() -> None:
    whole = 20_000_000
    written = 0

    def say(server: Server) -> Say:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal written
            await server.request(reader)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % whole)
            while written < whole:
                writer.write(b"x" * 100_000)
                await writer.drain()
                written += 100_000
            await server.request(reader)

        return answer

    async def test() -> None:
        async with serving(say) as (_, port):
            asked = Origin(local(port))
            response = await asked.ask(asked.head("GET", local(port), {}))
            await asyncio.sleep(0.5)
            # What the kernel holds for both sides is not ours.
            assert written < whole * 3 / 4
            assert len(await read(response)) == whole
            asked.close()

    run(test())


def test_a_server_waits_for_whoever_has_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "MOST_UNREAD", 1000)
    piece, count = b"x" * 500, 20
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (len(piece) * count)

    async def test() -> None:
        async with serving(always(head, *[piece] * count, pause=0.002)) as (_, port):
            asked = Origin(local(port))
            response = await asked.ask(asked.head("GET", local(port), {}))
            taken: list[bytes] = []

            def take(data: bytes) -> bool:
                taken.append(data)
                return len(taken) > 1

            assert not await response.pour(take)
            await asyncio.sleep(0.2)
            # Nothing came after the one piece for which there was no room.
            assert len(taken) == 1
            assert await response.pour(take)
            assert b"".join(taken) == piece * count
            # What lay in between was more than is kept, and less than all of it.
            assert 1000 < len(taken[1]) < len(piece) * (count - 1)
            asked.close()

    run(test())


def test_what_a_reader_raises_comes_back_to_it() -> None:
    async def test() -> None:
        async with serving(always(HELLO[:-2], HELLO[-2:], pause=0.02)) as (server, port):
            asked = Origin(local(port))
            for _ in range(2):
                response = await asked.ask(asked.head("GET", local(port), {}))
                assert await response.read() == HELLO[-5:-2]

                def take(data: bytes) -> bool:
                    raise LookupError(data)

                with pytest.raises(LookupError, match="lo"):
                    await response.pour(take)
                # The answer is whole all the same, and its connection is kept.
                assert await response.pour(take)
            assert server.connections == 1
            asked.close()

    run(test())


def test_an_answer_that_breaks_off_is_poured_up_to_there() -> None:
    async def test() -> None:
        async with serving(once(HELLO[:-2])) as (_, port):
            asked = Origin(local(port))
            response = await asked.ask(asked.head("GET", local(port), {}))
            collected = Collected()
            with pytest.raises(HttpError, match="too early"):
                await response.pour(collected.take)
            assert collected.whole() == HELLO[-5:-2]
            asked.close()

    run(test())


def test_whoever_leaves_ends_the_answer() -> None:
    async def test() -> None:
        async with serving(always(HELLO[:-1])) as (server, port):
            asked = Origin(local(port))
            response = await asked.ask(asked.head("GET", local(port), {}))
            assert await response.read() == b"Hell"
            response.close()
            await server.gone.wait()
        async with serving(always()) as (server, port):
            asked = Origin(local(port))
            asking = asyncio.create_task(get(asked, port))
            await until(lambda: bool(server.requests))
            asking.cancel()
            await server.gone.wait()
            assert asked.connections == 0

    run(test())


def test_an_idle_connection_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(origin, "KEEP_ALIVE", 0.1)

    async def test() -> None:
        async with serving(always(HELLO)) as (server, port):
            asked = Origin(local(port))
            await get(asked, port)
            await asyncio.wait_for(server.gone.wait(), 5)
            assert asked.connections == 0
            assert await get(asked, port) == b"Hello"
            assert server.connections == 2
            asked.close()

    run(test())


def test_a_server_that_does_not_take_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(origin, "CONNECT_TIMEOUT", 0.05)

    async def slow(*_: object) -> list[object]:
        await asyncio.sleep(5)
        return []

    async def test() -> None:
        asked = Origin(URL("http://slow.invalid/"))
        monkeypatch.setattr(asked, "_look_up", slow)
        with pytest.raises(ConnectionFailedError, match="in time"):
            await asked.ask(b"GET / HTTP/1.1\r\n")

    run(test())


def test_a_name_is_looked_up_once_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        async with serving(always(HELLO)) as (_, port):
            asked = Origin(URL(f"http://localhost:{port}/"))
            look_up, times = asked._look_up, 0

            async def counted() -> Any:
                nonlocal times
                times += 1
                return await look_up()

            monkeypatch.setattr(asked, "_look_up", counted)
            await asyncio.gather(*(get(asked, port) for _ in range(5)))
            assert times == 1
            asked.close()

    run(test())


def test_of_several_addresses_one_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        async with serving(always(HELLO)) as (_, port):
            asked = Origin(URL(f"http://localhost:{port}/"))
            here = (socket.AF_INET, socket.SOCK_STREAM, 0, "")

            async def both() -> Any:
                return [(*here, ("127.0.0.2", port)), (*here, ("127.0.0.1", port))]

            monkeypatch.setattr(asked, "_look_up", both)
            assert await get(asked, port) == b"Hello"
            asked.close()

    run(test())


@pytest.mark.parametrize("header", ["a\r\nX: b", "\u20ac"])
def test_a_header_that_cannot_be_sent(header: str) -> None:
    with pytest.raises(ValueError, match=r"header|latin-1"):
        Origin(local(1)).head("GET", local(1), {"X-Key": header})


def test_a_name_in_the_url_proves_itself() -> None:
    url = URL("http://user:word@host/")
    expected = b"Authorization: Basic " + b64encode(b"user:word") + b"\r\n"
    assert expected in Origin(url).head("GET", url, {})
    own = Origin(url).head("GET", url, {"Authorization": "Bearer key"})
    assert b"Bearer key" in own
    assert b"Basic" not in own


def test_a_proxy_is_told_where_to() -> None:
    async def test() -> None:
        async with serving(always(HELLO)) as (server, port):
            far, proxy = URL("http://far.example:8080/v1/x"), URL(f"http://u:w@127.0.0.1:{port}")
            asked = Origin(far, proxy)
            await asked.ask(asked.head("GET", far, {}))
            lines = server.requests[0].split(b"\r\n")
            assert lines[0] == b"GET http://far.example:8080/v1/x HTTP/1.1"
            assert b"Host: far.example:8080" in lines
            assert b"Proxy-Authorization: Basic " + b64encode(b"u:w") in lines
            asked.close()

    run(test())


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    return context


def trusting(asked: Origin, authority: trustme.CA) -> Origin:
    authority.configure_trust(asked._tls())
    return asked


def test_tls(authority: trustme.CA, tls: ssl.SSLContext) -> None:
    async def test() -> None:
        async with serving(always(HELLO), tls) as (server, port):
            url = URL(f"https://localhost:{port}/")
            with pytest.raises(ConnectionFailedError, match="not trusted"):
                await get(Origin(url), port)
            asked = trusting(Origin(url), authority)
            for _ in range(2):
                assert await get(asked, port) == b"Hello"
            assert len(server.requests) == 2
            asked.close()

    run(test())


def tunnel(port: int, status: int = 200) -> Callable[[Server], Say]:
    """Be a proxy that connects to `port`."""

    def say(server: Server) -> Say:
        async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
            writer.close()

        async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await server.request(reader)
            if status != 200:
                writer.write(b"HTTP/1.1 %d No\r\nContent-Length: 0\r\n\r\n" % status)
                return
            writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
            await asyncio.gather(pump(reader, far_writer), pump(far_reader, writer))

        return connect

    return say


def test_tls_through_a_proxy(authority: trustme.CA, tls: ssl.SSLContext) -> None:
    async def test() -> None:
        async with (
            serving(always(HELLO), tls) as (_, port),
            serving(tunnel(port)) as (proxy, proxy_port),
        ):
            url = URL(f"https://localhost:{port}/")
            asked = trusting(Origin(url, URL(f"http://u:w@127.0.0.1:{proxy_port}")), authority)
            for _ in range(2):
                assert await get(asked, port) == b"Hello"
            (request,) = proxy.requests
            assert request.startswith(f"CONNECT localhost:{port} HTTP/1.1\r\n".encode())
            assert b"Proxy-Authorization: Basic " + b64encode(b"u:w") in request
            assert asked.connections == 1
            asked.close()
            await until(lambda: asked.connections == 0)

    run(test())


@pytest.mark.parametrize(
    ("say", "reason"),
    [(tunnel(0, 403), "answered 403"), (once(b""), "too early"), (once(b"SSH\r\n"), "no HTTP")],
)
def test_a_proxy_that_does_not_connect(say: Callable[[Server], Say], reason: str) -> None:
    async def test() -> None:
        async with serving(say) as (_, port):
            asked = Origin(URL("https://far.example/"), URL(f"http://127.0.0.1:{port}"))
            with pytest.raises(ConnectionFailedError, match=reason):
                await get(asked, port)

    run(test())


async def until(true: Callable[[], bool]) -> None:
    while not true():  # noqa: ASYNC110  # nothing tells when
        await asyncio.sleep(0.01)
