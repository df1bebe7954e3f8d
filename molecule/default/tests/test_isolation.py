"""A replica reaches the model and nothing outside; from outside, the gateway is the only door."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from testbed.cluster import Cluster
from testbed.outside import LISTENING_PORT, Neighbour
from testbed.waiting import wait_until

BRIDGE = "10.213.1.1"
GATEWAY = "10.213.1.2"
MODEL = "10.213.1.3"
REPLICA = "10.213.1.11"

each_inner_container = pytest.mark.parametrize("name", ["api1", "api2", "model"])


@pytest.mark.parametrize("name", ["api1", "api2"])
def test_replica_reaches_the_model(cluster: Cluster, name: str) -> None:
    script = (
        "import urllib.request; print(urllib.request.urlopen('http://model:8080/health').status)"
    )
    assert cluster.docker("exec", name, "python", "-c", script) == "200"


@each_inner_container
def test_no_way_to_the_neighbours_of_the_host(
    cluster: Cluster, outside: Neighbour, name: str
) -> None:
    # It does listen: the host itself reaches it.
    assert cluster.host.addr(outside.address).port(LISTENING_PORT).is_reachable
    assert not cluster.probe(name).reaches(outside.address, LISTENING_PORT)


@each_inner_container
def test_no_way_to_the_host(cluster: Cluster, name: str) -> None:
    assert not cluster.probe(name).reaches(cluster.address, 80)


@each_inner_container
def test_no_way_to_the_external_network(cluster: Cluster, name: str) -> None:
    gateway = cluster.inspect("gateway")["NetworkSettings"]["Networks"]["external"]
    assert cluster.host.addr(gateway["IPAddress"]).port(80).is_reachable
    assert not cluster.probe(name).reaches(gateway["IPAddress"], 80)
    assert not cluster.probe(name).reaches(gateway["Gateway"], LISTENING_PORT)


@each_inner_container
def test_no_way_to_services_of_the_host(cluster: Cluster, name: str) -> None:
    # Were the internal bridge to have an address, whatever the host runs would listen there too.
    with listener(cluster.host):
        assert cluster.host.addr("127.0.0.1").port(LISTENING_PORT).is_reachable
        assert not cluster.probe(name).reaches(BRIDGE, LISTENING_PORT)


def test_the_gateway_is_the_door(cluster: Cluster, outside: Neighbour) -> None:
    assert outside.probe.reaches(cluster.address, 80)


@pytest.mark.parametrize("port", [5500, 8080, 2375])
def test_no_other_port_is_open(cluster: Cluster, outside: Neighbour, port: int) -> None:
    assert not outside.probe.reaches(cluster.address, port)


@pytest.mark.parametrize(("address", "port"), [(REPLICA, 5500), (MODEL, 8080), (GATEWAY, 80)])
def test_no_route_through_the_host(
    cluster: Cluster, outside: Neighbour, address: str, port: int
) -> None:
    # It does listen: a replica reaches it.
    assert cluster.probe("api2").reaches(address, port)
    outside.route("10.213.0.0/21", cluster.address)
    assert not outside.probe.reaches(address, port)


@contextmanager
def listener(host: Any) -> Iterator[None]:
    """Let the host listen on `LISTENING_PORT` of all its addresses for a while."""
    command = f"python3 -m http.server {LISTENING_PORT} --directory /srv"
    host.check_output(f"systemd-run --unit=listener --collect {command}")
    try:
        wait_until(
            lambda: bool(host.addr("127.0.0.1").port(LISTENING_PORT).is_reachable), "it listens"
        )
        yield
    finally:
        host.check_output("systemctl stop listener")
