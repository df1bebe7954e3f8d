"""The state of services that are processes of their own, on one database."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests
from conftest import run_service, until
from fake_upstream import FakeUpstream
from sqlalchemy import text

from llm_api.config import Config
from llm_api.state import State, UsageEntry

BODY = {"messages": [{"role": "user", "content": "Hi"}]}


def test_sigterm_loses_no_usage(upstream: FakeUpstream, tmp_path: Path, database_url: str) -> None:
    entry = {"name": "p", "adapter": "openai", "base_url": upstream.url, "models": ["m"]}
    with run_service(tmp_path, [entry], DATABASE_URL=database_url) as running:
        for _ in range(5):
            url = f"{running.url}/v1/chat/completions"
            assert requests.post(url, json=BODY, timeout=10).status_code == 200
    state = State(Config(database_url=database_url))
    state.start()
    assert sum(total.requests for total in state.usage.totals()) == 5
    state.stop()


def test_a_service_that_is_too_old_ends_with_a_message(database_url: str) -> None:
    state = State(Config(database_url=database_url))
    state.start()
    with state.database.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9998'"))
        connection.execute(text("UPDATE meta SET value = '9997' WHERE name = 'compatible_from'"))
    state.stop()
    environ = os.environ | {"PYTHONPATH": "src", "DATABASE_URL": database_url, "PORT": "1"}
    command = [sys.executable, "-m", "llm_api"]
    done = subprocess.run(
        command, env=environ, check=False, capture_output=True, text=True, timeout=60
    )
    assert done.returncode != 0
    assert "newer version" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


WRITER = """
import sys
from llm_api.config import Config
from llm_api.state import State, UsageEntry
state = State(Config(database_url=sys.argv[1]))
state.start()
print("started", flush=True)
for i in range(int(sys.argv[3])):
    state.history.append(sys.argv[2], [{"role": "user", "content": str(i)}])
    state.usage.note(UsageEntry(0, "m", "p", 200, 1, 1, 1, 1))
    print(i, flush=True)
state.stop()
"""


def write(url: str, owner: str, count: int, output: Path) -> subprocess.Popen[bytes]:
    environ = os.environ | {"PYTHONPATH": "src"}
    with output.open("wb") as file:
        return subprocess.Popen(
            [sys.executable, "-c", WRITER, url, owner, str(count)], env=environ, stdout=file
        )


def test_processes_share_a_database_that_is_empty_yet(tmp_path: Path, database_url: str) -> None:
    names = [f"token:{i}" for i in range(4)]
    writers = [write(database_url, name, 50, tmp_path / name) for name in names]
    assert [writer.wait(60) for writer in writers] == [0] * 4
    state = State(Config(database_url=database_url))
    state.start()
    for name in names:
        messages = [message["content"] for message in state.history.read(name)]
        assert messages == [str(i) for i in range(50)]
    assert state.usage.totals()[0].requests == 200
    state.stop()


@pytest.mark.parametrize("after", [0.05, 0.2])
def test_a_kill_loses_nothing_that_was_written(
    tmp_path: Path, database_url: str, after: float
) -> None:
    output = tmp_path / "output"
    writer = write(database_url, "token:1", 100_000, output)
    # It starts and makes the tables first, which takes long on a busy machine.
    until(lambda: "0" in output.read_text().splitlines(), seconds=60)
    time.sleep(after)
    writer.send_signal(signal.SIGKILL)
    writer.wait(10)
    *_, last = output.read_text().rpartition("\n")[0].splitlines()
    state = State(Config(database_url=database_url))
    state.start()
    kept = [int(message["content"]) for message in state.history.read("token:1")]
    assert kept[-1] >= int(last)
    assert kept == list(range(kept[0], kept[-1] + 1))
    state.usage.note(UsageEntry(0, "m", "p", 200, 1, 1, 1, 1))
    state.stop()
