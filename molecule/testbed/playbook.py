"""The project's playbooks, run against the hosts of a scenario the way a user runs them."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class PlaybookRun:
    """How a run ended.

    Attributes:
        failed: whether Ansible reported a failure.
        changed: tasks that changed something, on all hosts together.
        output: all that it printed, with every run of white space as one blank.
    """

    failed: bool
    changed: int
    output: str


def run_site(*arguments: str) -> PlaybookRun:
    """Run `ansible-playbook site.yml` with `arguments` on the scenario's hosts."""
    return run_playbook("site.yml", *arguments)


def run_playbook(playbook: str, *arguments: str) -> PlaybookRun:
    """Run `playbook`, a path within the project, with `arguments` on the scenario's hosts."""
    project = Path(os.environ["MOLECULE_PROJECT_DIRECTORY"])
    scenario = Path(os.environ["MOLECULE_SCENARIO_DIRECTORY"])
    inventories = [project / "molecule/shared/inventory", scenario / "hosts.yml"]
    result = subprocess.run(
        [
            "ansible-playbook",
            *(f"--inventory={inventory}" for inventory in inventories),
            playbook,
            *arguments,
        ],
        cwd=project,
        env=os.environ
        | {
            "ANSIBLE_CONFIG": str(project / "ansible.cfg"),
            "ANSIBLE_NOCOLOR": "true",
            "ANSIBLE_FORCE_COLOR": "false",
            "ANSIBLE_PIPELINING": "true",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    output = " ".join(f"{result.stdout}\n{result.stderr}".split())
    changed = sum(int(number) for number in re.findall(r"\bchanged=(\d+)", output))
    return PlaybookRun(failed=result.returncode != 0, changed=changed, output=output)
