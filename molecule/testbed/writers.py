"""Operators who make tokens all the time, and what of it the database has."""

from __future__ import annotations

import hashlib
import json
import shlex
import subprocess
from collections.abc import Sequence
from functools import partial

from testbed.background import Background
from testbed.cluster import Cluster

DATABASE = "/opt/freegpt4/data/llm-api/state.db"

_LOOP = "while python -m llm_api.tokens create written; do :; done"

_LOOK = """
import json, sqlite3, sys
database = sqlite3.connect(f"file:{sys.argv[1]}?mode=rw", uri=True, timeout=30)
[sound] = database.execute("PRAGMA integrity_check").fetchone()
print(json.dumps([sound, [row[0] for row in database.execute("SELECT digest FROM tokens")]]))
"""


class Writers(Background):
    """Makes tokens in each of `replicas` for as long as the `with` block lasts, or they run.

    Attributes:
        acknowledged: the secrets of the tokens that are made.
    """

    def __init__(self, container: str, replicas: Sequence[str]) -> None:
        """Write in the replicas on the test host `container`."""
        self.acknowledged: list[str] = []
        self._container = container
        self._processes: list[subprocess.Popen[str]] = []
        super().__init__(*(partial(self._write, replica) for replica in replicas))

    def stop(self) -> None:
        """Stop them. Whatever is heard of by then is made."""
        for process in self._processes:
            process.kill()
            process.wait()
        super().stop()

    def _write(self, replica: str) -> None:
        process = subprocess.Popen(
            ["docker", "exec", self._container, "docker", "exec", replica, "sh", "-c", _LOOP],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._processes.append(process)
        assert process.stdout
        for line in process.stdout:
            # A line without its end was not said to the end.
            if line.endswith("\n"):
                self.acknowledged.append(line.strip())


def tokens_in_database(cluster: Cluster) -> set[str]:
    """Return the digests of the tokens in the database of a host, which must be sound."""
    sound, digests = json.loads(
        cluster.host.check_output(shlex.join(["python3", "-c", _LOOK, DATABASE]))
    )
    assert sound == "ok"
    return set(digests)


def digests_of(secrets: Sequence[str]) -> set[str]:
    """Return what the database keeps of `secrets`."""
    return {hashlib.sha256(secret.encode()).hexdigest() for secret in secrets}
