"""Measures three ways to one server in turn, and prints their times as one JSON object."""

from __future__ import annotations

import json
import socket
import sys
import time

EGRESS, SERVER, ROUNDS = sys.argv[1], sys.argv[2], int(sys.argv[3])
BODY = b'{"stream": true, "messages": [{"role": "user", "content": "Hello"}]}'


def post(target: str) -> bytes:
    """Return a request for `target`."""
    head = f"POST {target} HTTP/1.1\r\nHost: {SERVER}\r\nContent-Length: {len(BODY)}\r\n\r\n"
    return head.encode() + BODY


def connection(address: str, port: int) -> socket.socket:
    """Return a connection that sends at once."""
    made = socket.create_connection((address, port), timeout=10)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made


def first_byte(over: socket.socket, request: bytes) -> float:
    """Send `request` and return the milliseconds until an answer begins; read all of it."""
    start = time.perf_counter()
    over.sendall(request)
    answer = over.recv(65536)
    seconds = time.perf_counter() - start
    # The answer ends with the body that was sent.
    while not answer.endswith(BODY):
        answer += over.recv(65536)
    return 1000 * seconds


def main() -> None:
    """Ask each way again and again."""
    tunnel = connection(EGRESS, 3128)
    tunnel.sendall(f"CONNECT {SERVER}:443 HTTP/1.1\r\n\r\n".encode())
    if b" 200 " not in tunnel.recv(4096):
        raise ConnectionError("the proxy refuses")
    ways = {
        "HTTP direct": (connection(SERVER, 80), post("/v1/chat/completions")),
        "HTTP": (connection(EGRESS, 3128), post(f"http://{SERVER}/v1/chat/completions")),
        "tunnel direct": (connection(SERVER, 443), post("/v1/chat/completions")),
        "tunnel": (tunnel, post("/v1/chat/completions")),
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, (over, request) in ways.items():
            times[name].append(first_byte(over, request))
    print(json.dumps(times))


if __name__ == "__main__":
    main()
