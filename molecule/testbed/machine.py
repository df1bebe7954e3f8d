"""The test host as a machine that is turned off and on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import docker
from docker.models.containers import Container

# Seconds that a host gets to shut down.
SHUTDOWN = 60


class Machine:
    """The container that is the test host."""

    def __init__(self, container: Container) -> None:
        self._container = container

    def shut_down(self) -> None:
        """Turn it off as its operator does."""
        self._container.stop(timeout=SHUTDOWN)

    def cut_power(self) -> None:
        """End all that runs on it at once."""
        self._container.kill()

    def turn_on(self) -> None:
        """Start it again."""
        self._container.start()


@contextmanager
def machine(name: str) -> Iterator[Machine]:
    """Take the test host `name` in hand, for a while."""
    client = docker.from_env()
    try:
        yield Machine(client.containers.get(name))
    finally:
        client.close()
