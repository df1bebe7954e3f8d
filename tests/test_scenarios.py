"""Every scenario of molecule is run by a verb of the Makefile, and described."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SCENARIOS = sorted(path.parent.name for path in (ROOT / "molecule").glob("*/molecule.yml"))


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_it_is_run(scenario: str) -> None:
    commands = re.findall(r"tests/molecule\.sh ([\w ]+)", (ROOT / "Makefile").read_text())
    assert scenario in " ".join(commands).split()


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_it_is_described(scenario: str) -> None:
    assert f"| `{scenario}` |" in (ROOT / "docs/development.md").read_text()
