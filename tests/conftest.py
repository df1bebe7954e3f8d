"""Fixtures of the tests that need no deployed cluster."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The images by name, made by the project's own role where they are missing."""
    tags = tmp_path_factory.mktemp("images") / "tags.json"
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
