"""Each replica keeps a log on the host, and rotating it loses no line."""

from __future__ import annotations

import json

import pytest
from testbed.cluster import Cluster
from testbed.waiting import wait_until

FOLDER = "/opt/freegpt4/logs/llm-api"


@pytest.mark.parametrize("name", ["api1", "api2"])
def test_a_replicas_log_is_on_the_host(cluster: Cluster, name: str) -> None:
    lines = cluster.host.file(f"{FOLDER}/{name}.log").content_string.splitlines()
    assert lines
    # What is in the container's own log since it was made is in the file, too.
    assert set(cluster.docker("logs", name).splitlines()) <= set(lines)
    assert all(json.loads(line)["level"] for line in lines)


def test_rotation_loses_no_line(cluster: Cluster) -> None:
    before = cluster.host.file(f"{FOLDER}/api1.log").content_string
    cluster.host.check_output("logrotate --force /etc/logrotate.d/freegpt4-llm-api")
    rotated = cluster.host.check_output(f"cat {FOLDER}/api1.log-*")
    assert before.strip() in rotated
    # It says so when it is told to stop, and when it starts: into the new file.
    cluster.docker("restart", "api1")
    wait_until(
        lambda: cluster.host.file(f"{FOLDER}/api1.log").size > 0, "api1 writes to its new log"
    )
    cluster.wait_for_replica("api1")
