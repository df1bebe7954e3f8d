"""Fixtures of all scenarios. testinfra's own `host` is the test host, or each of them in turn."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import docker
import pytest
from testbed.cluster import Cluster
from testbed.outside import Neighbour, address_of, neighbour


@pytest.fixture(scope="module")
def container_name(host: Any) -> str:
    """The name of the container that is the test host."""
    name: str = host.backend.name
    return name


@pytest.fixture(scope="module")
def cluster(host: Any, container_name: str) -> Cluster:
    """The cluster on the test host."""
    client = docker.from_env()
    address = address_of(client.containers.get(container_name))
    client.close()
    return Cluster(host, address)


@pytest.fixture(scope="module")
def outside(container_name: str) -> Iterator[Neighbour]:
    """A machine beside the test host."""
    with neighbour(container_name) as machine:
        yield machine


@pytest.fixture
def report(capfd: pytest.CaptureFixture[str]) -> Any:
    """Prints a line that is worth reading whether the test passes or not."""

    def report(line: str) -> None:
        with capfd.disabled():
            print(f"\n  {line}", flush=True)

    return report
