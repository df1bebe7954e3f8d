"""A check run on the finished cluster finds nothing to change."""

from __future__ import annotations

from testbed.playbook import run_site


def test_check_run_changes_nothing() -> None:
    run = run_site("--check", "--diff")
    assert not run.failed, run.output
    assert run.changed == 0, run.output
