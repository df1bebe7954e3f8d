"""The lock that a host has while somebody deploys to it."""

from __future__ import annotations

import json
import shlex

from testbed.cluster import Cluster

LOCK = "/opt/freegpt4/lock"
HOLDER = "anna@elsewhere"
WHY = "new image"


def hold_lock(cluster: Cluster) -> None:
    """Let it look as if somebody deployed from another control node."""
    holder = {
        "who": HOLDER,
        "since": "2026-01-02T03:04:05Z",
        "playbook": "site",
        "why": WHY,
        "control": "elsewhere",
        "process": 4711,
        "started": "1",
    }
    cluster.host.check_output(f"echo {shlex.quote(json.dumps(holder))} > {LOCK}")
