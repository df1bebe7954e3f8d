"""The server around the application."""

from __future__ import annotations

import subprocess
import sys

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
