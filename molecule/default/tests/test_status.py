"""What status says of the deployed cluster, to people and to scripts."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from testbed.cluster import Cluster

PROJECT = Path(os.environ["MOLECULE_PROJECT_DIRECTORY"])
INVENTORIES = [
    PROJECT / "molecule/shared/inventory",
    Path(os.environ["MOLECULE_SCENARIO_DIRECTORY"]) / "hosts.yml",
]


def monitor(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run what operators run."""
    inventories = [f"--inventory={inventory}" for inventory in INVENTORIES]
    return subprocess.run(
        [PROJECT / "scripts/monitor-cluster.sh", *inventories, *arguments],
        env=os.environ | {"ANSIBLE_CONFIG": str(PROJECT / "ansible.cfg"), "COLUMNS": "80"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def status(*arguments: str) -> tuple[int, Any]:
    """Return the exit code and what a script reads."""
    result = monitor("--json", *arguments)
    assert result.stdout, result.stderr
    return result.returncode, json.loads(result.stdout)


@pytest.fixture
def stopped(cluster: Cluster) -> Iterator[str]:
    """A replica that does not run for a while."""
    cluster.docker("stop", "api2")
    yield "api2"
    cluster.docker("start", "api2")
    cluster.wait_for_health("api2")
    cluster.wait_for_replica("api2")


def test_all_is_well_and_the_requests_are_counted(cluster: Cluster) -> None:
    for name in cluster.containers():
        cluster.wait_for_health(name)
    asked = cluster.get_models(20)
    code, report = status()
    assert (code, report["state"], report["findings"]) == (0, "well", [])
    [host] = report["hosts"].values()
    said = host["status"]
    names = {each["name"]: each for each in said["containers"]}
    assert set(names) == cluster.containers()
    for each in names.values():
        assert (each["state"], each["health"]) == ("running", "healthy")
        assert 0 < each["memory"] < each["memory_limit"]
    figures = said["gateway"]["figures"]
    assert figures["requests"] >= 20
    for name, number in asked.items():
        assert figures["replicas"][f"{name}:5500"]["requests"] >= number
    assert {each["server"] for each in said["gateway"]["replicas"]} == {"api1:5500", "api2:5500"}
    assert "local" in [each["name"] for each in said["providers"]["api1"]]
    assert names["api1"]["open"] == 0
    assert said["disks"]


def test_a_person_sees_every_container_in_80_columns(cluster: Cluster) -> None:
    result = monitor()
    assert result.returncode == 0
    lines = result.stdout.splitlines()
    assert "all is well" in lines[0]
    assert max(map(len, lines)) <= 80
    assert cluster.containers() <= {line.split()[0] for line in lines if line.strip()}


def test_a_replica_that_is_stopped_is_named(stopped: str) -> None:
    code, report = status()
    assert (code, report["state"]) == (1, "degraded")
    assert f"{stopped} does not run: it is exited" in [
        finding["text"] for finding in report["findings"]
    ]


def test_a_disk_that_is_nearly_full_is_named() -> None:
    code, report = status("--extra-vars=status_disk_free_percent=100")
    assert code == 1
    assert "is nearly full" in report["findings"][0]["text"]


def test_a_host_that_cannot_be_reached_is_named(tmp_path: Path) -> None:
    away = tmp_path / "hosts.yml"
    host = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 1}
    away.write_text(json.dumps({"freegpt4": {"hosts": {"away": host}}}))
    code, report = status(f"--inventory={away}")
    assert (code, report["state"]) == (1, "degraded")
    [finding] = report["findings"]
    assert finding["host"] == "away"
    assert "cannot be asked" in finding["text"]
