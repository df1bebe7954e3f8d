"""What a host says of its part of the cluster, asked through an engine that is not there."""

from __future__ import annotations

import importlib.util
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.lab.templates import ROLES

STARTED = "2026-11-25T20:00:00.123456789Z"
PROVIDER = {"name": "local", "state": "available", "under_way": 2, "requests": 5}


def load() -> ModuleType:
    """Load the module as Ansible does: from its file."""
    path = ROLES / "status/library/host_status.py"
    spec = importlib.util.spec_from_file_location("host_status", path)
    assert spec
    assert spec.loader
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


host_status = load()


def container(name: str, status: str = "running", **labels: str) -> dict[str, Any]:
    """Return what the engine says of a container."""
    return {
        "Name": f"/{name}",
        "State": {
            "Status": status,
            "Running": status == "running",
            "StartedAt": STARTED,
            "Health": {"Status": "healthy"},
        },
        "Config": {"Labels": {"com.docker.compose.service": name, **labels}},
        "HostConfig": {"Memory": 2**28},
        "RestartCount": 0,
    }


@dataclass
class Engine:
    """An engine with `containers`; a command that has one of `broken` in it fails."""

    containers: list[dict[str, Any]]
    broken: Sequence[str] = ()
    private: bool = False
    asked: list[str] = field(default_factory=list)

    def __call__(self, command: Sequence[str]) -> str:
        """Answer as the command would."""
        text = " ".join(command)
        self.asked.append(text)
        if any(word in text for word in self.broken):
            raise OSError("Cannot connect to the Docker daemon")
        answers = {
            "docker ps": "".join(f"{each['Name']}\n" for each in self.containers),
            "docker inspect": json.dumps(self.containers),
            "docker info": "/\n",
            "docker stats": "".join(
                json.dumps({"Name": name, "CPUPerc": "12.50%", "MemUsage": "92.5MiB / 768MiB"})
                + "\n"
                for name in command[5:]
            ),
        }
        return answers.get(" ".join(command[:2])) or self._inside(command)

    def _inside(self, command: Sequence[str]) -> str:
        if "figures" in command:
            return json.dumps({"seconds": 60, "requests": 3, "errors": 0, "replicas": {}})
        if command[-1] == "/status":
            return (
                "HTTP/1.1 200 OK\r\n\r\nActive connections: 9\nReading: 0 Writing: 4 Waiting: 5\n"
            )
        if command[-1] == "/replicas":
            check = {"server": "api1:5500", "healthy": True, "since": 0, "failure": ""}
            return "HTTP/1.1 200 OK\r\nServer: nginx\r\n\r\n" + json.dumps({"replicas": [check]})
        if self.private:
            raise OSError("HTTP Error 401")
        return json.dumps({"data": [{**PROVIDER, "success_rate": 1.0, "models": ["m"]}]})


def collect(folder: Path, engine: Engine) -> Any:
    return host_status.collect(
        "freegpt4",
        directory=folder,
        certificates=folder / "certificates",
        metrics=folder / "metrics",
        seconds=60,
        run=engine,
    )


def by_name(status: Any) -> dict[str, Any]:
    return {each["name"]: each for each in status["containers"]}


def test_what_a_whole_cluster_says(tmp_path: Path) -> None:
    names = ["gateway", "model", "egress"]
    replica = container("api1", **{"freegpt4.release": "1a2b3c4d"})
    status = collect(tmp_path, Engine([replica, *map(container, names)]))
    assert status["faults"] == []
    assert status["time"] == pytest.approx(time.time(), abs=30)
    found = by_name(status)
    assert set(found) == {"api1", *names}
    assert found["api1"] == {
        "name": "api1",
        "service": "api1",
        "release": "1a2b3c4d",
        "state": "running",
        "health": "healthy",
        "started": 1795636800.0,
        "memory_limit": 2**28,
        "restarts": 0,
        "cpu": 0.125,
        "memory": int(92.5 * 2**20),
        "open": 2,
    }
    assert found["gateway"]["release"] == ""
    assert status["gateway"]["open"] == 3
    assert status["gateway"]["replicas"][0]["server"] == "api1:5500"
    assert status["gateway"]["figures"]["requests"] == 3
    assert status["providers"] == {"api1": [PROVIDER | {"success_rate": 1.0}]}
    assert json.dumps(status)


