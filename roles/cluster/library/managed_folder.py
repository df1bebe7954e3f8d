#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module that keeps the files of one folder, all of them in one go."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: managed_folder
short_description: Keeps the files of a folder
description:
  - Makes the folder, writes those of the given files that differ, and removes every other file.
  - Folders in it are left alone.
  - Does in one step what C(ansible.builtin.copy) in a loop does in one for each file.
options:
  path:
    description: The folder. The one it is in has to be there, but in a check run.
    type: path
    required: true
  files:
    description: Contents by name.
    type: dict
    required: true
  folder_mode:
    description: Mode of the folder.
    type: str
    required: true
extends_documentation_fragment: [files]
"""

RETURN = """
written:
  description: Names of the files whose content was not as it is now.
  type: list
  returned: always
removed:
  description: Names of the files that are no longer there.
  type: list
  returned: always
"""


def read(path: Path) -> dict[str, str]:
    """Return the contents of a folder's files by name: of none where there is no folder."""
    if not path.is_dir():
        return {}
    return {
        file.name: file.read_bytes().decode(errors="replace")
        for file in sorted(path.iterdir())
        if file.is_file()
    }


def differences(
    path: Path, before: Mapping[str, str], after: Mapping[str, str]
) -> list[dict[str, str]]:
    """Return what `--diff` shows of every file that is written or removed."""
    return [
        {
            "before": before.get(name, ""),
            "after": after.get(name, ""),
            "before_header": str(path / name),
            "after_header": str(path / name),
        }
        for name in sorted({*before, *after})
        if before.get(name) != after.get(name)
    ]


def replace(module: AnsibleModule, file: Path, content: str) -> None:
    """Give a file another content, so that whoever reads it sees either the old or the new."""
    descriptor, draft = tempfile.mkstemp(dir=module.tmpdir)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content.encode())
    module.atomic_move(draft, str(file))


def keep(module: AnsibleModule) -> dict[str, Any]:
    """Bring the folder to what the module's parameters say and return the result."""
    path = Path(module.params["path"])
    wanted: dict[str, str] = module.params["files"]
    present = read(path)
    written = [name for name, content in wanted.items() if present.get(name) != content]
    removed = [name for name in present if name not in wanted]
    changed = bool(written or removed or not path.is_dir())
    if not module.check_mode:
        # Nobody else looks in until everything has the modes that it is to have.
        path.mkdir(mode=0o700, exist_ok=True)
        for name in written:
            replace(module, path / name, wanted[name])
        for name in removed:
            (path / name).unlink()

    modes = {path: module.params["folder_mode"]}
    modes |= {path / name: module.params["mode"] for name in wanted}
    for file, mode in modes.items():
        # In a check run, what is missing has nobody yet to belong to.
        if file.exists():
            arguments = module.load_file_common_arguments(
                {**module.params, "mode": mode}, str(file)
            )
            changed = module.set_fs_attributes_if_different(arguments, changed)
    return {
        "changed": changed,
        "written": written,
        "removed": removed,
        "diff": differences(path, present, wanted),
    }


def main() -> None:
    """Run the module as Ansible does."""
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "files": {"type": "dict", "required": True},
            "folder_mode": {"type": "str", "required": True},
        },
        add_file_common_args=True,
        supports_check_mode=True,
    )
    strange = [
        name
        for name, content in module.params["files"].items()
        if "/" in name or name in {"", ".", ".."} or not isinstance(content, str)
    ]
    if strange:
        module.fail_json(msg=f"files: no plain name with a text: {', '.join(map(str, strange))}")
    try:
        result = keep(module)
    except OSError as error:
        module.fail_json(msg=f"{module.params['path']} cannot be kept: {error}")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
