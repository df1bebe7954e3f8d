"""The chat at the end of `make up`, with a cluster that is a script."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import first_chat
import pytest

from tests.lab.certificates import Authority

NAME = "api.example.test"
MODEL = "small"


class Replica(BaseHTTPRequestHandler):
    """Has one model, which says one word."""

    def do_GET(self) -> None:
        self._answer(json.dumps({"data": [{"id": MODEL, "owned_by": "local"}]}))

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        chunk = {"model": MODEL, "choices": [{"delta": {"content": "Paris."}}]}
        self._answer(f"data: {json.dumps(chunk)}\n\ndata: [DONE]\n\n")

    def _answer(self, body: str) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


class Private(Replica):
    """Says nothing to anybody."""

    def do_GET(self) -> None:
        self.send_response(401)
        self.end_headers()


def redirect_to(port: int) -> type[BaseHTTPRequestHandler]:
    """Return what leads everybody to HTTPS at `port`, by the name."""

    class Redirect(Replica):
        def do_GET(self) -> None:
            self.send_response(308)
            self.send_header("Location", f"https://{NAME}:{port}{self.path}")
            self.end_headers()

    return Redirect


@contextmanager
def served(
    handler: type[BaseHTTPRequestHandler], context: ssl.SSLContext | None = None
) -> Iterator[int]:
    """Let `handler` answer at the port that this yields."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        if context:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.fixture
def cluster_for(tmp_path: Path) -> Iterator[Callable[[str], str]]:
    """A cluster that leads to HTTPS, with a certificate for the name that it is called with."""
    with ExitStack() as stack:

        def start(name: str) -> str:
            authority = Authority()
            (tmp_path / "root.pem").write_bytes(authority.root_pem)
            issued = authority.issue([name])
            issued.write(tmp_path / "version", [name])
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(
                tmp_path / "version/fullchain.pem", tmp_path / "version/privkey.pem"
            )
            port = stack.enter_context(served(Replica, context))
            return f"http://127.0.0.1:{stack.enter_context(served(redirect_to(port)))}"

        yield start


def run(monkeypatch: pytest.MonkeyPatch, url: str) -> int:
    monkeypatch.setattr("sys.argv", ["first_chat.py", url])
    return first_chat.main()


def test_without_tls(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with served(Replica) as port:
        assert run(monkeypatch, f"http://127.0.0.1:{port}") == 0
    output = capsys.readouterr().out
    assert "Cluster: Paris." in output
    assert f"The cluster answers at http://127.0.0.1:{port}/v1" in output


def test_in_private_mode(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with served(Private) as port:
        assert run(monkeypatch, f"http://127.0.0.1:{port}") == 0
    assert "in private mode" in capsys.readouterr().out


def test_a_name_that_nobody_resolves(
    cluster_for: Callable[[str], str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    url = cluster_for(NAME)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "root.pem"))
    assert run(monkeypatch, url) == 0
    output = capsys.readouterr().out
    assert "Cluster: Paris." in output
    assert f"The cluster answers at https://{NAME}:" in output


@pytest.mark.parametrize(("name", "known"), [("another.example.test", True), (NAME, False)])
def test_a_certificate_that_is_not_trusted(
    cluster_for: Callable[[str], str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    name: str,
    *,
    known: bool,
) -> None:
    url = cluster_for(name)
    if known:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "root.pem"))
    assert run(monkeypatch, url) == 1
    assert "this machine does not trust its certificate" in capsys.readouterr().err
