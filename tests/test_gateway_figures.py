"""What the gateway says of itself and of each replica, from its access log."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from gateway_control.figures import BLOCK, figures

from tests.conftest import Start
from tests.lab import plain
from tests.lab.gateway import docker

HOSTS = "127.0.0.1 localhost\n10.0.0.11 api1 # the first\n10.0.0.12 api2\n"


def line(ago: float = 1, status: int = 200, **upstream: str) -> str:
    """Return a line of the access log, of so many seconds ago."""
    entry = {
        "time": datetime.fromtimestamp(int(time.time() - ago), UTC).isoformat(),
        "path": "/v1/models",
        "status": status,
        "seconds": 0.5,
        "upstream_addr": "10.0.0.11:5500",
        "upstream_status": str(status),
        "upstream_seconds": "0.250",
        **upstream,
    }
    return json.dumps(entry)


def read(folder: Path, lines: Iterable[str], seconds: float = 60, **options: Any) -> dict[str, Any]:
    """Return the figures of a log with `lines`."""
    hosts = folder / "hosts"
    hosts.write_text(HOSTS)
    log = folder / "access.log"
    log.write_text("".join(f"{line}\n" for line in lines))
    return figures(time.time() - seconds, log, hosts, **options)


def test_an_empty_log_says_that_nothing_was_asked(tmp_path: Path) -> None:
    found = read(tmp_path, [])
    assert (found["requests"], found["errors"], found["replicas"]) == (0, 0, {})
    assert found["seconds"] == pytest.approx(60, abs=5)


def test_counts_and_times_of_each_replica(tmp_path: Path) -> None:
    times = ["0.100", "0.200", "3.000"]
    lines = [line(upstream_seconds=seconds) for seconds in times]
    found = read(tmp_path, [*lines, line(upstream_addr="10.0.0.12:5500", status=500)])
    assert (found["requests"], found["errors"]) == (4, 1)
    first = found["replicas"]["api1:5500"]
    assert (first["requests"], first["errors"]) == (3, 0)
    assert (first["median"], first["slowest"]) == (0.2, 3.0)
    assert first["per_second"] == pytest.approx(3 / 60, abs=0.01)
    assert found["replicas"]["api2:5500"]["errors"] == 1


def test_each_try_counts_for_the_replica_that_made_it(tmp_path: Path) -> None:
    retried = line(
        upstream_addr="10.0.0.11:5500, 10.0.0.12:5500",
        upstream_status="502, 200",
        upstream_seconds="0.001, 0.300",
    )
    found = read(tmp_path, [retried])
    assert (found["requests"], found["errors"]) == (1, 0)
    assert found["replicas"]["api1:5500"]["errors"] == 1
    assert found["replicas"]["api2:5500"]["errors"] == 0


def test_what_reached_no_replica_counts_for_none(tmp_path: Path) -> None:
    limited = line(status=429, upstream_addr="", upstream_status="", upstream_seconds="")
    left_out = line(
        status=503,
        upstream_addr="freegpt4_api : 10.0.0.12:5500",
        upstream_status="502 : -",
        upstream_seconds="0.000 : -",
    )
    found = read(tmp_path, [limited, left_out])
    assert (found["requests"], found["errors"]) == (2, 1)
    assert list(found["replicas"]) == ["api2:5500"]
    assert found["replicas"]["api2:5500"]["errors"] == 0


def test_an_address_without_a_name_stays_one(tmp_path: Path) -> None:
    assert list(read(tmp_path, [line(upstream_addr="10.9.9.9:80")])["replicas"]) == ["10.9.9.9:80"]


def test_only_what_ended_since_then(tmp_path: Path) -> None:
    # The workers' lines are not quite in order.
    found = read(tmp_path, [line(500), line(59), line(62), line(30)])
    assert found["requests"] == 2


def test_what_was_rotated_since_then_is_read_as_well(tmp_path: Path) -> None:
    (tmp_path / "access.log-20261124-1").write_text(line(90) + "\n" + line(40) + "\n")
    (tmp_path / "access.log-20261123-1.gz").write_bytes(b"no log")
    assert read(tmp_path, [line(10)])["requests"] == 2


def test_lines_that_are_none_are_passed_over(tmp_path: Path) -> None:
    assert read(tmp_path, [line(), "", "[]", line()[:50]])["requests"] == 1


def test_a_line_may_lie_across_two_blocks(tmp_path: Path) -> None:
    lines = [line(path="x" * 1000) for _ in range(3 * BLOCK // 1000)]
    assert read(tmp_path, lines)["requests"] == len(lines)


def test_a_log_too_long_to_read_says_how_far_it_was_read(tmp_path: Path) -> None:
    old = [line(50, path="x" * 1000) for _ in range(BLOCK // 1000)]
    new = [line(10, path="x" * 1000) for _ in range(3 * BLOCK // 1000)]
    found = read(tmp_path, [*old, *new], most=2 * BLOCK)
    assert 0 < found["requests"] < len(new)
    assert found["seconds"] == pytest.approx(10, abs=5)
    assert found["per_second"] == pytest.approx(found["requests"] / found["seconds"], rel=0.05)


def test_figures_of_a_running_gateway(start: Start) -> None:
    door, [first, second] = start(2, gateway_limit_rate="")
    second.status = 503
    for _ in range(6):
        assert plain.get(f"{door.url}/v1/models").is_success
    time.sleep(1.5)  # nginx holds the log back for up to a second
    command = ("exec", door.name, "python3", "-m", "gateway_control", "figures")
    found = json.loads(docker(*command, "--seconds", "60"))
    assert (found["requests"], found["errors"]) == (6, 0)
    good, bad = (found["replicas"][f"replica:{replica.port}"] for replica in (first, second))
    assert (good["requests"], good["errors"]) == (6, 0)
    assert bad["requests"] == bad["errors"] > 0
    assert json.loads(docker(*command, "--seconds", "1"))["requests"] == 0
