"""What is deployed is found to be so, by a check run and by the playbook for replicas only."""

from __future__ import annotations

from testbed.playbook import run_playbook, run_site


def test_check_run_changes_nothing() -> None:
    run = run_site("--check", "--diff")
    assert not run.failed, run.output
    assert run.changed == 0, run.output


def test_bringing_out_what_runs_changes_nothing() -> None:
    """The release is the same, whatever else the playbook deploys."""
    run = run_playbook("playbooks/deploy.yml")
    assert (run.failed, run.changed) == (False, 0), run.output
