"""Whether an authority could issue is seen before it is asked."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from roles.certbot.library import acme_preflight as preflight


class Handler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Keep quiet."""


@contextmanager
def web(folder: Path) -> Iterator[int]:
    """Serve `folder` by HTTP, and return the port."""
    httpd = HTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    try:
        yield httpd.server_port
    finally:
        httpd.shutdown()
        httpd.server_close()


def test_a_challenge_is_found_and_nothing_is_left(tmp_path: Path) -> None:
    with web(tmp_path) as port:
        assert preflight.probe("api.example.com", "127.0.0.1", tmp_path, port) == ""
    assert list(tmp_path.iterdir()) == []


def test_another_server_is_seen(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with web(tmp_path / "other") as port:
        fault = preflight.probe("api.example.com", "127.0.0.1", tmp_path, port)
    assert fault == "another server answers there, with status 404"


def test_nobody_is_seen(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    fault = preflight.probe("api.example.com", "127.0.0.1", tmp_path, port)
    assert "Connection refused" in fault


def faults(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, meta: Any, **stubs: Any) -> list[str]:
    """Return what is found at an authority that says `meta` about itself."""
    for name, stub in stubs.items():
        monkeypatch.setattr(preflight, name, stub)
    (tmp_path / "directory").write_text(json.dumps({"meta": meta}))
    with web(tmp_path) as port:
        url = f"http://127.0.0.1:{port}/directory"
        return preflight.faults(["api.example.test"], url, "", str(tmp_path))


def test_a_name_that_does_not_resolve(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    [fault] = faults(monkeypatch, tmp_path, {})
    assert fault.startswith("api.example.test does not resolve (")
    assert "A or AAAA record" in fault


def test_a_name_that_points_elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def elsewhere(*_: Any, **__: Any) -> list[Any]:
        return [(0, 0, 0, "", ("192.0.2.7", 80))]

    monkeypatch.setattr(socket, "getaddrinfo", elsewhere)
    found = list(preflight._faults_of_address("api.example.test", tmp_path))
    assert len(found) == 1
    assert "api.example.test points to 192.0.2.7, where the challenge" in found[0]


def test_an_authority_that_cannot_be_reached(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/directory"
    [fault] = preflight.faults([], url, "", str(tmp_path))
    assert fault.startswith(f"The certificate authority's {url} cannot be used: ")


def test_caa_that_forbids_the_authority(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def records(domain: str, _: list[str]) -> list[tuple[bytes, bytes]]:
        return [(b"issue", b"other.example; a=b")] if domain == "example.test" else []

    def nothing(*_: Any) -> Iterator[str]:
        yield from ()

    meta = {"caaIdentities": ["ca.example"]}
    [fault] = faults(monkeypatch, tmp_path, meta, caa=records, _faults_of_address=nothing)
    assert fault.startswith("The CAA records of example.test let other.example issue for")
    meta = {"caaIdentities": ["ca.example", "other.example"]}
    assert faults(monkeypatch, tmp_path, meta, caa=records) == []


@pytest.mark.parametrize(
    ("records", "wildcard", "allowed"),
    [
        ([], False, None),
        ([(b"iodef", b"mailto:a@b")], False, None),
        ([(b"issue", b";")], False, []),
        ([(b"issue", b"a.example"), (b"issuewild", b"b.example")], False, ["a.example"]),
        ([(b"issue", b"a.example"), (b"issuewild", b"b.example")], True, ["b.example"]),
        ([(b"Issue", b"a.example")], True, ["a.example"]),
    ],
)
def test_whom_records_allow(
    records: list[tuple[bytes, bytes]], wildcard: bool, allowed: list[str] | None
) -> None:
    assert preflight.allowed_by(records, wildcard=wildcard) == allowed


def test_records_are_read_from_an_answer() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))

        def answer() -> None:
            query, client = server.recvfrom(512)
            data = b"\0\5issueca.example"
            alias = b"\xc0\x0c" + struct.pack("!HHIH", 5, 1, 60, 2) + b"\xc0\x0c"
            record = b"\xc0\x0c" + struct.pack("!HHIH", 257, 1, 60, len(data)) + data
            header = query[:2] + struct.pack("!5H", 0x8180, 1, 2, 0, 0)
            server.sendto(header + query[12:] + alias + record, client)

        threading.Thread(target=answer, daemon=True).start()
        port = server.getsockname()[1]
        assert preflight.caa("example.test", ["127.0.0.1"], port) == [(b"issue", b"ca.example")]


def test_name_servers_are_those_of_the_host(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "resolv.conf"
    path.write_text("# a comment\nsearch example\nnameserver 192.0.2.53\nnameserver 2001:db8::53\n")
    monkeypatch.setattr(preflight, "RESOLVERS", path)
    assert preflight.nameservers() == ["192.0.2.53", "2001:db8::53"]
