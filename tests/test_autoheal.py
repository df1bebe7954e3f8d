"""Replicas that stay unhealthy are restarted: one at a time, and ever more seldom."""

from __future__ import annotations

import itertools
import json
import logging
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from autoheal import engine
from autoheal.__main__ import Settings, look, main
from autoheal.engine import EngineError
from autoheal.policy import STARTING, Health, Policy, Record, restarted

POLICY = Policy(patience=60, backoff=120, backoff_max=1000, forget=3600)
MINUTE = 60.0

# Answers as docker does, from files beside it, and notes what it was asked for.
DOCKER = """#!/bin/sh
cd "$(dirname "$0")"
echo "$*" >> calls
case $1 in
    ps) cat ids ;;
    inspect) cat containers ;;
    restart) [ ! -e broken ] || { echo "no such thing" >&2; exit 1; } ;;
esac
"""


class Engine:
    """A docker that says what it was told to."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir()
        (folder / "docker").write_text(DOCKER)
        (folder / "docker").chmod(0o755)
        self.show({})

    def show(self, healths: dict[str, str]) -> None:
        """Let containers run with `healths`; one without health is stopped."""
        containers = [
            {
                "Name": f"/{name}",
                "State": {"Status": "running", "Health": {"Status": health}}
                if health
                else {"Status": "exited", "Health": {"Status": "unhealthy"}},
            }
            for name, health in healths.items()
        ]
        (self._folder / "ids").write_text("".join(f"{name}\n" for name in healths))
        (self._folder / "containers").write_text(json.dumps(containers))

    def break_restarts(self) -> None:
        (self._folder / "broken").touch()

    @property
    def restarts(self) -> list[str]:
        """The containers that were restarted."""
        calls = self._folder / "calls"
        lines = calls.read_text().splitlines() if calls.exists() else []
        return [line.split()[1] for line in lines if line.startswith("restart")]


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Engine:
    """The docker that is found."""
    monkeypatch.setenv("PATH", f"{tmp_path / 'docker'}:{os.environ['PATH']}")
    return Engine(tmp_path / "docker")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """What the role writes, read."""
    path = tmp_path / "settings.json"
    path.write_text(
        json.dumps(
            {
                "cluster": "freegpt4",
                "policy": {"patience": 60, "backoff": 120, "backoff_max": 1000, "forget": 3600},
                "records": str(tmp_path / "records.json"),
                "counts": str(tmp_path / "autoheal.json"),
                "log": str(tmp_path / "autoheal.log"),
                "lock": str(tmp_path / "lock"),
                "lock_seconds": 3600,
            }
        )
    )
    return Settings.read(path)


@pytest.fixture
def log() -> Iterator[None]:
    """Takes away what a run has set up."""
    yield
    for handler in logging.root.handlers[:]:
        if isinstance(handler, logging.FileHandler):
            logging.root.removeHandler(handler)
            handler.close()


def restart_times(healths: list[Health], policy: Policy = POLICY) -> list[int]:
    """Return the minutes in which a replica is restarted that is seen with `healths`."""
    record = Record()
    minutes = []
    for minute, health in enumerate(healths):
        now = minute * MINUTE
        record = policy.see(record, health, now)
        if policy.choose({"api1": health}, {"api1": record}, now):
            minutes.append(minute)
            record = restarted(record, now)
    return minutes


def test_restarted_when_it_stays_unhealthy() -> None:
    assert restart_times([Health.HEALTHY, Health.UNHEALTHY, Health.UNHEALTHY]) == [2]
    assert restart_times([Health.UNHEALTHY, Health.HEALTHY] * 5) == []
    assert restart_times([Health.STARTING] * 10) == []


def test_ever_more_seldom() -> None:
    minutes = restart_times([Health.UNHEALTHY] * 80)
    pauses = [later - earlier for earlier, later in itertools.pairwise(minutes)]
    assert pauses == [2, 4, 8, 16, 17, 17]


def test_restarts_are_forgotten_after_a_healthy_time() -> None:
    sick = [Health.UNHEALTHY] * 10
    minutes = restart_times([*sick, *[Health.HEALTHY] * 61, *sick])
    assert minutes == [1, 3, 7, 72, 74, 78]
    # Too short a time to forget: the pauses go on to grow.
    assert restart_times([*sick, *[Health.HEALTHY] * 5, *sick, *sick]) == [1, 3, 7, 16, 32]


def test_one_at_a_time(docker: Engine, settings: Settings) -> None:
    docker.show({"api1": "unhealthy", "api2": "unhealthy", "api3": "healthy"})
    look(settings, 0)
    look(settings, MINUTE)
    assert docker.restarts == ["api1"]
    docker.show({"api1": "starting", "api2": "unhealthy", "api3": "healthy"})
    look(settings, 2 * MINUTE)
    assert docker.restarts == ["api1"]
    docker.show({"api1": "healthy", "api2": "unhealthy", "api3": "healthy"})
    look(settings, 3 * MINUTE)
    assert docker.restarts == ["api1", "api2"]


def test_one_that_never_starts_does_not_hold_up_the_others(
    docker: Engine, settings: Settings
) -> None:
    docker.show({"api1": "unhealthy", "api2": "unhealthy"})
    look(settings, 0)
    look(settings, MINUTE)
    docker.show({"api1": "starting", "api2": "unhealthy"})
    look(settings, MINUTE + STARTING)
    assert docker.restarts == ["api1", "api2"]


def test_what_is_no_running_replica_is_left_alone(docker: Engine, settings: Settings) -> None:
    docker.show({"gateway": "unhealthy", "api1-0123abcd": "unhealthy", "api2": ""})
    for minute in range(10):
        look(settings, minute * MINUTE)
    assert docker.restarts == []


def test_nothing_is_done_while_the_cluster_is_deployed(docker: Engine, settings: Settings) -> None:
    now = time.time()
    docker.show({"api1": "unhealthy"})
    look(settings, now)
    settings.lock.touch()
    look(settings, now + MINUTE)
    assert docker.restarts == []
    # Somebody has left it behind.
    os.utime(settings.lock, (now - 3601, now - 3601))
    look(settings, now + 2 * MINUTE)
    assert docker.restarts == ["api1"]


def test_restarts_are_counted_and_logged(
    docker: Engine, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    docker.show({"api1": "unhealthy"})
    for minute in range(4):
        look(settings, minute * MINUTE)
    counts = json.loads(settings.counts.read_text())
    assert counts == {"api1": {"restarts": 2, "last": "1970-01-01T00:03:00Z"}}
    assert "api1: restarted, unhealthy for 60 s; restart 2, and not again within 240 s" in (
        caplog.text
    )


def test_a_restart_that_fails_is_counted_too(docker: Engine, settings: Settings) -> None:
    docker.show({"api1": "unhealthy"})
    docker.break_restarts()
    look(settings, 0)
    with pytest.raises(EngineError, match="docker restart: no such thing"):
        look(settings, MINUTE)
    look(settings, 2 * MINUTE)
    assert json.loads(settings.counts.read_text())["api1"]["restarts"] == 1


@pytest.mark.usefixtures("log", "settings")
def test_the_command(docker: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["autoheal", "--settings", str(tmp_path / "settings.json")])
    docker.show({"api1": "unhealthy"})
    assert main() == 0
    assert engine.healths("freegpt4") == {"api1": Health.UNHEALTHY}
    assert (tmp_path / "records.json").exists()
