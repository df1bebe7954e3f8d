"""Whether one place reaches another by TCP, tried from inside a container."""

from __future__ import annotations

from collections.abc import Callable, Sequence

TIMEOUT = 3.0

# Prints what happened, so that a probe that did not even run is not taken for a closed door.
_SCRIPT = f"""
import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout={TIMEOUT}).close()
except OSError as error:
    print("closed", error)
else:
    print("open")
"""


class Probe:
    """Tries connections from one place.

    Args:
        python: the interpreter there.
        run: runs a command there and returns what it wrote to standard output.
    """

    def __init__(self, python: str, run: Callable[[Sequence[str]], str]) -> None:
        self._python = python
        self._run = run

    def reaches(self, address: str, port: int) -> bool:
        """Return whether a connection to `address` and `port` can be made."""
        output = self._run([self._python, "-c", _SCRIPT, address, str(port)]).strip()
        assert output.startswith(("open", "closed")), output
        return output == "open"
