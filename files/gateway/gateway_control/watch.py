# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks the replicas again and again, and tells nginx which are out."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from gateway_control.configuration import Configuration
from gateway_control.judge import Judge
from gateway_control.probe import probe_all

STATE = Path("/tmp/replicas.json")  # noqa: S108 - the container's own, and all that it may write to

# While checks are off, how often to see whether they still are.
PAUSE = 10.0


def watch(configuration: Configuration) -> None:
    """Check the replicas until the process ends.

    nginx's own checks see what refuses, breaks off or answers 502 and 503. These see what
    accepts requests and never answers, before more than a few have gone there.
    """
    judges: dict[str, Judge] = {}
    while True:
        started = time.monotonic()
        settings = configuration.settings
        known = configuration.down
        if not settings.interval:
            if known:
                configuration.mark([])
            time.sleep(PAUSE)
            continue
        judges = {
            server: judges.get(server)
            or Judge(settings.fails, settings.passes, healthy=server not in known)
            for server in configuration.servers
        }
        for server, failure in probe_all(judges, settings.path, settings.timeout).items():
            before = judges[server].healthy
            judges[server].hear(failure, time.time())
            if judges[server].healthy != before:
                print(f"{server} is {'out: ' + failure if before else 'back'}", file=sys.stderr)
        out = {server for server, judge in judges.items() if not judge.healthy}
        # When nobody answers, the fault may be anywhere: asking all is better than asking none.
        down = out if len(out) < len(judges) else set()
        if down != known:
            configuration.mark(down)
        _publish(judges)
        time.sleep(max(settings.interval - (time.monotonic() - started), 0))


def _publish(judges: Mapping[str, Judge]) -> None:
    """Write the state down where nginx serves it from."""
    state = {
        "time": int(time.time()),
        "all_out": not any(judge.healthy for judge in judges.values()),
        "replicas": [
            {
                "server": server,
                "healthy": judge.healthy,
                "since": int(judge.since),
                "failure": judge.failure,
            }
            for server, judge in judges.items()
        ],
    }
    new = STATE.with_suffix(".new")
    new.write_text(json.dumps(state) + "\n")
    new.replace(STATE)
