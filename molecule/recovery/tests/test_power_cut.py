"""A host whose power is cut while tokens are made has each of them that was said to be made."""

from __future__ import annotations

from testbed.cluster import Cluster
from testbed.machine import machine
from testbed.waiting import wait_until
from testbed.writers import Writers, digests_of, tokens_in_database

# Tokens that are made before the power is cut.
ENOUGH = 10


def test_nothing_that_was_acknowledged_is_lost(cluster: Cluster, container_name: str) -> None:
    with (
        machine(container_name) as host,
        Writers(container_name, ["api1", "api1", "api2"]) as writers,
    ):
        wait_until(lambda: len(writers.acknowledged) >= ENOUGH, "tokens are made")
        host.cut_power()
        host.turn_on()
    wait_until(cluster.serves, "the cluster answers")
    cluster.wait_for_replica("api1")
    cluster.wait_for_replica("api2")
    assert digests_of(writers.acknowledged) <= tokens_in_database(cluster)
