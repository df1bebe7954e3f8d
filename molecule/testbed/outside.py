"""A machine beside the test host, for what the cluster must neither reach nor let in."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import docker
from docker.models.containers import Container

from testbed.probe import Probe
from testbed.waiting import wait_until

NETWORK = f"molecule-{os.environ['MOLECULE_SCENARIO_NAME']}"
LISTENING_PORT = 9999


def address_of(container: Container) -> str:
    """Return the address of `container` on the network of the test hosts."""
    container.reload()
    address: str = container.attrs["NetworkSettings"]["Networks"][NETWORK]["IPAddress"]
    return address


@dataclass(frozen=True)
class Neighbour:
    """A container on the network of the test hosts that listens on `LISTENING_PORT`."""

    container: Container
    address: str

    def run(self, command: Sequence[str]) -> str:
        """Run `command` in it and return what it printed."""
        code, output = self.container.exec_run(list(command))
        assert isinstance(output, bytes), "it was not asked for as a stream"
        text = output.decode()
        assert code == 0, text
        return text

    def start(self, command: Sequence[str]) -> None:
        """Run `command` in it for as long as it is there."""
        self.container.exec_run(list(command), detach=True)

    @property
    def probe(self) -> Probe:
        """A probe that starts here."""
        return Probe("python3", self.run)

    def route(self, subnet: str, gateway: str) -> None:
        """Send what goes to `subnet` by way of `gateway`. Only this container's routes change."""
        self.run(["ip", "route", "replace", subnet, "via", gateway])


@contextmanager
def neighbour(test_host: str) -> Iterator[Neighbour]:
    """Run a machine beside the container `test_host`, from the same image, for a while."""
    client = docker.from_env()
    container = client.containers.run(
        client.containers.get(test_host).attrs["Image"],
        entrypoint="python3",
        command=["-m", "http.server", str(LISTENING_PORT)],
        working_dir="/srv",
        network=NETWORK,
        cap_add=["NET_ADMIN"],
        detach=True,
    )
    try:
        machine = Neighbour(container, address_of(container))
        wait_until(
            lambda: machine.probe.reaches("127.0.0.1", LISTENING_PORT), "the neighbour listens"
        )
        yield machine
    finally:
        container.remove(force=True, v=True)
        client.close()
