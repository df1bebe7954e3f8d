# SPDX-License-Identifier: GPL-3.0-or-later
"""Show how the cluster does: every replica, what it answers, and what needs a look.

Exits with 0 if all is well, 1 if the cluster answers but something needs a look, 2 if it is down
or not deployed, and 3 if nothing could be learnt. Other arguments go to ansible-playbook, as
`--limit HOST` or `--ask-become-pass`.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.live import Live

from cluster_status.report import Report
from cluster_status.table import layout

ROOT = Path(__file__).parent.parent.parent
NOTHING_LEARNT = 3

# Seconds from the end of one collection to the begin of the next: one takes some of the control
# node's time.
INTERVAL = 5.0


class CollectError(Exception):
    """Nothing could be collected; the message says why."""


def main() -> int:
    """Run the command and return its exit code."""
    parser = argparse.ArgumentParser(
        prog="monitor-cluster.sh",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--watch", action="store_true", help="go on until Ctrl-C")
    parser.add_argument("--json", action="store_true", help="for machines, one line each time")
    parser.add_argument(
        "--interval", type=float, default=INTERVAL, help="seconds between two looks (5)"
    )
    # For the playbook, which has collected already.
    parser.add_argument("--from", dest="source", type=argparse.FileType(), help=argparse.SUPPRESS)
    options, others = parser.parse_known_args()
    console = Console(highlight=False)
    try:
        if options.watch:
            return watch(console, others, options.interval, as_json=options.json)
        report = Report.read(options.source.read()) if options.source else collect(others)
    except (CollectError, ValueError) as error:
        print(error, file=sys.stderr)
        return NOTHING_LEARNT
    if options.json:
        print(report.as_json())
    else:
        console.print(layout(report))
    return report.state


def collect(arguments: Sequence[str]) -> Report:
    """Let the playbook collect, with further `arguments`.

    Raises:
        CollectError: it could not.
    """
    playbook = str(Path(sys.executable).with_name("ansible-playbook"))
    with TemporaryDirectory() as folder:
        report = Path(folder, "report.json")
        variable = f"status_report={report}"
        # Whoever is asked for a password must see the question.
        asking = any(argument.startswith(("--ask-", "-K", "-k")) for argument in arguments)
        # S603: the arguments are the operator's own.
        result = subprocess.run(  # noqa: S603
            [playbook, "playbooks/status.yml", "--extra-vars", variable, *arguments],
            cwd=ROOT,
            env={"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")} | os.environ,
            stdout=subprocess.PIPE,
            stderr=None if asking else subprocess.STDOUT,
            text=True,
            check=False,
        )
        if not report.exists():
            raise CollectError(f"{result.stdout}\nNothing could be collected: see above.")
        return Report.read(report.read_text())


def watch(console: Console, arguments: Sequence[str], interval: float, *, as_json: bool) -> int:
    """Show how it goes again and again, and return how it went last."""
    state = NOTHING_LEARNT
    try:
        if as_json:
            while True:
                report = collect(arguments)
                state = report.state
                print(report.as_json(), flush=True)
                time.sleep(interval)
        with Live("Asking the hosts …", console=console, screen=True, auto_refresh=False) as live:
            while True:
                report = collect(arguments)
                state = report.state
                live.update(layout(report), refresh=True)
                time.sleep(interval)
    except KeyboardInterrupt:
        return state


if __name__ == "__main__":
    sys.exit(main())
