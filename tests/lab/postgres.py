"""The PostgreSQL image as its role runs it, between a replica and somebody else."""

from __future__ import annotations

import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.lab.gateway import docker, wait_until

# Replicas are on the first half of the network, and nobody who may connect on the second.
NETWORK, INTERNAL = "10.215.0.0/23", "10.215.0.0/24"
POSTGRES, REPLICA, STRANGER = "10.215.0.5", "10.215.0.11", "10.215.1.11"

SECONDS_TO_START = 20


@dataclass(frozen=True)
class Postgres:
    """A container of the image, what it keeps, and who connects to it."""

    name: str
    replica: str
    stranger: str
    folder: Path

    def start(self) -> None:
        """Start it, and return when it answers."""
        docker("start", self.name)
        wait_until(self._answers, f"{self.name} answers", SECONDS_TO_START)

    def ask(
        self, password: str, query: str, *, by: str = "", role: str = "llm_api"
    ) -> subprocess.CompletedProcess[str]:
        """Run `query` on the replicas' database, connected to by network."""
        url = f"postgresql://{role}@{POSTGRES}/llm_api"
        psql = ["psql", "--no-align", "--tuples-only", f"--command={query}", url]
        return subprocess.run(
            ["docker", "exec", f"--env=PGPASSWORD={password}", by or self.replica, *psql],
            capture_output=True,
            text=True,
            check=False,
        )

    def give(self, password: str) -> None:
        """Let this be the password from its next start on."""
        (self.folder / "secrets/password").write_text(password)

    def _answers(self) -> bool:
        command = ["docker", "exec", self.name, "pg_isready", "--quiet"]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0


@contextmanager
def postgres(image: str, folder: Path) -> Iterator[Postgres]:
    """Make a container for a while, which keeps its files in `folder`, and do not start it."""
    mark = uuid.uuid4().hex[:8]
    network = f"postgres-test-{mark}"
    made = Postgres(
        f"postgres-test-server-{mark}",
        f"postgres-test-replica-{mark}",
        f"postgres-test-stranger-{mark}",
        folder,
    )
    for name in ("data", "secrets"):
        (folder / name).mkdir()
    # The image's user is none of this machine.
    (folder / "data").chmod(0o777)
    try:
        docker("network", "create", "--internal", "--subnet", NETWORK, network)
        for name, address in ((made.replica, REPLICA), (made.stranger, STRANGER)):
            options = ("--detach", "--name", name, "--network", network, "--ip", address)
            docker("run", *options, image, "sleep", "infinity")
        docker(
            *("create", "--name", made.name, "--network", network, "--ip", POSTGRES),
            *("--read-only", "--tmpfs=/tmp", "--cap-drop=ALL", "--security-opt=no-new-privileges"),
            *("--shm-size=128m", f"--env=INTERNAL_SUBNET={INTERNAL}"),
            f"--volume={folder}/data:/var/lib/postgresql:rw",
            f"--volume={folder}/secrets:/run/secrets:ro",
            image,
        )
        yield made
    finally:
        for name in (made.name, made.replica, made.stranger):
            docker("rm", "--force", "--volumes", name)
        docker("network", "rm", network)
