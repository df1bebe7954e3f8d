# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks replicas whether they can answer."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterable

_OK = 200


def probe(server: str, path: str, timeout: float) -> str:
    """Ask `server` for `path` and return what went wrong: nothing if 200 came in time."""
    deadline = time.monotonic() + timeout
    host, _, port = server.rpartition(":")
    request = f"GET {path} HTTP/1.1\r\nHost: {server}\r\nConnection: close\r\n\r\n"
    answer = b""
    try:
        with socket.create_connection((host, int(port)), timeout=timeout) as connection:
            connection.sendall(request.encode())
            while b"\r\n" not in answer:
                # A replica that sends a byte now and then does not get longer for it.
                connection.settimeout(max(deadline - time.monotonic(), 0.001))
                part = connection.recv(1024)
                if not part:
                    return "it closed the connection"
                answer += part
    except TimeoutError:
        return f"no answer within {timeout:g} s"
    except OSError as error:
        return error.strerror or str(error)
    words = answer.split(maxsplit=2)
    if len(words) > 1 and words[1] == str(_OK).encode():
        return ""
    return f"it answered {answer.splitlines()[0].decode(errors='replace')[:100]}"


def probe_all(servers: Iterable[str], path: str, timeout: float) -> dict[str, str]:
    """Ask all `servers` at once and return what went wrong with each, or nothing."""
    failures: dict[str, str] = {}

    def ask(server: str) -> None:
        failures[server] = probe(server, path, timeout)

    threads = [threading.Thread(target=ask, args=(server,)) for server in servers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return failures
