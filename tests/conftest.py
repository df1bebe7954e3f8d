"""Fixtures of the tests that need no deployed cluster."""

from __future__ import annotations

import fcntl
import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.lab.certificates import Authority
from tests.lab.gateway import Gateway, bridge_address, gateway
from tests.lab.replica import Replica

ROOT = Path(__file__).parent.parent

Start = Callable[..., tuple[Gateway, list[Replica]]]


@pytest.fixture(scope="session")
def authority() -> Authority:
    """A certificate authority."""
    return Authority()


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The images by name, made by the project's own role where they are missing."""
    tags = tmp_path_factory.mktemp("images") / "tags.json"
    # One process after the other: the first makes them for all.
    with (tmp_path_factory.getbasetemp().parent / "images.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        subprocess.run(
            ["ansible-playbook", "tests/images.yml", "-e", f"tests_tags_file={tags}"],
            cwd=ROOT,
            check=True,
        )
    found: dict[str, str] = json.loads(tags.read_text())
    return found


@pytest.fixture(scope="session")
def gateway_image(images: dict[str, str]) -> str:
    """The gateway's image."""
    return images["gateway"]


@pytest.fixture(scope="session")
def egress_image(images: dict[str, str]) -> str:
    """The image of the way out."""
    return images["egress"]


@pytest.fixture(scope="session")
def postgres_image(images: dict[str, str]) -> str:
    """The image of the database."""
    return images["postgres"]


@pytest.fixture
def start(gateway_image: str, tmp_path: Path) -> Iterator[Start]:
    """Starts a gateway with replicas; the keywords are variables of the role."""
    with ExitStack() as stack:

        def start(replicas: int = 1, **variables: Any) -> tuple[Gateway, list[Replica]]:
            behind = [stack.enter_context(Replica(bridge_address())) for _ in range(replicas)]
            ports = [replica.port for replica in behind]
            return stack.enter_context(gateway(gateway_image, tmp_path, ports, variables)), behind

        yield start
