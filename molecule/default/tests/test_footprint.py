"""The cluster is small: limits that README promises."""

from __future__ import annotations

import pytest
from testbed.cluster import Cluster

MEGABYTE = 10**6
UNITS = {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


def test_idle_memory(cluster: Cluster) -> None:
    # One line a container, such as "49.4MiB / 256MiB": what it uses, and what it may use.
    lines = cluster.docker("stats", "--no-stream", "--format", "{{.MemUsage}}").splitlines()
    assert len(lines) == 5
    assert sum(in_bytes(line.split(" / ")[0]) for line in lines) < 600 * MEGABYTE


@pytest.mark.parametrize(("name", "megabytes"), [("api1", 350), ("gateway", 150), ("egress", 200)])
def test_image_size(cluster: Cluster, name: str, megabytes: int) -> None:
    image = cluster.inspect(name)["Image"]
    size = int(cluster.docker("image", "inspect", "--format", "{{.Size}}", image))
    assert size < megabytes * MEGABYTE


def in_bytes(amount: str) -> float:
    """Return what Docker writes as, for instance, `49.4MiB`."""
    return float(amount[:-3]) * UNITS[amount[-3:]]
