# SPDX-License-Identifier: GPL-3.0-or-later
"""Lookup that describes a container image's build context on the control node."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.lookup import LookupBase
from docker.utils.build import exclude_paths

DOCUMENTATION = """
name: build_context
short_description: Digest and files of a Docker build context
description:
  - Reads each folder as the engine would, that is, without what its C(.dockerignore) leaves out.
options:
  _terms:
    description: Folders on the control node.
    type: list
    elements: path
    required: true
"""

RETURN = """
_raw:
  description:
    - For each folder a dictionary with C(digest), the SHA-256 over the names, the execute bits and
      the contents of its files, and C(files), their names relative to the folder.
  type: list
  elements: dict
"""


def read_context(folder: Path) -> dict[str, Any]:
    """Return the digest and the sorted file names of the build context `folder`.

    Raises:
        AnsibleError: `folder` has no Dockerfile.
    """
    if not (folder / "Dockerfile").is_file():
        raise AnsibleError(f"{folder} is no build context: it has no Dockerfile")
    ignore = folder / ".dockerignore"
    patterns = ignore.read_text().splitlines() if ignore.is_file() else []
    patterns = [line.strip() for line in patterns if line.strip() and not line.startswith("#")]
    files = sorted(
        name for name in exclude_paths(str(folder), patterns) if (folder / name).is_file()
    )
    digest = hashlib.sha256()
    for name in files:
        path = folder / name
        executable = bool(path.stat().st_mode & 0o100)
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        digest.update(f"{name}\0{executable}\0{content}\n".encode())
    return {"digest": digest.hexdigest(), "files": files}


class LookupModule(LookupBase):  # type: ignore[misc]  # Ansible's plugin classes carry no types
    """The lookup as Ansible calls it."""

    def run(
        self, terms: list[str], variables: dict[str, Any] | None = None, **kwargs: Any
    ) -> list[dict[str, Any]]:
        """Return one description per folder in `terms`."""
        return [read_context(Path(term)) for term in terms]
