# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks at replicas and certificates again and again, and tells nginx what has changed."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Collection, Mapping
from pathlib import Path

from gateway_control.configuration import Configuration, Settings, Versions
from gateway_control.judge import Judge
from gateway_control.nginx import ConfigurationError
from gateway_control.probe import probe_all

STATE = Path("/tmp/replicas.json")  # noqa: S108 - the container's own, and all that it may write to

# Seconds from one look to the next, at most.
PAUSE = 5.0


def watch(configuration: Configuration) -> None:
    """Look after the certificates and the replicas until the process ends.

    nginx's own checks see what refuses, breaks off or answers 502 and 503. These see what
    accepts requests and never answers, before more than a few have gone there.
    """
    judges: dict[str, Judge] = {}
    refused: Versions | None = None
    due = time.monotonic()
    while True:
        refused = renew(configuration, refused)
        settings = configuration.settings
        if not settings.interval:
            _leave_out(configuration, [])
            due = time.monotonic() + PAUSE
        elif due <= time.monotonic():
            due = time.monotonic() + settings.interval
            judges = _check(configuration, settings, judges)
        time.sleep(min(max(due - time.monotonic(), 0), PAUSE))


def renew(configuration: Configuration, refused: Versions | None) -> Versions | None:
    """Let nginx serve the certificates that there are now.

    Returns:
        What nginx has refused, if it has: that is not tried again before something has changed.
    """
    present = configuration.certificates
    if present == refused or (present == configuration.installed and configuration.settled):
        return refused
    try:
        configuration.install()
        configuration.hand_over()
    except ConfigurationError as error:
        print(f"nginx goes on with the certificates it had: {error}", file=sys.stderr)
        return present
    return None


def _check(
    configuration: Configuration, settings: Settings, before: Mapping[str, Judge]
) -> dict[str, Judge]:
    """Ask each replica once, and return what is thought of them."""
    known = configuration.down
    judges = {
        server: before.get(server)
        or Judge(settings.fails, settings.passes, healthy=server not in known)
        for server in configuration.servers
    }
    for server, failure in probe_all(judges, settings.path, settings.timeout).items():
        was_healthy = judges[server].healthy
        judges[server].hear(failure, time.time())
        if judges[server].healthy != was_healthy:
            print(f"{server} is {'out: ' + failure if was_healthy else 'back'}", file=sys.stderr)
    out = {server for server, judge in judges.items() if not judge.healthy}
    # When nobody answers, the fault may be anywhere: asking all is better than asking none.
    down = out if len(out) < len(judges) else set()
    _leave_out(configuration, down)
    # What it says has come true by then.
    _publish(judges)
    return judges


def _leave_out(configuration: Configuration, down: Collection[str]) -> None:
    """Let nginx leave out the replicas `down`, and no others, unless it does already."""
    if configuration.down == frozenset(down):
        return
    try:
        configuration.mark(down)
    except ConfigurationError as error:
        print(f"nginx goes on with the replicas it had: {error}", file=sys.stderr)


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
