"""What is thought of what the hosts say, and how people and machines are told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cluster_status.report import DAY, Report, State
from cluster_status.table import layout
from rich.console import Console

ROOT = Path(__file__).parent.parent
NOW = 1795640000.0
GB = 2**30


def container(name: str, **changes: Any) -> dict[str, Any]:
    """Return what a host says of a container that works."""
    return {
        "name": name,
        "service": name,
        "release": "1a2b3c4d" if name.startswith("api") else "",
        "state": "running",
        "health": "healthy",
        "started": NOW - 3 * 3600,
        "memory_limit": 768 * 2**20,
        "restarts": 0,
        "cpu": 0.034,
        "memory": 92 * 2**20,
        "open": 4 if name.startswith("api") else None,
        **changes,
    }


def answers(requests: int = 612, errors: int = 0) -> dict[str, Any]:
    """Return the figures of the gateway."""
    own = {"requests": requests, "per_second": 10.2, "errors": errors, "median": 0.1, "slowest": 2}
    return {
        "seconds": 60.0,
        "requests": requests,
        "per_second": 20.4,
        "errors": errors,
        "replicas": {"api1:5500": own},
    }


def check(name: str, failure: str = "") -> dict[str, Any]:
    """Return what the gateway's check says of a replica."""
    return {"server": f"{name}:5500", "healthy": not failure, "since": 0, "failure": failure}


def provider(name: str, state: str = "available") -> dict[str, Any]:
    """Return what a replica says of a provider."""
    return {"name": name, "state": state, "under_way": 2, "requests": 9, "success_rate": 1.0}


def status(**changes: Any) -> dict[str, Any]:
    """Return what a host says where all is well."""
    return {
        "time": NOW,
        "containers": [container(name) for name in ("gateway", "api2", "model", "api1", "egress")],
        "kept": [],
        "gateway": {
            "open": 5,
            "replicas": [check("api1"), check("api2")],
            "figures": answers(),
        },
        "providers": {name: [provider("local")] for name in ("api1", "api2")},
        "certificates": [],
        "disks": [{"path": "/opt/freegpt4", "free": 12 * GB, "size": 40 * GB}],
        "deploy": None,
        "autoheal": {},
        "faults": [],
        **changes,
    }


def host(failure: str = "", **changes: Any) -> dict[str, Any]:
    """Return what the playbook writes down of a host."""
    return {
        "failure": failure,
        "status": None if failure else status(**changes),
        "disk_free_percent": 10,
        "certificate_days": 7,
    }


def text_of(**hosts: dict[str, Any]) -> str:
    """Return what the playbook hands over."""
    return json.dumps({"cluster": "freegpt4", "hosts": hosts})


def report_of(**hosts: dict[str, Any]) -> Report:
    return Report.read(text_of(**hosts))


def changed(name: str, **changes: Any) -> list[dict[str, Any]]:
    """Return the containers of a host, one of them changed."""
    kept: list[dict[str, Any]] = [each for each in status()["containers"] if each["name"] != name]
    return [*kept, container(name, **changes)]


def shown(report: Report, width: int = 80) -> list[str]:
    """Return the lines that a person sees."""
    console = Console(width=width, record=True, file=open(os.devnull, "w"))  # noqa: SIM115, PTH123
    console.print(layout(report))
    return console.export_text().splitlines()


CERTIFICATE = {"name": "api.example.com", "end": NOW + 60 * DAY, "renewal_ok": 1}
DISK = {"path": "/var/lib/docker", "free": 1 * GB, "size": 40 * GB}
LEFT_OUT = {**status()["gateway"], "replicas": [check("api1"), check("api2", "no answer")]}


# How it goes


def test_all_is_well() -> None:
    report = report_of(a=host(certificates=[CERTIFICATE]))
    assert report.findings() == []
    assert report.state is State.WELL


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"containers": changed("api2", state="exited")}, "api2 does not run: it is exited"),
        ({"containers": changed("api2", health="unhealthy")}, "api2 runs and is not healthy"),
        ({"containers": changed("model", state="restarting")}, "model does not run"),
        ({"gateway": LEFT_OUT}, "the gateway sends nothing to api2: no answer"),
        (
            {"gateway": {**status()["gateway"], "figures": answers(100, 2)}},
            "2 of 100 answers of the last 60 s were errors",
        ),
        ({"disks": [DISK]}, "the disk of /var/lib/docker is nearly full: 2 % are free"),
        ({"certificates": [CERTIFICATE | {"end": NOW + 5 * DAY}]}, "expires in 5 days"),
        ({"certificates": [CERTIFICATE | {"end": NOW - DAY}]}, "api.example.com has expired"),
        ({"certificates": [CERTIFICATE | {"renewal_ok": 0}]}, "the last renewal of"),
        ({"deploy": {"result": "failed", "time": "2026-11-25"}}, "the last deploy failed"),
        ({"providers": {"api1": [provider("x", "failing")]}}, "api1 has no provider"),
        ({"faults": ["gateway: no answer"]}, "gateway: no answer"),
    ],
)
def test_what_needs_a_look(changes: dict[str, Any], text: str) -> None:
    report = report_of(a=host(**changes))
    [finding] = report.findings()
    assert text in finding.text
    assert report.state is State.DEGRADED


@pytest.mark.parametrize(
    "changes",
    [
        {"containers": changed("api1", health="starting")},
        {"gateway": {**status()["gateway"], "figures": answers(1000, 1)}},
        {"providers": {"api1": None, "api2": [provider("x", "failing"), provider("local")]}},
        {"certificates": [CERTIFICATE | {"end": None, "renewal_ok": None}]},
        {"autoheal": {"api1": {"restarts": 2}}, "kept": ["api1-0a1b2c3d"]},
        {"containers": [*changed("api1"), container("api3")]},
    ],
)
def test_what_needs_none(changes: dict[str, Any]) -> None:
    assert report_of(a=host(**changes)).state is State.WELL


