"""The modules of the roles, run as Ansible runs them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.lab.templates import ROLES


def run_module(name: str, folder: Path, arguments: dict[str, Any]) -> dict[str, Any]:
    """Run a module, such as `cluster/managed_folder`, and return what it says.

    Args:
        name: its role and its own name.
        folder: where it may write what it needs itself, and where commands are looked for first.
        arguments: its options.
    """
    role, module = name.split("/")
    path = f"{folder}{os.pathsep}{os.environ['PATH']}"
    result = subprocess.run(
        [sys.executable, str(ROLES / role / "library" / f"{module}.py")],
        input=json.dumps({"ANSIBLE_MODULE_ARGS": {"_ansible_tmpdir": str(folder), **arguments}}),
        stdout=subprocess.PIPE,
        text=True,
        check=False,
        env={**os.environ, "TMPDIR": str(folder), "PATH": path},
    )
    said: dict[str, Any] = json.loads(result.stdout)
    return said


def fake_docker(folder: Path, script: str) -> None:
    """Let `docker` be a shell script, for modules that run in `folder`."""
    program = folder / "docker"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
