# SPDX-License-Identifier: GPL-3.0-or-later
"""nginx itself: whether it takes a configuration, and when it has done so."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

# Seconds in which new workers take over. Reading a configuration takes a fraction of one.
PATIENCE = 10.0
PAUSE = 0.02

# What a worker calls itself while it accepts connections; one that is about to end adds to it.
_ACCEPTING = b"nginx: worker process"


class ConfigurationError(Exception):
    """nginx refuses the configuration; the message says why."""


def test(path: Path) -> None:
    """Let nginx test the configuration that begins in the file `path`.

    Raises:
        ConfigurationError: it refuses it.
    """
    # S603, S607: nginx is where Debian put it, and the path is ours.
    result = subprocess.run(  # noqa: S603
        ["nginx", "-t", "-q", "-e", "stderr", "-c", str(path)],  # noqa: S607
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        raise ConfigurationError(result.stderr)


class Nginx:
    """The nginx that runs."""

    def __init__(self, pid_file: Path, processes: Path = Path("/proc")) -> None:
        """Find its master in `pid_file`, and its workers in `processes`."""
        self._pid_file = pid_file
        self._processes = processes

    def reload(self) -> None:
        """Let it read its configuration again. It goes on with the old one if it cannot."""
        os.kill(self._master(), signal.SIGHUP)

    def hand_over(self) -> None:
        """Let it read its configuration again, and return once no worker of before accepts.

        Raises:
            ConfigurationError: the workers of before go on.
        """
        before = self._accepting()
        self.reload()
        end = time.monotonic() + PATIENCE
        while before & self._accepting():
            if time.monotonic() > end:
                raise ConfigurationError("nginx goes on with the one before: see its error log")
            time.sleep(PAUSE)

    def _master(self) -> int:
        return int(self._pid_file.read_text())

    def _accepting(self) -> set[int]:
        """Return the ids of the workers that accept connections."""
        master = self._master()
        found = set()
        for folder in self._processes.iterdir():
            # Whatever ends meanwhile accepts nothing.
            with suppress(OSError):
                if folder.name.isdigit() and _parent(folder) == master:
                    name = (folder / "cmdline").read_bytes().rstrip(b"\0 ")
                    if name == _ACCEPTING:
                        found.add(int(folder.name))
        return found


def _parent(folder: Path) -> int:
    """Return the id of the parent of a process; its name, in parentheses, may hold anything."""
    return int((folder / "stat").read_text().rpartition(")")[2].split()[1])
