"""Measures the proxies in turn and prints one JSON object, with no more than python3-minimal."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

ROUNDS = int(os.environ.get("ROUNDS", "30"))
TOKEN_ROUNDS = 4
SECONDS = 1
CONNECTIONS = 64
STREAMS = 60
TOKENS = 400

SYSTEMS = {
    "gateway": (["start-gateway"], ("127.0.0.1", 80)),
    "bare nginx": (
        ["nginx", "-c", "/opt/benchmark/bare.conf", "-e", "stderr", "-g", "daemon off;"],
        ("127.0.0.1", 8001),
    ),
    "Caddy": (
        ["caddy", "run", "--config", "/opt/benchmark/Caddyfile"],
        ("127.0.0.1", 8002),
    ),
}
REPLICAS = ["nginx", "-c", "/opt/benchmark/replicas.conf", "-e", "stderr", "-g", "daemon off;"]
STREAMER = [sys.executable, "/opt/benchmark/streamer.py"]

TICKS = os.sysconf("SC_CLK_TCK")


Address = tuple[str, int]


@contextmanager
def running(command: list[str], address: Address) -> Iterator[int]:
    """Run `command` in a session of its own until the block ends."""
    writable = dict.fromkeys(("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"), "/tmp")
    process = subprocess.Popen(
        command, start_new_session=True, stderr=subprocess.DEVNULL, env=os.environ | writable
    )
    try:
        for _ in range(100):
            try:
                socket.create_connection(address, timeout=1).close()
                break
            except OSError:
                time.sleep(0.1)
        yield process.pid
    finally:
        for pid in members(process.pid):
            os.kill(pid, signal.SIGKILL)
        process.wait()
        time.sleep(0.3)


def fields(pid: int) -> list[str]:
    """Return what the kernel says of a process after its name."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def members(session: int) -> list[int]:
    """Return the processes of a session."""
    found = []
    for path in Path("/proc").iterdir():
        with suppress(OSError):
            if path.name.isdigit() and int(fields(int(path.name))[3]) == session:
                found.append(int(path.name))
    return found


def cpu(session: int) -> float:
    """Return the CPU seconds that the processes of a session have used."""
    return sum(int(ticks) for pid in members(session) for ticks in fields(pid)[11:13]) / TICKS


def requests(address: Address) -> tuple[int, int]:
    """Put a proxy under load and return how many requests it answered, and how many badly."""
    url = f"http://{address[0]}:{address[1]}/v1/chat/completions"
    load = ["-t2", f"-c{CONNECTIONS}", f"-d{SECONDS}s", "-s", "/opt/benchmark/post.lua"]
    output = subprocess.run(["wrk", *load, url], capture_output=True, text=True, check=True).stdout
    [answered] = re.findall(r"(\d+) requests in", output)
    bad = re.findall(r"Non-2xx or 3xx responses: (\d+)", output)
    return int(answered), sum(map(int, bad))


def tokens(address: Address) -> tuple[int, int]:
    """Stream through a proxy and return how many tokens arrived, and how many did not."""
    body = b'{"stream": true}'
    request = (
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
        b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
    )
    connections = []
    for _ in range(STREAMS):
        connection = socket.create_connection(address)
        connection.sendall(request)
        connections.append(connection)
    count = 0
    while connections:
        for connection in select.select(connections, [], [], 30)[0]:
            part = connection.recv(65536)
            count += part.count(b"data: ")
            if not part:
                connections.remove(connection)
                connection.close()
    return count, STREAMS * TOKENS - count


def main() -> None:
    """Measure everything in turn, many times."""
    kinds = (("requests", REPLICAS, requests, ROUNDS), ("tokens", STREAMER, tokens, TOKEN_ROUNDS))
    result: dict[str, dict[str, list[dict[str, float]]]] = {
        kind: {name: [] for name in SYSTEMS} for kind, *_ in kinds
    }
    for kind, behind, load, rounds in kinds:
        with ExitStack() as stack:
            stack.enter_context(running(behind, ("127.0.0.2", 5500)))
            sessions = {
                name: stack.enter_context(running(command, address))
                for name, (command, address) in SYSTEMS.items()
            }
            time.sleep(1)
            # In turns of a second, so that what else the machine does meets them alike.
            for _ in range(rounds):
                for name, (_, address) in SYSTEMS.items():
                    before = cpu(sessions[name])
                    count, bad = load(address)
                    used = cpu(sessions[name]) - before
                    result[kind][name].append({"count": count, "bad": bad, "cpu": used})
    print(json.dumps(result))


if __name__ == "__main__":
    main()
