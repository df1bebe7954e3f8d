"""The module that keeps the files of a folder, run as Ansible runs it."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest

from tests.lab.modules import run_module

FILES = {"one.conf": "first\n", "two.conf": "second\n"}


class Folder:
    """A folder that the module keeps."""

    def __init__(self, path: Path) -> None:
        """Keep `path`, which need not be there."""
        self.path = path
        self._room = next(parent for parent in path.parents if parent.exists())

    def keep(self, files: dict[str, Any], **options: Any) -> dict[str, Any]:
        """Run the module and return what it says."""
        arguments = {
            "path": str(self.path),
            "files": files,
            "folder_mode": "0750",
            "mode": "0640",
            **options,
        }
        return run_module("cluster/managed_folder", self._room, arguments)

    def contents(self) -> dict[str, str]:
        """Return what is in the files."""
        return {file.name: file.read_text() for file in self.path.iterdir() if file.is_file()}

    def modes(self) -> set[int]:
        """Return the modes of the files."""
        return {stat.S_IMODE(file.stat().st_mode) for file in self.path.iterdir()}


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """Return a folder that is not there yet."""
    return Folder(tmp_path / "kept")


def test_a_folder_is_made_and_then_nothing_changes(folder: Folder) -> None:
    said = folder.keep(FILES)
    assert said["changed"]
    assert sorted(said["written"]) == sorted(FILES)
    assert folder.contents() == FILES
    assert folder.modes() == {0o640}
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o750
    assert not folder.keep(FILES)["changed"]


def test_only_what_differs_is_written_and_the_surplus_goes(folder: Folder) -> None:
    folder.keep({**FILES, "surplus.conf": ""})
    (folder.path / "inner").mkdir()
    same = (folder.path / "two.conf").stat().st_ino
    said = folder.keep({**FILES, "one.conf": "another\n"})
    assert (said["written"], said["removed"]) == (["one.conf"], ["surplus.conf"])
    assert folder.contents() == {"one.conf": "another\n", "two.conf": "second\n"}
    assert (folder.path / "two.conf").stat().st_ino == same
    assert (folder.path / "inner").is_dir()


def test_other_ends_of_lines_are_put_right(folder: Folder) -> None:
    folder.keep(FILES)
    (folder.path / "one.conf").write_bytes(b"first\r\n")
    assert folder.keep(FILES)["written"] == ["one.conf"]
    assert (folder.path / "one.conf").read_bytes() == b"first\n"


def test_a_mode_is_put_right(folder: Folder) -> None:
    folder.keep(FILES)
    (folder.path / "one.conf").chmod(0o666)
    said = folder.keep(FILES)
    assert (said["changed"], said["written"]) == (True, [])
    assert folder.modes() == {0o640}


def test_a_check_run_shows_what_it_leaves_alone(folder: Folder) -> None:
    said = folder.keep(FILES, _ansible_check_mode=True)
    assert said["changed"]
    assert not folder.path.exists()
    folder.keep(FILES)
    changed = {"two.conf": "another\n"}
    said = folder.keep(changed, _ansible_check_mode=True)
    assert [(part["before"], part["after"]) for part in said["diff"]] == [
        ("first\n", ""),
        ("second\n", "another\n"),
    ]
    assert folder.contents() == FILES


def test_a_command_has_to_accept_what_differs(folder: Folder) -> None:
    folder.keep(FILES, validate=["grep", "--quiet", "first", "%s/one.conf"])
    said = folder.keep(
        {**FILES, "one.conf": "bad\n"},
        validate=["sh", "-c", 'cat "$0/one.conf" "$0/two.conf" && ls -ld "$0" && exit 1', "%s"],
    )
    assert said["failed"]
    assert f"What {folder.path} is to have is refused: bad\nsecond\ndrwxr-x---" in said["msg"]
    assert folder.contents() == FILES
    assert [file.name for file in folder.path.parent.iterdir()] == [folder.path.name]
    # What is there already has been accepted before.
    assert not folder.keep(FILES, validate=["false"])["changed"]
    assert folder.keep({}, validate=["false"], _ansible_check_mode=True)["changed"]


def test_a_run_that_was_killed_is_in_nobody_s_way(folder: Folder) -> None:
    left = folder.path.with_name(f".{folder.path.name}.draft")
    left.mkdir()
    (left / "surplus.conf").touch()
    folder.keep(FILES)
    assert folder.contents() == FILES
    assert not left.exists()


@pytest.mark.parametrize("files", [{"../one": "text"}, {"": "text"}, {"one": 1}])
def test_what_is_no_file_is_refused(folder: Folder, files: dict[str, Any]) -> None:
    said = folder.keep(files)
    assert said["failed"]
    assert "no plain name with a text" in said["msg"]
    assert not folder.path.exists()


def test_a_missing_place_is_named(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "nowhere/kept")
    said = folder.keep(FILES)
    assert said["failed"]
    assert f"{folder.path} cannot be kept" in said["msg"]
