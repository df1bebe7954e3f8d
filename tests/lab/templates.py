"""The roles' templates, rendered as Ansible does it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import filter_loader, init_plugin_loader
from ansible.template import Templar, trust_as_template

ROLES = Path(__file__).parent.parent.parent / "roles"


@cache
def _loader() -> DataLoader:
    """Return a loader, now that Ansible finds the filters of collections and of the roles."""
    init_plugin_loader()
    filter_loader.add_directory(str(ROLES / "cluster/filter_plugins"))
    return DataLoader()


def render(role: str, folder: Path, variables: Mapping[str, Any]) -> None:
    """Render every template of `role` into `folder`."""
    loader = _loader()
    known: dict[str, Any] = {
        "ansible_managed": "managed",
        "images_tags": {},
        "inventory_hostname": "server1",
        "groups": {"freegpt4": ["server1"]},
        "hostvars": {"server1": variables},
    }
    for owner, file in (("cluster", "defaults"), (role, "defaults"), (role, "vars")):
        path = ROLES / owner / file / "main.yml"
        known |= loader.load_from_file(str(path), trusted_as_template=True)
    templar = Templar(loader=loader, variables={**known, **variables})
    for template in sorted((ROLES / role / "templates").glob("*.j2")):
        text = templar.template(trust_as_template(template.read_text()))
        (folder / template.stem).write_text(text)
