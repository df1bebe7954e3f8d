"""The module that makes folders, run as Ansible runs it."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest

from tests.lab.modules import run_module


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def make(room: Path, *folders: dict[str, Any], **options: Any) -> dict[str, Any]:
    return run_module("cluster/folders", room, {"folders": list(folders), **options})


@pytest.fixture
def logs(tmp_path: Path) -> dict[str, Any]:
    """Return a folder as the module takes it, with two files."""
    files = {"files": ["a.log", "b.log"], "files_mode": "0640"}
    return {"path": str(tmp_path / "logs/gateway"), "mode": "0750", **files}


def test_what_is_missing_is_made_and_then_nothing_changes(
    tmp_path: Path, logs: dict[str, Any]
) -> None:
    inner = {"path": f"{logs['path']}/inner", "mode": "0700"}
    said = make(tmp_path, logs, inner)
    path = Path(logs["path"])
    expected = [path, path / "a.log", path / "b.log", path / "inner"]
    assert (said["changed"], said["made"]) == (True, list(map(str, expected)))
    assert list(map(mode, expected)) == [0o750, 0o640, 0o640, 0o700]
    again = make(tmp_path, logs, inner)
    assert (again["changed"], again["made"]) == (False, [])


def test_what_is_in_a_file_stays(tmp_path: Path, logs: dict[str, Any]) -> None:
    make(tmp_path, logs)
    file = Path(logs["path"]) / "a.log"
    file.write_text("a line\n")
    (file.parent / "other.log").touch()
    assert not make(tmp_path, logs)["changed"]
    assert file.read_text() == "a line\n"
    assert (file.parent / "other.log").exists()


def test_modes_are_put_right(tmp_path: Path, logs: dict[str, Any]) -> None:
    make(tmp_path, logs)
    path = Path(logs["path"])
    path.chmod(0o777)
    (path / "b.log").chmod(0o666)
    said = make(tmp_path, logs)
    assert (said["changed"], said["made"]) == (True, [])
    assert (mode(path), mode(path / "b.log")) == (0o750, 0o640)


def test_a_check_run_makes_nothing(tmp_path: Path, logs: dict[str, Any]) -> None:
    said = make(tmp_path, logs, _ansible_check_mode=True)
    assert said["changed"]
    assert [part["after"].strip() for part in said["diff"]] == said["made"]
    assert not Path(logs["path"]).exists()


def test_texts_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "kept"
    folder = {"path": str(path), "mode": "0755", "contents": {"a.json": "{}\n", "b.json": ""}}
    said = make(tmp_path, {**folder, "files_mode": "0640"})
    assert said["written"] == [str(path / "a.json")]
    assert (path / "a.json").read_text() == "{}\n"
    assert (mode(path / "a.json"), mode(path / "b.json")) == (0o640, 0o640)
    assert not make(tmp_path, {**folder, "files_mode": "0640"})["changed"]
    changed = {**folder, "contents": {"a.json": "[]\n"}, "files_mode": "0640"}
    said = make(tmp_path, changed, _ansible_check_mode=True)
    assert [(part["before"], part["after"]) for part in said["diff"]] == [("{}\n", "[]\n")]
    assert (path / "a.json").read_text() == "{}\n"
    # What a run that was killed has left is in nobody's way.
    (path / ".a.json~").write_text("half")
    assert make(tmp_path, changed)["written"] == [str(path / "a.json")]
    assert {file.name: file.read_text() for file in path.iterdir()} == {
        "a.json": "[]\n",
        "b.json": "",
    }


@pytest.mark.parametrize(("taken", "kind"), [("logs/gateway", "folder"), ("a.log", "file")])
def test_what_is_something_else_is_named(tmp_path: Path, taken: str, kind: str) -> None:
    path = tmp_path / taken
    if kind == "folder":
        path.parent.mkdir()
        path.touch()
        said = make(tmp_path, {"path": str(path), "mode": "0750"})
    else:
        path.mkdir()
        said = make(tmp_path, {"path": str(tmp_path), "mode": "0750", "files": [taken]})
    assert said["failed"]
    assert f"{path} is no {kind}" in said["msg"]
