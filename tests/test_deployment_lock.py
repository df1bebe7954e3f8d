"""Who holds the lock of a host, and when it is known that nobody does any more."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from roles.deployment.filter_plugins.deployment_lock import (
    abandoned,
    holder,
    read,
    seconds_since,
)


def test_a_lock_says_who_and_why() -> None:
    mine = holder("site", "new image")
    assert mine["who"].endswith(f"@{socket.gethostname()}")
    assert (mine["playbook"], mine["why"]) == ("site", "new image")
    assert mine["process"] == os.getpid()
    assert seconds_since(mine["since"]) < 60
    assert read(json.dumps(mine)) == mine


def test_a_run_that_goes_on_keeps_its_lock() -> None:
    assert not abandoned(holder("site", ""))


def test_a_run_that_has_died_loses_it() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    assert abandoned(holder("site", "") | {"process": process.pid})


def test_another_process_with_the_same_number_is_not_taken_for_it() -> None:
    assert abandoned(holder("site", "") | {"started": "1"})


def test_nobody_knows_what_runs_elsewhere() -> None:
    assert not abandoned(holder("site", "") | {"control": "elsewhere", "process": 2**22})


@pytest.mark.parametrize("text", ["", "{", "[]"])
def test_a_lock_that_was_never_finished_is_nobodys(text: str) -> None:
    assert abandoned(read(text))


def test_seconds_since() -> None:
    moment = datetime.now(UTC) - timedelta(minutes=2)
    assert seconds_since(moment.strftime("%Y-%m-%dT%H:%M:%SZ")) in range(119, 123)
