"""Checkers by others, as `make checkers` has installed them."""

from __future__ import annotations

from pathlib import Path

ENVIRONMENTS = Path(__file__).parent.parent.parent / ".cache"


def checker(name: str, command: str) -> Path:
    """Return the `command` of the checker `name`.

    Raises:
        FileNotFoundError: It is not installed.
    """
    path = ENVIRONMENTS / name / "bin" / command
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing: run `make checkers`")
    return path
