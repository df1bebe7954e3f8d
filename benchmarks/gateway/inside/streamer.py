"""Two replicas that answer everything with a stream: a token every ten milliseconds."""

from __future__ import annotations

import select
import socket
import time

ADDRESSES = (("127.0.0.2", 5500), ("127.0.0.3", 5500))
TICK = 0.01
TOKENS = 400
TOKEN = b'data: {"choices": [{"index": 0, "delta": {"content": "%s"}}]}\n\n' % (b"x" * 100)
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
READY = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"


def main() -> None:
    """Answer until the process is killed."""
    servers = [socket.create_server(address, backlog=1024) for address in ADDRESSES]
    streams: dict[socket.socket, int] = {}
    while True:
        start = time.monotonic()
        for server in select.select(servers, [], [], 0)[0]:
            connection, _ = server.accept()
            if connection.recv(65536).startswith(b"GET /health"):
                connection.sendall(READY)
                connection.close()
            else:
                connection.sendall(HEAD)
                streams[connection] = 0
        for connection in list(streams):
            try:
                connection.sendall(TOKEN)
                streams[connection] += 1
            except OSError:
                streams[connection] = TOKENS
            if streams[connection] == TOKENS:
                connection.close()
                del streams[connection]
        time.sleep(max(TICK - (time.monotonic() - start), 0))


if __name__ == "__main__":
    main()
