#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module that makes folders, and files in them, all of them in one go."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: folders
short_description: Makes folders
description:
  - Makes those of the folders that are missing, and those of the files in them.
  - Gives all of them the owner, the mode and the content that they are to have.
  - Leaves everything else in them alone.
  - Does in one step what C(ansible.builtin.file) and C(ansible.builtin.copy) do in one for each.
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
      contents:
        description: Texts of files in it, by their names.
        type: dict
        default: {}
      files_owner:
        description: Whose the files are.
        type: str
        default: root
      files_group:
        description: Their group. The default is called as the owner is.
        type: str
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
written:
  description: Paths of the files whose text was not as it is now.
  type: list
  returned: always
"""

FOLDER: Mapping[str, Any] = {
    "path": {"type": "path", "required": True},
    "owner": {"type": "str", "default": "root"},
    "group": {"type": "str", "default": "root"},
    "mode": {"type": "str", "required": True},
    "files": {"type": "list", "elements": "str", "default": []},
    "contents": {"type": "dict", "default": {}},
    "files_owner": {"type": "str", "default": "root"},
    "files_group": {"type": "str"},
    "files_mode": {"type": "str", "default": "0600"},
}


@dataclass(frozen=True)
class Entry:
    """A folder or a file as it is to be.

    Attributes:
        path: where it is.
        owner: whose it is.
        group: its group.
        mode: its mode.
        folder: whether it is a folder.
        content: the text of a file; None where any text may be in it.
    """

    path: Path
    owner: str
    group: str
    mode: str
    folder: bool = False
    content: str | None = None


def entries(folders: list[dict[str, Any]]) -> Iterator[Entry]:
    """Yield all that there is to be, in the order to make it."""
    for folder in folders:
        path = Path(folder["path"])
        yield Entry(path, folder["owner"], folder["group"], folder["mode"], folder=True)
        owner = folder["files_owner"]
        group = folder["files_group"] or owner
        for name, content in {**dict.fromkeys(folder["files"]), **folder["contents"]}.items():
            yield Entry(path / name, owner, group, folder["files_mode"], content=content)


class Keeper:
    """Brings folders and files to what they are to be.

    Attributes:
        changed: whether anything was not so.
        made: what was not there.
        written: the files that had another text.
        diff: what `--diff` shows.
    """

    def __init__(self, module: AnsibleModule) -> None:
        """Keep what the parameters of `module` say."""
        self._module = module
        self.changed = False
        self.made: list[str] = []
        self.written: list[str] = []
        self.diff: list[dict[str, str]] = []

    def keep(self, entry: Entry) -> None:
        """Bring one of them to what it is to be."""
        path = entry.path
        missing = not path.exists()
        if not missing and path.is_dir() != entry.folder:
            self._module.fail_json(
                msg=f"{path} is no {'folder' if entry.folder else 'file'}: move it away."
            )
        if missing:
            self.made.append(str(path))
            self.diff.append({"before": "", "after": f"{path}\n"})
        if missing and entry.folder and not self._module.check_mode:
            # Nobody else looks in before it has its mode.
            path.mkdir(mode=0o700, parents=True)
        if not entry.folder and (missing or entry.content is not None):
            self._write(entry, "" if missing else path.read_bytes().decode(errors="replace"))
        # In a check run, what is missing has nobody yet to belong to.
        attributes = path.exists() and self._set_attributes(path, entry)
        self.changed = self.changed or missing or attributes

    def _write(self, entry: Entry, before: str) -> None:
        """Give a file its text, so that whoever reads it sees either the old or the new."""
        content = entry.content or ""
        if content != before:
            self.changed = True
            self.written.append(str(entry.path))
            header = {"before_header": str(entry.path), "after_header": str(entry.path)}
            self.diff.append({"before": before, "after": content, **header})
        if self._module.check_mode or (content == before and entry.path.exists()):
            return
        # Neither logrotate nor cron reads what is called so.
        draft = entry.path.with_name(f".{entry.path.name}~")
        # A run that was killed may have left one.
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
            file.write(content.encode())
        self._set_attributes(draft, entry)
        draft.replace(entry.path)

    def _set_attributes(self, path: Path, entry: Entry) -> bool:
        """Return whether `path` belonged to another or had another mode."""
        wanted = {"path": str(path), "owner": entry.owner, "group": entry.group, "mode": entry.mode}
        arguments = self._module.load_file_common_arguments(wanted, str(path))
        return bool(self._module.set_fs_attributes_if_different(arguments, False))


def main() -> None:
    """Run the module as Ansible does."""
    module = AnsibleModule(
        argument_spec={
            "folders": {"type": "list", "elements": "dict", "required": True, "options": FOLDER}
        },
        supports_check_mode=True,
    )
    keeper = Keeper(module)
    for entry in entries(module.params["folders"]):
        try:
            keeper.keep(entry)
        except OSError as error:
            module.fail_json(msg=f"{entry.path} cannot be made: {error}")
    module.exit_json(
        changed=keeper.changed, made=keeper.made, written=keeper.written, diff=keeper.diff
    )


if __name__ == "__main__":
    main()
