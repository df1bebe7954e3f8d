"""Every role has defaults, argument specs and a README, and they say the same."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parent.parent
ROLES = sorted(path for path in (ROOT / "roles").iterdir() if path.is_dir())


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def options_of(role: Path) -> dict[str, Any]:
    options: dict[str, Any] = load(role / "meta/argument_specs.yml")["argument_specs"]["main"][
        "options"
    ]
    return options


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_specs_and_defaults_agree(role: Path) -> None:
    specs = {name: option.get("default") for name, option in options_of(role).items()}
    assert specs == load(role / "defaults/main.yml")


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_variables_carry_the_name_of_their_role(role: Path) -> None:
    strangers = [name for name in options_of(role) if not name.startswith(f"{role.name}_")]
    assert strangers == []


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_every_option_is_described_and_typed(role: Path) -> None:
    bare = [n for n, o in options_of(role).items() if not o.get("description") or "type" not in o]
    assert bare == []


def test_readmes_are_up_to_date() -> None:
    result = subprocess.run(
        [ROOT / "tests/role_readmes.sh", "--check"], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("role", ["gateway", "egress"])
def test_the_page_on_a_role_names_all_its_variables(role: str) -> None:
    page = (ROOT / f"docs/{role}.md").read_text()
    assert [name for name in options_of(ROOT / "roles" / role) if f"`{name}`" not in page] == []


def test_inventories_set_only_variables_that_exist() -> None:
    known = {name for role in ROLES for name in options_of(role)} | {"ansible_python_interpreter"}
    files = sorted((ROOT / "inventory").glob("**/group_vars/**/*.yml"))
    assert files
    for path in files:
        assert set(load(path)) <= known, path


def test_pinned_collections_satisfy_the_requirements() -> None:
    result = subprocess.run(
        ["ansible-galaxy", "collection", "install", "--offline", "-r", "requirements.yml"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert "Nothing to do" in result.stdout