def test_what_is_kept_for_a_rollback_is_not_down(tmp_path: Path) -> None:
    old = container("api1-0a1b2c3d", "exited", **{"com.docker.compose.service": "api1"})
    status = collect(tmp_path, Engine([container("api1"), old]))
    assert list(by_name(status)) == ["api1"]
    assert status["kept"] == ["api1-0a1b2c3d"]


def test_what_stopped_is_not_asked(tmp_path: Path) -> None:
    engine = Engine([container("api1", "exited"), container("gateway", "exited")])
    status = collect(tmp_path, engine)
    assert by_name(status)["api1"]["started"] is None
    assert by_name(status)["api1"]["memory"] is None
    assert status["gateway"] is None
    assert not [text for text in engine.asked if "exec" in text or "stats" in text]


def test_what_runs_once_is_no_part_of_the_cluster(tmp_path: Path) -> None:
    once = container("certbot-run", **{"com.docker.compose.oneoff": "True"})
    assert collect(tmp_path, Engine([once]))["containers"] == []


def test_a_replica_in_private_mode_tells_nobody(tmp_path: Path) -> None:
    status = collect(tmp_path, Engine([container("api1")], private=True))
    assert status["providers"] == {"api1": None}
    assert by_name(status)["api1"]["open"] is None
    assert status["faults"] == []


@pytest.mark.parametrize(
    ("broken", "fault"),
    [("docker ps", "Docker: "), ("stats", "docker stats: "), ("figures", "gateway: ")],
)
def test_what_cannot_be_learnt_is_a_fault_and_not_the_end(
    tmp_path: Path, broken: str, fault: str
) -> None:
    status = collect(tmp_path, Engine([container("gateway")], broken=[broken]))
    assert status["faults"] == [f"{fault}Cannot connect to the Docker daemon"]
    assert status["disks"]


def test_a_host_with_nothing(tmp_path: Path) -> None:
    status = collect(tmp_path / "nothing", Engine([]))
    assert (status["containers"], status["faults"]) == ([], [])
    assert (status["deploy"], status["autoheal"], status["certificates"]) == (None, {}, [])


def test_certificates_with_what_their_renewal_reports(tmp_path: Path) -> None:
    for name in ("api.example.com", "www.example.com"):
        version = tmp_path / "certificates" / name / "20261125T120000Z"
        version.mkdir(parents=True)
        (version / "fullchain.pem").touch()
    (tmp_path / "certificates/half.example.com").mkdir()
    (tmp_path / "metrics").mkdir()
    (tmp_path / "metrics/certificates.prom").write_text(
        'freegpt4_certificate_not_after_seconds{name="api.example.com"} 1800000000\n'
        'freegpt4_certificate_renewal_ok{name="api.example.com"} 0\n'
    )
    assert collect(tmp_path, Engine([]))["certificates"] == [
        {"name": "api.example.com", "end": 1800000000, "renewal_ok": 0},
        {"name": "www.example.com", "end": None, "renewal_ok": None},
    ]


def test_the_last_deploy_is_the_last_whole_line(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs/deploys.log").write_text('{"to": "a"}\n{"to": "b"}\n{"to": "c')
    assert collect(tmp_path, Engine([]))["deploy"] == {"to": "b"}


def test_what_the_host_restarted_by_itself(tmp_path: Path) -> None:
    (tmp_path / "metrics").mkdir()
    (tmp_path / "metrics/autoheal.json").write_text('{"api1": {"restarts": 2}}')
    assert collect(tmp_path, Engine([]))["autoheal"] == {"api1": {"restarts": 2}}


def test_each_disk_is_named_once(tmp_path: Path) -> None:
    [disk] = collect(tmp_path, Engine([]))["disks"]
    assert disk["path"] == str(tmp_path)
    assert 0 < disk["free"] <= disk["size"]


@pytest.mark.parametrize(
    ("text", "size"), [("0B", 0), ("1.5KiB", 1536), ("92.5MiB", 96993280), ("2GiB", 2**31)]
)
def test_sizes(text: str, size: int) -> None:
    assert host_status.bytes_of(text) == size


def test_a_size_that_is_none() -> None:
    with pytest.raises(ValueError, match="-- is no size"):
        host_status.bytes_of("--")


def test_commands_say_what_they_complain_of() -> None:
    assert host_status.run_command(["sh", "-c", "echo good"]) == "good\n"
    with pytest.raises(OSError, match="bad"):
        host_status.run_command(["sh", "-c", "echo bad >&2; exit 1"])
