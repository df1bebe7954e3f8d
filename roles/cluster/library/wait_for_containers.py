#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module that waits until containers answer, all of them at the same time."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: wait_for_containers
short_description: Waits until containers answer
description:
  - Runs a command in each of the containers until it exits with 0 in all of them.
  - Fails with the last lines of the logs of those in which it does not.
  - Does at once what C(community.docker.docker_container_exec) in a loop does one after the other.
options:
  containers:
    description: Names of the containers.
    type: list
    elements: str
    required: true
  command:
    description: What tells whether one answers.
    type: list
    elements: str
    required: true
  timeout:
    description: Seconds after which none is asked again. 0 asks each once.
    type: int
    required: true
"""

PAUSE = 1.0
"""Seconds between two times."""
PATIENCE = 30.0
"""Seconds that the command may take."""
LINES = "20"
"""Lines of a log that are shown."""
# One that is being restarted has ended by itself, and will again.
HOPELESS = "is restarting"


@dataclass
class Answer:
    """What the command in one container came to."""

    container: str
    ok: bool
    said: str

    @property
    def hopeless(self) -> bool:
        """Whether there is nothing to be waited for."""
        return HOPELESS in self.said


def ask(container: str, command: Sequence[str]) -> Answer:
    """Run the command in a container."""
    try:
        status, said = docker("exec", container, *command)
    except subprocess.TimeoutExpired:
        return Answer(container, ok=False, said=f"no answer within {PATIENCE:.0f} s")
    return Answer(container, ok=status == 0, said=said)


def docker(*arguments: str) -> tuple[int, str]:
    """Return the exit status of a command of the engine, and what it said."""
    result = subprocess.run(  # noqa: S603
        ["docker", *arguments],  # noqa: S607
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=PATIENCE,
        check=False,
    )
    return result.returncode, result.stdout.strip()


def wait(containers: Sequence[str], command: Sequence[str], timeout: float) -> list[Answer]:
    """Return the last answers of those that do not answer in time."""
    end = time.monotonic() + timeout
    pending = list(containers)
    while True:
        with ThreadPoolExecutor(len(pending)) as pool:
            answers = pool.map(partial(ask, command=command), pending)
        failed = [answer for answer in answers if not answer.ok]
        if not failed or time.monotonic() >= end or any(answer.hopeless for answer in failed):
            return failed
        time.sleep(PAUSE)
        pending = [answer.container for answer in failed]


def complaint(failed: Sequence[Answer]) -> str:
    """Return what to tell whoever has to mend it."""
    parts = []
    for answer in failed:
        _, log = docker("logs", "--tail", LINES, answer.container)
        parts += [
            f"{answer.container} runs but does not answer. It was asked, and said:",
            answer.said or "nothing",
            "Its last log lines are",
            log or "none.",
        ]
    parts.append(
        "Mend what they name (usually a variable of the role that runs it) and run this again."
    )
    return "\n".join(parts)


def main() -> None:
    """Run the module as Ansible does."""
    module = AnsibleModule(
        argument_spec={
            "containers": {"type": "list", "elements": "str", "required": True},
            "command": {"type": "list", "elements": "str", "required": True},
            "timeout": {"type": "int", "required": True},
        },
        supports_check_mode=True,
    )
    # In a check run there may be none yet.
    if module.check_mode:
        module.exit_json(changed=False)
    try:
        failed = wait(
            module.params["containers"], module.params["command"], module.params["timeout"]
        )
        if failed:
            module.fail_json(msg=complaint(failed))
    except (OSError, subprocess.TimeoutExpired) as error:
        module.fail_json(msg=f"docker cannot be asked: {error}")
    module.exit_json(changed=False)


if __name__ == "__main__":
    main()
