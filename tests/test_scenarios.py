"""Every scenario of molecule is run by a verb of the Makefile, and described."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SCENARIOS = sorted(path.parent.name for path in (ROOT / "molecule").glob("*/molecule.yml"))


def words_of(path: str, line: str) -> set[str]:
    """Return the words of the lines of a file that contain `line`."""
    lines = (ROOT / path).read_text().splitlines()
    return {word for text in lines if line in text for word in text.split()}


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_it_is_run(scenario: str) -> None:
    run = words_of("tests/all.sh", "tests/molecule.sh") | words_of("Makefile", "tests/molecule.sh")
    assert scenario in run


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_it_is_described(scenario: str) -> None:
    assert f"| `{scenario}` |" in (ROOT / "docs/development.md").read_text()
