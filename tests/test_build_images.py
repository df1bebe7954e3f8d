"""The module that builds images, with an engine that is a script."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.lab.modules import fake_docker, run_module

NOTES = 'echo "$DOCKER_BUILDKIT $*" >> "$TMPDIR/built"'
# Each waits for the other, and fails if that comes after it.
TOGETHER = """
touch "$TMPDIR/$(basename "$4")"
for _ in $(seq 300); do [ -e "$TMPDIR/a" ] && [ -e "$TMPDIR/b" ] && exit; sleep 0.1; done
exit 1
"""
IMAGES = {"x/a:1": "/contexts/a", "x/b:1": "/contexts/b"}


def build(folder: Path, **options: Any) -> dict[str, Any]:
    arguments = {"images": IMAGES, "args": {"BASE_IMAGE": "base:1"}, "attempts": 1}
    return run_module("images/build_images", folder, {**arguments, **options})


def test_all_are_built_at_the_same_time(tmp_path: Path) -> None:
    fake_docker(tmp_path, f"{NOTES}; {TOGETHER}")
    assert build(tmp_path)["changed"]
    assert sorted((tmp_path / "built").read_text().splitlines()) == [
        "0 build --tag=x/a:1 --build-arg=BASE_IMAGE=base:1 /contexts/a",
        "0 build --tag=x/b:1 --build-arg=BASE_IMAGE=base:1 /contexts/b",
    ]


def test_only_those_that_failed_are_built_again(tmp_path: Path) -> None:
    first_of_b = 'case "$2" in *b:1) [ "$(grep -c x/b "$TMPDIR/built")" -ge 2 ];; esac'
    fake_docker(tmp_path, f"{NOTES}; {first_of_b}")
    assert build(tmp_path, attempts=2)["changed"]
    built = (tmp_path / "built").read_text()
    assert (built.count("x/a:1"), built.count("x/b:1")) == (1, 2)


def test_the_end_of_a_failed_build_is_shown(tmp_path: Path) -> None:
    fake_docker(tmp_path, 'case "$2" in *b:1) seq 1000; echo "no such package"; exit 1;; esac')
    said = build(tmp_path)
    assert said["failed"]
    assert said["msg"].startswith("x/b:1 could not be built:\n977\n")
    assert said["msg"].endswith("\n1000\nno such package")
    assert "x/a:1" not in said["msg"]
