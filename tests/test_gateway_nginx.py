"""When the running nginx has taken a configuration over."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
from gateway_control import nginx
from gateway_control.nginx import ConfigurationError, Nginx

MASTER = 1
WORKER = "nginx: worker process"
ENDING = "nginx: worker process is shutting down"


class Processes:
    """A /proc with a master and what it has started."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "self").mkdir()
        self.run(MASTER, "nginx: master process nginx -g daemon off;", parent=0)
        self.run(8, "nginx: cache manager process")

    def run(self, pid: int, title: str, parent: int = MASTER) -> None:
        (self.folder / str(pid)).mkdir(exist_ok=True)
        (self.folder / str(pid) / "stat").write_text(f"{pid} (nginx (a) b) S {parent} 0 0")
        # nginx writes its title over its arguments, and blanks over what is left of them.
        (self.folder / str(pid) / "cmdline").write_bytes(title.encode() + b"   \0\0")


@pytest.fixture
def processes(tmp_path: Path) -> Processes:
    (tmp_path / "proc").mkdir()
    (tmp_path / "nginx.pid").write_text(f"{MASTER}\n")
    return Processes(tmp_path / "proc")


@pytest.fixture
def running(processes: Processes, tmp_path: Path) -> Nginx:
    return Nginx(tmp_path / "nginx.pid", processes.folder)


def test_it_waits_until_no_worker_of_before_accepts(
    processes: Processes, running: Nginx, monkeypatch: pytest.MonkeyPatch
) -> None:
    processes.run(2, WORKER)
    processes.run(3, WORKER)
    processes.run(4, ENDING)
    processes.run(5, WORKER, parent=99)
    signals: list[tuple[int, int]] = []
    pauses: list[float] = []

    def reload(pid: int, number: int) -> None:
        signals.append((pid, number))
        processes.run(6, WORKER)
        processes.run(7, WORKER)

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        processes.run(len(pauses) + 1, ENDING)

    monkeypatch.setattr(os, "kill", reload)
    monkeypatch.setattr(time, "sleep", pause)
    running.hand_over()
    assert signals == [(MASTER, signal.SIGHUP)]
    assert len(pauses) == 2


def test_workers_that_go_on_are_no_handover(
    processes: Processes, running: Nginx, monkeypatch: pytest.MonkeyPatch
) -> None:
    processes.run(2, WORKER)
    monkeypatch.setattr(os, "kill", lambda *_: None)
    monkeypatch.setattr(nginx, "PATIENCE", 0.05)
    with pytest.raises(ConfigurationError, match="goes on with the one before"):
        running.hand_over()
