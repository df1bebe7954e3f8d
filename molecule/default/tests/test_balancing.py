"""The gateway shares requests out, and goes on when a replica does not."""

from __future__ import annotations

import re
import time

from testbed.cluster import Cluster
from testbed.traffic import Traffic
from testbed.waiting import wait_until


def test_upstream(cluster: Cluster) -> None:
    configuration = cluster.configuration()
    [upstream] = re.findall(r"^upstream freegpt4_api \{$.*?^\}$", configuration, re.M | re.S)
    servers = re.findall(r"^\s*(server api.*)$", upstream, re.MULTILINE)
    assert servers == [
        "server api1:5500 max_fails=3 fail_timeout=30s;",
        "server api2:5500 max_fails=3 fail_timeout=30s;",
    ]
    assert re.search(r"^\s*keepalive 32;$", upstream, re.MULTILINE)


def test_round_robin(cluster: Cluster) -> None:
    assert cluster.get_models(20) == {"api1": 10, "api2": 10}


def test_killed_replica_costs_no_get(cluster: Cluster) -> None:
    with Traffic(cluster.url, gets=4) as traffic:
        time.sleep(1)
        cluster.docker("kill", "api1")
        time.sleep(3)
        # The engine does not restart what it was told to kill.
        cluster.docker("start", "api1")
        cluster.wait_for_replica("api1")
        wait_until_many_are_answered(traffic)
    assert traffic.failures == []


def test_crashed_replica_restarts_and_costs_no_get(cluster: Cluster) -> None:
    before = cluster.inspect("api2")
    with Traffic(cluster.url, gets=4) as traffic:
        time.sleep(1)
        cluster.host.check_output("kill -KILL %s", str(before["State"]["Pid"]))
        wait_until(
            lambda: bool(cluster.inspect("api2")["RestartCount"] > before["RestartCount"]),
            "the engine restarts api2",
        )
        time.sleep(3)
        wait_until_many_are_answered(traffic)
    restart_gateway(cluster)
    assert traffic.failures == []


def test_gateway_starts_while_a_replica_is_missing(cluster: Cluster) -> None:
    cluster.docker("stop", "api2")
    try:
        restart_gateway(cluster)
        assert cluster.get_models(10) == {"api1": 10}
    finally:
        cluster.docker("start", "api2")
        restart_gateway(cluster)
    cluster.wait_for_replica("api2")


def wait_until_many_are_answered(traffic: Traffic) -> None:
    """That none failed says little where there were few, as on a machine that is busy."""
    wait_until(lambda: traffic.succeeded["get"] > 100, "a hundred requests are answered")


def restart_gateway(cluster: Cluster) -> None:
    """Restart nginx, which then no longer knows which replicas have failed."""
    cluster.docker("restart", "gateway")
    wait_until(cluster.answers, "the gateway answers")
