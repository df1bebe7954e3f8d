"""A host that restarts brings its cluster back, with nobody's help."""

from __future__ import annotations

import time

import docker
from testbed.cluster import Cluster
from testbed.machine import machine
from testbed.outside import address_of
from testbed.waiting import wait_until

# Seconds from the moment at which the host is turned on until both replicas answer.
SECONDS = 60


def test_cluster_comes_back(cluster: Cluster, container_name: str) -> None:
    before = addresses(cluster)
    with machine(container_name) as host:
        host.shut_down()
        start = time.monotonic()
        host.turn_on()
    client = docker.from_env()
    assert address_of(client.containers.get(container_name)) == cluster.address
    client.close()
    wait_until(cluster.serves, "the cluster answers", SECONDS)
    cluster.wait_for_replica("api1", SECONDS)
    cluster.wait_for_replica("api2", SECONDS)
    assert time.monotonic() - start < SECONDS
    assert addresses(cluster) == before
    for name in before:
        cluster.wait_for_health(name)


def addresses(cluster: Cluster) -> dict[str, str]:
    """Return the address of each container on the internal network."""
    return {
        name: cluster.inspect(name)["NetworkSettings"]["Networks"]["internal"]["IPAddress"]
        for name in cluster.containers()
    }
