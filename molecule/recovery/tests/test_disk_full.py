"""A full disk takes nothing from the clients, and all goes on by itself once there is room."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from testbed.cluster import ACCESS_LOG, Cluster
from testbed.traffic import Traffic
from testbed.waiting import wait_until
from testbed.writers import digests_of, tokens_in_database

DISK = "/srv/small"
FILLER = f"{DISK}/filler"
SIZE = "16m"

# What is written there, and by whom.
FOLDERS = ("data/llm-api", "logs/llm-api", "logs/gateway")
CONTAINERS = ("api1", "api2", "gateway")

# Seconds that the disk is full.
FULL = 12


@pytest.fixture
def small_disk(cluster: Cluster) -> Iterator[None]:
    """Let the replicas and the gateway write to a small disk, with what they have so far."""
    run = cluster.host.check_output
    cluster.docker("stop", *CONTAINERS)
    run(f"mkdir {DISK} && mount -t tmpfs -o size={SIZE} small {DISK}")
    for folder in FOLDERS:
        place, name = f"/opt/freegpt4/{folder}", folder.replace("/", "-")
        run(f"cp --archive {place} {DISK}/{name} && mount --bind {DISK}/{name} {place}")
    try:
        start(cluster)
        yield
    finally:
        cluster.docker("stop", *CONTAINERS)
        for folder in FOLDERS:
            run(f"umount /opt/freegpt4/{folder}")
        run(f"umount {DISK} && rmdir {DISK}")
        start(cluster)


def start(cluster: Cluster) -> None:
    cluster.docker("start", *CONTAINERS)
    wait_until(cluster.serves, "the cluster answers")
    cluster.wait_for_replica("api1")
    cluster.wait_for_replica("api2")


def create_token(cluster: Cluster, name: str) -> str:
    return cluster.docker("exec", name, "python", "-m", "llm_api.tokens", "create", "full")


@pytest.mark.usefixtures("small_disk")
def test_the_api_goes_on_and_recovers_by_itself(cluster: Cluster) -> None:
    before = create_token(cluster, "api1")
    with Traffic(cluster.url, gets=2, chats=1) as traffic:
        # It says that there is no room left.
        assert cluster.host.run(f"dd if=/dev/zero of={FILLER} bs=64k").failed
        time.sleep(FULL)
        assert free(cluster) == 0
        full = cluster.host.file(ACCESS_LOG).size
        cluster.host.check_output(f"rm {FILLER}")
        time.sleep(3)
    assert traffic.failures == []
    assert traffic.succeeded["get"] > 50
    assert traffic.succeeded["chat"] > 5
    wait_until(lambda: cluster.host.file(ACCESS_LOG).size > full, "the log goes on")
    after = [create_token(cluster, name) for name in ("api1", "api2")]
    assert digests_of([before, *after]) <= tokens_in_database(cluster)
    for name in CONTAINERS:
        assert cluster.inspect(name)["RestartCount"] == 0


def free(cluster: Cluster) -> int:
    """Return the bytes that are free on the small disk."""
    return int(cluster.host.check_output(f"df --output=avail {DISK} | tail --lines=1"))
