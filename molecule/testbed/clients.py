"""The programs that people use, run in a container beside the test host."""

from __future__ import annotations

import os
import subprocess
import tempfile
from functools import cache
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
    client = docker.from_env()
    container = client.containers.run(
        _image(),
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


@cache
def _image() -> str:
    """Make the image where it is missing, and return what it is called."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "name"
        subprocess.run(
            [
                *("ansible-playbook", "molecule/shared/clients.yml"),
                *("--extra-vars", f"testbed_clients_file={file}"),
            ],
            cwd=os.environ["MOLECULE_PROJECT_DIRECTORY"],
            env=os.environ | {"ANSIBLE_CONFIG": "ansible.cfg"},
            check=True,
        )
        return file.read_text()