@pytest.mark.parametrize(
    "hosts",
    [
        {"a": host(containers=changed("gateway", state="exited"), gateway=None)},
        {"a": host(containers=[container("gateway"), container("api1", state="dead")])},
        {"a": host(containers=[])},
        {"a": host("Connection refused")},
    ],
)
def test_where_nobody_would_get_an_answer_it_is_down(hosts: dict[str, Any]) -> None:
    report = report_of(**hosts)
    assert report.state is State.DOWN
    assert report.findings()


def test_a_host_that_is_gone_is_not_the_end() -> None:
    report = report_of(a=host(), b=host("Connection timed out"))
    assert report.state is State.DEGRADED
    [finding] = report.findings()
    assert (finding.host, finding.text) == ("b", "it cannot be asked: Connection timed out")
    lines = shown(report)
    assert "! b: it cannot be asked: Connection timed out" in lines
    assert any(line.startswith("api1 ") for line in lines)


# How it is shown


def test_a_person_sees_all_in_80_columns() -> None:
    deploy = {
        "time": "2026-11-25T21:00:00Z",
        "who": "root@control",
        "playbook": "site",
        "from": "1a2b3c4d",
        "to": "5e6f7a8b",
        "result": "ok",
        "seconds": 41,
    }
    providers = [provider("LLM7", "failing"), provider("local")]
    lines = shown(
        report_of(
            a=host(
                certificates=[CERTIFICATE],
                deploy=deploy,
                providers={"api1": providers, "api2": [provider("LLM7"), provider("local")]},
                kept=["api1-0a1b2c3d"],
                autoheal={"api1": {"restarts": 2}},
            )
        )
    )
    assert max(map(len, lines)) <= 80
    assert "all is well" in lines[0]
    rows = {words[0]: " ".join(words[1:]) for line in lines if (words := line.split())}
    # What matters most comes first.
    kinds = {"api1", "api2", "gateway"}
    assert [name for name in rows if name in kinds] == ["api1", "api2", "gateway"]
    assert rows["api1"] == "1a2b3c4d healthy 3h 10.2 0 4 3 % 92/768 MB"
    assert rows["api2"] == "1a2b3c4d healthy 3h 0.0 0 4 3 % 92/768 MB"
    assert rows["gateway"] == "- healthy 3h 20.4 0 5 3 % 92/768 MB"
    assert rows["model"] == "- healthy 3h 3 % 92/768 MB"
    text = " ".join(" ".join(lines).split())
    for part in (
        "LLM7 available (1)/failing (1), local available",
        "api.example.com 60 days left",
        "/opt/freegpt4: 12.0 of 40.0 GB free (30 %)",
        "2026-11-25 21:00 ok after 41 s: site by root@control (1a2b3c4d → 5e6f7a8b)",
        "api1-0a1b2c3d, for a rollback",
        "api1 2 times",
    ):
        assert part in text


def test_a_replica_that_is_left_out_is_shown_so() -> None:
    [line] = [line for line in shown(report_of(a=host(gateway=LEFT_OUT))) if line[:5] == "api2 "]
    assert "left out" in line


def test_what_is_not_known_is_a_hyphen() -> None:
    unknown = container("api1", release="", cpu=None, memory=None, open=None, started=None)
    lines = shown(report_of(a=host(containers=[unknown, container("gateway")])))
    assert ["api1", "-", "healthy", "-", "10.2", "0", "-", "-", "-"] in [x.split() for x in lines]


def test_many_replicas_with_long_figures_fit() -> None:
    busy = {"cpu": 15.5, "memory": 16000 * 2**20, "memory_limit": 32768 * 2**20, "open": 1000}
    replicas = [container(f"api{number}", **busy) for number in range(1, 65)]
    lines = shown(report_of(a=host(containers=[*replicas, container("gateway")])))
    assert max(map(len, lines)) <= 80
    assert sum("16000/32768 MB" in line for line in lines) == 64


def test_a_cluster_that_is_not_there_yet() -> None:
    lines = shown(report_of(a=host(containers=[], disks=None)))
    assert "it is not deployed" in lines[0]
    assert "! nothing is deployed here: run `make up`" in lines


def test_where_no_host_can_be_asked_nothing_else_is_claimed() -> None:
    assert "none of its hosts can be asked" in shown(report_of(a=host("Connection refused")))[0]


# The command


def run(text: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command on what the playbook hands over."""
    return subprocess.run(
        [sys.executable, "-m", "cluster_status", "--from", "-", *arguments],
        env=os.environ | {"PYTHONPATH": str(ROOT / "scripts"), "COLUMNS": "80"},
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("said", "code", "state"),
    [
        (host(), 0, "well"),
        (host(disks=[DISK]), 1, "degraded"),
        (host(containers=[]), 2, "down"),
        (host("Connection refused"), 2, "down"),
    ],
)
def test_exit_codes_and_json(said: dict[str, Any], code: int, state: str) -> None:
    assert run(text_of(a=said)).returncode == code
    result = run(text_of(a=said), "--json")
    assert result.returncode == code
    content = json.loads(result.stdout)
    assert content["state"] == state
    assert bool(content["findings"]) is (code > 0)
    assert content["hosts"]["a"]["status"] == said["status"]


@pytest.mark.parametrize("text", ["", "[]", '{"hosts": {}}', '{"cluster": "x", "hosts": {"a": 1}}'])
def test_what_is_no_report(text: str) -> None:
    result = run(text)
    assert result.returncode == 3
    assert result.stderr.count("\n") == 1
