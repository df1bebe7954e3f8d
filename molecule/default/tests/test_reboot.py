"""A host that restarts brings its cluster back, with nobody's help."""

from __future__ import annotations

import docker
from testbed.cluster import Cluster
from testbed.outside import address_of
from testbed.waiting import wait_until


def test_cluster_comes_back(cluster: Cluster, container_name: str) -> None:
    before = addresses(cluster)
    client = docker.from_env()
    machine = client.containers.get(container_name)
    machine.restart(timeout=60)
    assert address_of(machine) == cluster.address
    client.close()
    wait_until(cluster.answers, "the gateway answers")
    assert addresses(cluster) == before
    for name in before:
        cluster.wait_for_health(name)
    cluster.wait_for_replica("api1")
    cluster.wait_for_replica("api2")


def addresses(cluster: Cluster) -> dict[str, str]:
    """Return the address of each container on the internal network."""
    return {
        name: cluster.inspect(name)["NetworkSettings"]["Networks"]["internal"]["IPAddress"]
        for name in cluster.containers()
    }
