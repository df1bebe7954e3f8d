"""The programs that people use, run in a container beside the test host."""

from __future__ import annotations

import json
import os
from pathlib import Path

import docker

from testbed.outside import NETWORK


def run(url: str, tests: str, **environment: str) -> tuple[int, str]:
    """Run the file `tests` of molecule/clients/tests against the cluster at `url`.

    Args:
        url: the gateway, without a path.
        tests: the name of the file.
        environment: further variables for the tests, such as `TOKEN`.

    Returns:
        pytest's exit code and what it printed.
    """
    images = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "images.json"
    client = docker.from_env()
    container = client.containers.run(
        json.loads(images.read_text())["clients"],
        [f"tests/{tests}"],
        environment={"GATEWAY_URL": url} | environment,
        network=NETWORK,
        # Chromium keeps what it draws there, and the engine's own 64 MB are too little.
        shm_size="256m",
        detach=True,
    )
    try:
        code: int = container.wait(timeout=300)["StatusCode"]
        return code, container.logs().decode()
    finally:
        container.remove(force=True, v=True)
        client.close()
