"""Fixtures of the tests that need no deployed cluster."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def gateway_image(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The gateway's image, made by the project's own role where it is missing."""
    tags = tmp_path_factory.mktemp("images") / "tags.json"
    subprocess.run(
        ["ansible-playbook", "tests/images.yml", "-e", f"tests_tags_file={tags}"],
        cwd=ROOT,
        check=True,
    )
    image: str = json.loads(tags.read_text())["gateway"]
    return image
