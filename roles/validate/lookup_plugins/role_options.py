# SPDX-License-Identifier: GPL-3.0-or-later
"""Lookup that collects the public variables of all roles from their argument specs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from ansible.plugins.lookup import LookupBase

UNCHECKED = {"default", "required"}

DOCUMENTATION = """
name: role_options
short_description: The public variables of each role
options:
  _terms:
    description: Folders on the control node that hold roles.
    type: list
    elements: path
    required: true
"""

RETURN = """
_raw:
  description:
    - For each folder a dictionary from a role's name to the options of its C(main) entry point.
      They say neither C(required) nor C(default): only what a user sets is held against them.
  type: list
  elements: dict
"""


def read_options(folder: Path) -> dict[str, dict[str, Any]]:
    """Return the options of each role in `folder`, by role and name."""
    roles: dict[str, dict[str, Any]] = {}
    for path in sorted(folder.glob("*/meta/argument_specs.yml")):
        spec = yaml.safe_load(path.read_text())["argument_specs"]["main"]
        roles[path.parent.parent.name] = {
            name: {key: value for key, value in option.items() if key not in UNCHECKED}
            for name, option in spec.get("options", {}).items()
        }
    return roles


class LookupModule(LookupBase):  # type: ignore[misc]  # Ansible's plugin classes carry no types
    """The lookup as Ansible calls it."""

    def run(
        self, terms: list[str], variables: dict[str, Any] | None = None, **kwargs: Any
    ) -> list[dict[str, Any]]:
        """Return the options of the roles in each folder of `terms`."""
        return [read_options(Path(term)) for term in terms]
