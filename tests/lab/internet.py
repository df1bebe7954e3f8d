"""An internet for the tests of the way out: names and servers, with python3-minimal alone."""

from __future__ import annotations

import json
import socket
import struct
import sys
import threading
from collections.abc import Callable
from ipaddress import ip_address

A, AAAA, IN = 1, 28, 1
NXDOMAIN = 3
TTL = 60
# A name with this for an address is never answered.
SILENT = "silent"


def name_of(query: bytes) -> tuple[str, int]:
    """Return the name that `query` asks for, and where it ends."""
    labels, at = [], 12
    while length := query[at]:
        labels.append(query[at + 1 : at + 1 + length].decode())
        at += 1 + length
    return ".".join(labels), at + 1


def reply(query: bytes, names: dict[str, list[str]]) -> bytes | None:
    """Return the answer to the DNS `query`, or nothing if there is to be none."""
    name, end = name_of(query)
    addresses = names.get(name.lower())
    if addresses == [SILENT]:
        return None
    [kind] = struct.unpack("!H", query[end : end + 2])
    packed = [ip_address(address).packed for address in addresses or []]
    records = [
        struct.pack("!HHHIH", 0xC00C, kind, IN, TTL, len(data)) + data
        for data in packed
        if kind == {4: A, 16: AAAA}[len(data)]
    ]
    flags = 0x8180 | (0 if addresses else NXDOMAIN)
    head = query[:2] + struct.pack("!HHHHH", flags, 1, len(records), 0, 0)
    return head + query[12 : end + 4] + b"".join(records)


def serve_names(names: dict[str, list[str]]) -> None:
    """Answer DNS queries for ever."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("", 53))
        while True:
            query, client = server.recvfrom(4096)
            if answer := reply(query, names):
                server.sendto(answer, client)


def show_request(connection: socket.socket) -> None:
    """Answer HTTP requests with what was sent."""
    with connection.makefile("rb") as reader:
        while request := reader.readline():
            length = 0
            while (line := reader.readline()).strip():
                request += line
                if line.lower().startswith(b"content-length:"):
                    length = int(line.partition(b":")[2])
            request += b"\r\n" + reader.read(length)
            head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(request)
            connection.sendall(head + request)


def echo(connection: socket.socket) -> None:
    """Send back what comes."""
    while data := connection.recv(65536):
        connection.sendall(data)


def serve(port: int, answer: Callable[[socket.socket], None]) -> None:
    """Let `answer` have each connection to `port`, for ever."""
    with socket.create_server(("", port)) as server:
        while True:
            threading.Thread(target=answer, args=(server.accept()[0],), daemon=True).start()


def main() -> None:
    """Serve names, HTTP and echoes until the process ends. The first argument is the names."""
    for port, answer in ((80, show_request), (443, echo), (8080, show_request)):
        threading.Thread(target=serve, args=(port, answer), daemon=True).start()
    serve_names(json.loads(sys.argv[1]))


if __name__ == "__main__":
    main()
