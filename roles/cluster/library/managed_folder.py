#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module that keeps the files of one folder, all of them in one go."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: managed_folder
short_description: Keeps the files of a folder
description:
  - Makes the folder, writes those of the given files that differ, and removes every other file.
  - What differs is written beside the folder first, so a full disk leaves the folder as it is.
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
  validate:
    description:
      - Command that has to accept the files where any of them differs.
      - C(%s) in it is a folder with all of them.
      - Not run in a check run.
    type: list
    elements: str
    default: []
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


@contextmanager
def draft(module: AnsibleModule, path: Path) -> Iterator[Path]:
    """Make a folder beside `path` with all that is to be in it, and remove it in the end."""
    folder = path.with_name(f".{path.name}.draft")
    # A run that was killed may have left one.
    if folder.exists():
        shutil.rmtree(folder)
    # Nobody else looks in until everything has the modes that it is to have.
    folder.mkdir(mode=0o700)
    try:
        for name, content in module.params["files"].items():
            (folder / name).write_bytes(content.encode())
        set_attributes(module, folder)
        yield folder
    finally:
        shutil.rmtree(folder)


def set_attributes(module: AnsibleModule, folder: Path) -> bool:
    """Give a folder and its files their owners and modes, and return whether any had another."""
    modes = {folder: module.params["folder_mode"]}
    modes |= {folder / name: module.params["mode"] for name in module.params["files"]}
    changed = False
    for file, mode in modes.items():
        # In a check run, what is missing has nobody yet to belong to.
        if file.exists():
            arguments = module.load_file_common_arguments(
                {**module.params, "mode": mode}, str(file)
            )
            changed = module.set_fs_attributes_if_different(arguments, changed)
    return changed


def validate(module: AnsibleModule, folder: Path) -> None:
    """Fail with what the command says, if it does not accept the files in `folder`."""
    command = [part.replace("%s", str(folder)) for part in module.params["validate"]]
    if not command:
        return
    code, output, error = module.run_command(command)
    if code:
        said = "\n".join(filter(None, (output.strip(), error.strip())))
        module.fail_json(msg=f"What {module.params['path']} is to have is refused: {said}")


def keep(module: AnsibleModule) -> dict[str, Any]:
    """Bring the folder to what the module's parameters say and return the result."""
    path = Path(module.params["path"])
    wanted: dict[str, str] = module.params["files"]
    present = read(path)
    written = [name for name, content in wanted.items() if present.get(name) != content]
    removed = [name for name in present if name not in wanted]
    changed = bool(written or removed or not path.is_dir())
    if changed and not module.check_mode:
        with draft(module, path) as folder:
            validate(module, folder)
            path.mkdir(mode=0o700, exist_ok=True)
            # Whoever reads a file meanwhile sees either the old or the new.
            for name in written:
                (folder / name).replace(path / name)
        for name in removed:
            (path / name).unlink()
    changed = set_attributes(module, path) or changed
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
            "validate": {"type": "list", "elements": "str", "default": []},
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
