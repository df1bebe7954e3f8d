"""The module that waits until containers answer, with an engine that is a script."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from tests.lab.modules import fake_docker, run_module

# Answers from the third time on, and has a log.
SLOW = """
echo "$@" >> "$TMPDIR/asked"
[ "$1" = logs ] && { echo "last words of $4"; exit 0; }
[ "$(grep -c "exec $2 " "$TMPDIR/asked")" -ge 3 ] || { echo "not yet"; exit 1; }
"""
# Only `good` answers.
ONE_DOES = """
[ "$1" = logs ] && { echo "last words of $4"; exit 0; }
[ "$2" = good ] || { echo "refused"; exit 7; }
"""
RESTARTING = """
[ "$1" = logs ] && { echo "last words of $4"; exit 0; }
echo "Error response from daemon: Container 12ab is restarting, wait until it runs"; exit 1
"""


def wait(folder: Path, *containers: str, timeout: int = 20, **options: Any) -> dict[str, Any]:
    arguments = {"containers": list(containers), "command": ["healthy"], "timeout": timeout}
    return run_module("cluster/wait_for_containers", folder, {**arguments, **options})


def test_each_is_asked_until_it_answers(tmp_path: Path) -> None:
    fake_docker(tmp_path, SLOW)
    said = wait(tmp_path, "api1", "api2")
    assert (said.get("failed", False), said["changed"]) == (False, False)
    asked = (tmp_path / "asked").read_text().splitlines()
    assert sorted(asked) == ["exec api1 healthy"] * 3 + ["exec api2 healthy"] * 3


def test_one_that_does_not_is_named_with_its_log(tmp_path: Path) -> None:
    fake_docker(tmp_path, ONE_DOES)
    said = wait(tmp_path, "good", "bad", timeout=2)
    assert said["failed"]
    assert "bad runs but does not answer" in said["msg"]
    assert "refused" in said["msg"]
    assert "last words of bad" in said["msg"]
    assert "good" not in said["msg"]


def test_without_time_each_is_asked_once(tmp_path: Path) -> None:
    fake_docker(tmp_path, SLOW)
    assert wait(tmp_path, "api1", timeout=0)["failed"]
    assert (tmp_path / "asked").read_text().count("exec") == 1


def test_nobody_waits_for_one_that_ends_again_and_again(tmp_path: Path) -> None:
    fake_docker(tmp_path, RESTARTING)
    begun = time.monotonic()
    said = wait(tmp_path, "api1", timeout=600)
    assert "last words of api1" in said["msg"]
    assert time.monotonic() - begun < 60


def test_a_check_run_asks_nobody(tmp_path: Path) -> None:
    fake_docker(tmp_path, SLOW)
    assert not wait(tmp_path, "api1", _ansible_check_mode=True)["changed"]
    assert not (tmp_path / "asked").exists()
