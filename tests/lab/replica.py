"""A replica that does as its test says."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

# Seconds between two tokens of a stream.
PAUSE = 0.2

# Seconds that a replica hangs.
SILENCE = 5.0


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Replica:
    """An HTTP server of its own, on a port that the system chooses.

    Attributes:
        address: where it listens.
        status: what it answers with.
        headers: sent with each answer.
        body: sent with each answer.
        delay: seconds before it answers.
        healthy: what `/health/ready` says; None is a long silence.
        requests: all that arrived, without those for its health.
        left: set when a client went away in the middle of a stream.
    """

    address: str
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b'{"object":"list"}'
    delay: float = 0.0
    healthy: bool | None = True
    requests: list[Request] = field(default_factory=list)
    left: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        """Listen."""
        replica = self

        class Handler(_Handler):
            pass

        Handler.replica = replica
        self._server = _Server((self.address, 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    def __enter__(self) -> Self:
        """Start to answer."""
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the door."""
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    replica: Replica

    def _answer(self) -> None:
        body = self._read_body()
        replica = self.replica
        path = self.path.partition("?")[0]
        if path == "/health/ready":
            if replica.healthy is None:
                time.sleep(SILENCE)
            self._send(200 if replica.healthy else 503, {}, b"{}")
            return
        replica.requests.append(
            Request(self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, body)
        )
        time.sleep(replica.delay)
        if path == "/stream":
            self._stream()
        else:
            headers = {"Content-Type": "application/json"} | replica.headers
            self._send(replica.status, headers, replica.body)

    do_GET = do_POST = do_HEAD = do_OPTIONS = do_DELETE = _answer  # noqa: N815 - as http.server wants

    def _read_body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _stream(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        try:
            for number in range(10):
                self.wfile.write(b"data: %d%s\n\n" % (number, b" " * 2000))
                time.sleep(PAUSE)
        except OSError:
            self.replica.left.set()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - named by http.server
        """Keep quiet."""
