"""The server around the application."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import Any

from llm_api.server import Together

MANY_NAMES = """
import asyncio, os
import uvloop
from llm_api import server
async def look_up():
    await asyncio.get_running_loop().getaddrinfo("localhost", 80)
server.prepare()
uvloop.run(look_up())
print(len(os.listdir("/proc/self/task")) - server.RESOLVERS, flush=True)
os._exit(0)
"""


def test_many_names_can_be_looked_up_at_once() -> None:
    done = subprocess.run(
        [sys.executable, "-c", MANY_NAMES],
        env={"PYTHONPATH": "src"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(done.stdout) >= 0, done.stdout


class Written(asyncio.Transport):
    """A connection that keeps what is written to it."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[bytes] = []
        self.ended = ""

    def write(self, data: Any) -> None:
        self.pieces.append(data)

    def close(self) -> None:
        self.ended = "closed"

    def abort(self) -> None:
        self.ended = "aborted"

    def write_eof(self) -> None:
        self.ended = "half closed"


async def write(*turns: tuple[bytes, ...], end: str = "") -> Written:
    """Write in several turns of the loop, then call `end`."""
    connection = Written()
    together = Together(connection, asyncio.get_running_loop())
    for parts in turns:
        for part in parts:
            together.write(part)
        if end:
            getattr(together, end)()
        await asyncio.sleep(0)
    return connection


def test_a_head_goes_together_with_what_follows() -> None:
    connection = asyncio.run(write((b"HTTP/1.1 200", b"body", b"more"), (b"rest",)))
    assert connection.pieces == [b"HTTP/1.1 200body", b"more", b"rest"]


def test_a_head_waits_no_longer_than_a_turn() -> None:
    connection = asyncio.run(write((b"HTTP/1.1 200",), (b"body",)))
    assert connection.pieces == [b"HTTP/1.1 200", b"body"]


def test_nothing_is_lost_at_the_end_of_a_connection() -> None:
    for end, ended in (("close", "closed"), ("write_eof", "half closed")):
        connection = asyncio.run(write((b"HTTP/1.1 200",), end=end))
        assert (connection.pieces, connection.ended) == ([b"HTTP/1.1 200"], ended)


def test_nothing_follows_a_connection_that_is_broken_off() -> None:
    connection = asyncio.run(write((b"HTTP/1.1 200",), end="abort"))
    assert (connection.pieces, connection.ended) == ([], "aborted")
