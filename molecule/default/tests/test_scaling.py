"""One replica more or less is an edit of the inventory, and costs no request."""

from __future__ import annotations

from testbed.cluster import Cluster
from testbed.playbook import run_site
from testbed.traffic import Traffic


def scale(cluster: Cluster, replicas: int) -> Traffic:
    """Deploy with that many replicas under traffic, and return what became of it."""
    with Traffic(cluster.url, gets=2, chats=1) as traffic:
        run = run_site("--extra-vars", f"llm_api_replicas={replicas}")
    assert not run.failed, run.output
    return traffic


def test_scaling_costs_no_request(cluster: Cluster) -> None:
    try:
        up = scale(cluster, 3)
        assert "server api3:5500 " in cluster.configuration()
        assert cluster.get_models(15) == {"api1": 5, "api2": 5, "api3": 5}
    finally:
        down = scale(cluster, 2)
    assert "api3" not in cluster.containers()
    assert "server api3:5500 " not in cluster.configuration()
    assert cluster.get_models(10) == {"api1": 5, "api2": 5}
    for traffic in (up, down):
        assert traffic.failures == []
        assert traffic.succeeded["get"] > 100
        assert traffic.succeeded["chat"] > 10
