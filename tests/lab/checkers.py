"""Other people's checkers, each in an environment of its own, because they do not get along."""

from __future__ import annotations

import subprocess
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
UV = ROOT / ".cache/uv/bin/uv"


def checker(name: str, command: str) -> Path:
    """Install the checker `name` where it is missing, and return its `command`."""
    lock = ROOT / f"tests/checkers/{name}.lock"
    environment = ROOT / ".cache" / name
    stamp = environment / lock.name
    if not stamp.exists() or stamp.read_bytes() != lock.read_bytes():
        _uv("venv", "--quiet", "--clear", str(environment))
        python = environment / "bin/python"
        _uv("pip", "sync", "--quiet", "--require-hashes", "--python", str(python), str(lock))
        stamp.write_bytes(lock.read_bytes())
    return environment / "bin" / command


def _uv(*arguments: str) -> None:
    subprocess.run([UV, *arguments], check=True)
