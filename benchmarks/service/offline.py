"""Start a system in a network namespace that has a loopback only; print its seconds until ready.

Usage: unshare --net python -m benchmarks.service.offline SYSTEM FOLDER
"""

from __future__ import annotations

import asyncio
import fcntl
import socket
import struct
import sys
import time
from pathlib import Path

from benchmarks.service.systems import recipes, wait_ready

SIOCSIFFLAGS = 0x8914
IFF_UP = 1


def main() -> None:
    """Bring the loopback up, and measure."""
    name, folder = sys.argv[1:]
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh", b"lo", IFF_UP))
    # Nobody listens on the discard port, so the upstream is not there either.
    recipe = next(recipe for recipe in recipes(9) if recipe.name == name)
    start = time.monotonic()
    system = recipe.start(Path(folder) / "offline")
    try:
        asyncio.run(wait_ready(system, recipe.ready))
        print(time.monotonic() - start)
    finally:
        system.stop()


if __name__ == "__main__":
    main()
