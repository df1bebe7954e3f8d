"""A replica that fails as its test says. It needs no more than python3-minimal."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from pathlib import Path
from typing import BinaryIO

# well, slow, closing, or a status to answer everything with but the question whether it is ready.
MODE = Path("/tmp/mode")

# Seconds.
WORK = 0.02
SLOW = 2.0
TOKEN = 0.1
IDLE = {"closing": 1.0}
IDLE_ELSE = 120.0

TOKENS = 20


def mode() -> str:
    """Return how to fail."""
    try:
        return MODE.read_text().strip()
    except FileNotFoundError:
        return "well"


def answer(status: int, body: bytes, extra: str = "") -> bytes:
    """Return a whole answer."""
    head = (
        f"HTTP/1.1 {status} Status\r\nContent-Type: application/json\r\n"
        f"X-Replica: {socket.gethostname()}\r\nContent-Length: {len(body)}\r\n{extra}\r\n"
    )
    return head.encode() + body


def read(reader: BinaryIO) -> tuple[str, bytes] | None:
    """Return the path and the body of the next request, or nothing when there is none."""
    line = reader.readline()
    if not line:
        return None
    length = 0
    while (header := reader.readline()).strip():
        name, _, value = header.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    return line.split()[1].decode(), reader.read(length)


def stream(connection: socket.socket) -> None:
    """Answer token by token, and close."""
    head = (
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n"
        f"X-Replica: {socket.gethostname()}\r\n\r\n"
    )
    connection.sendall(head.encode())
    for number in range(TOKENS):
        connection.sendall(b"data: %d\n\n" % number)
        time.sleep(TOKEN)
    connection.sendall(b"data: [DONE]\n\n")


def serve(connection: socket.socket) -> None:
    """Answer the requests of one connection."""
    with contextlib.suppress(OSError), connection, connection.makefile("rb") as reader:
        while True:
            connection.settimeout(IDLE.get(mode(), IDLE_ELSE))
            request = read(reader)
            if request is None:
                return
            path, body = request
            if path == "/health/ready":
                connection.sendall(answer(200, b"{}"))
                continue
            how = mode()
            time.sleep(SLOW if how == "slow" else WORK)
            if how.isdigit():
                connection.sendall(answer(int(how), b'{"error": {}}'))
            elif b'"stream": true' in body:
                stream(connection)
                return
            else:
                connection.sendall(answer(200, b'{"finish_reason": "stop"}'))


def main() -> None:
    """Answer until the process ends."""
    with socket.create_server(("", 5500), backlog=1024) as server:
        while True:
            connection, _ = server.accept()
            threading.Thread(target=serve, args=(connection,), daemon=True).start()


if __name__ == "__main__":
    main()
