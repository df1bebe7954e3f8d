#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module that makes folders, and empty files in them, all of them in one go."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: folders
short_description: Makes folders
description:
  - Makes those of the folders that are missing, and those of the files in them.
  - Gives all of them the owner and the mode that they are to have.
  - Leaves everything else in them alone.
  - Does in one step what C(ansible.builtin.file) in a loop does in one for each.
options:
  folders:
    description: The folders, each after the one it is in.
    type: list
    elements: dict
    required: true
    suboptions:
      path:
        description: The folder.
        type: path
        required: true
      owner:
        description: Whose it is.
        type: str
        default: root
      group:
        description: Its group.
        type: str
        default: root
      mode:
        description: Its mode.
        type: str
        required: true
      files:
        description: Names of files in it, which are made empty where they are missing.
        type: list
        elements: str
        default: []
      files_owner:
        description: Whose these are, and what their group is called.
        type: str
        default: root
      files_mode:
        description: Their mode.
        type: str
        default: "0600"
"""

RETURN = """
made:
  description: Paths of the folders and files that were not there.
  type: list
  returned: always
"""

FOLDER: Mapping[str, Any] = {
    "path": {"type": "path", "required": True},
    "owner": {"type": "str", "default": "root"},
    "group": {"type": "str", "default": "root"},
    "mode": {"type": "str", "required": True},
    "files": {"type": "list", "elements": "str", "default": []},
    "files_owner": {"type": "str", "default": "root"},
    "files_mode": {"type": "str", "default": "0600"},
}


@dataclass(frozen=True)
class Entry:
    """A folder or a file as it is to be."""

    path: str
    owner: str
    group: str
    mode: str


def entries(folders: list[dict[str, Any]]) -> Iterator[tuple[Entry, bool]]:
    """Yield all that there is to be, in the order to make it, with whether it is a folder."""
    for folder in folders:
        path = folder["path"]
        yield Entry(path, folder["owner"], folder["group"], folder["mode"]), True
        owner, mode = folder["files_owner"], folder["files_mode"]
        for name in folder["files"]:
            yield Entry(f"{path}/{name}", owner, owner, mode), False


def make(path: Path, *, folder: bool) -> None:
    """Make a folder or a file, into which nobody else looks before it has its mode."""
    if folder:
        path.mkdir(mode=0o700, parents=True)
    else:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def keep(module: AnsibleModule, entry: Entry, *, folder: bool) -> tuple[bool, bool]:
    """Return whether a folder or a file was missing, and whether anything about it changed."""
    path = Path(entry.path)
    missing = not path.exists()
    if not missing and path.is_dir() != folder:
        module.fail_json(msg=f"{path} is no {'folder' if folder else 'file'}: move it away.")
    if missing and not module.check_mode:
        make(path, folder=folder)
    changed = missing
    # In a check run, what is missing has nobody yet to belong to.
    if path.exists():
        arguments = module.load_file_common_arguments(asdict(entry), str(path))
        changed = module.set_fs_attributes_if_different(arguments, changed)
    return missing, changed


def main() -> None:
    """Run the module as Ansible does."""
    module = AnsibleModule(
        argument_spec={
            "folders": {"type": "list", "elements": "dict", "required": True, "options": FOLDER}
        },
        supports_check_mode=True,
    )
    made: list[str] = []
    changed = False
    for entry, folder in entries(module.params["folders"]):
        try:
            missing, differed = keep(module, entry, folder=folder)
        except OSError as error:
            module.fail_json(msg=f"{entry.path} cannot be made: {error}")
        if missing:
            made.append(entry.path)
        changed = changed or differed
    after = "".join(f"{path}\n" for path in made)
    module.exit_json(changed=changed, made=made, diff={"before": "", "after": after})


if __name__ == "__main__":
    main()
