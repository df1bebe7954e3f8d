"""The project's playbooks, run against the hosts of a scenario the way a user runs them."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from testbed.waiting import wait_until


@dataclass(frozen=True, slots=True)
class PlaybookRun:
    """How a run ended.

    Attributes:
        failed: whether it ended with an error.
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
    return _finish(_start(playbook, *arguments))


def run_script(script: str, *arguments: str, **environment: str) -> PlaybookRun:
    """Run `script`, a path within the project, on the scenario's hosts, as a user would.

    Args:
        script: such as `scripts/start-cluster.sh`.
        arguments: its own.
        environment: what to add to its environment, such as `ARGS`.
    """
    inventory = ",".join(map(str, _inventories()))
    return _finish(_run([script, *arguments], INVENTORY=inventory, **environment))


def _finish(process: subprocess.Popen[str]) -> PlaybookRun:
    stdout, stderr = process.communicate()
    output = " ".join(f"{stdout}\n{stderr}".split())
    changed = sum(int(number) for number in re.findall(r"\bchanged=(\d+)", output))
    return PlaybookRun(failed=process.returncode != 0, changed=changed, output=output)


def kill_playbook(when: Callable[[], bool], playbook: str, *arguments: str) -> None:
    """Run `playbook` and end it like a power cut as soon as `when` is true."""
    process = _start(playbook, *arguments)
    try:
        wait_until(lambda: when() or process.poll() is not None, "the moment has come", 300)
        assert process.poll() is None, process.communicate()
    finally:
        # With all that it has started here; what it has started on the hosts goes on.
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def _start(playbook: str, *arguments: str) -> subprocess.Popen[str]:
    inventories = (f"--inventory={inventory}" for inventory in _inventories())
    return _run(["ansible-playbook", *inventories, playbook, *arguments])


def _inventories() -> list[Path]:
    scenario = Path(os.environ["MOLECULE_SCENARIO_DIRECTORY"])
    return [_project() / "molecule/shared/inventory", scenario / "hosts.yml"]


def _project() -> Path:
    return Path(os.environ["MOLECULE_PROJECT_DIRECTORY"])


def _run(command: Sequence[str], **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command,
        cwd=_project(),
        env=os.environ
        | {
            "ANSIBLE_CONFIG": str(_project() / "ansible.cfg"),
            "ANSIBLE_NOCOLOR": "true",
            "ANSIBLE_FORCE_COLOR": "false",
            "ANSIBLE_PIPELINING": "true",
        }
        | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
