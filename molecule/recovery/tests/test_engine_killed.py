"""The engine dies and comes back, and no client notices."""

from __future__ import annotations

import time

from testbed.cluster import Cluster
from testbed.traffic import Traffic
from testbed.waiting import wait_until

PID_FILE = "/run/docker.pid"


def test_an_engine_that_is_killed_costs_no_request(cluster: Cluster) -> None:
    started = cluster.start_times()
    killed = cluster.host.check_output(f"cat {PID_FILE}")
    with Traffic(cluster.url, gets=2, chats=1) as traffic:
        time.sleep(1)
        cluster.host.check_output(f"kill -9 {killed}")
        wait_until(
            lambda: (
                engine_answers(cluster) and cluster.host.file(PID_FILE).content_string != killed
            ),
            "systemd has started the engine again",
        )
        time.sleep(3)
    assert traffic.failures == []
    assert traffic.succeeded["get"] > 20
    assert traffic.succeeded["chat"] > 2
    assert cluster.start_times() == started
    for name in started:
        cluster.wait_for_health(name)


def engine_answers(cluster: Cluster) -> bool:
    return bool(cluster.host.run("docker info").succeeded)
