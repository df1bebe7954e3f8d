"""A replica that hangs is restarted by the host, and this is counted and logged."""

from __future__ import annotations

import json
import re
from typing import Any

from testbed.cluster import Cluster
from testbed.playbook import run_site
from testbed.waiting import wait_until

COUNTS = "/opt/freegpt4/metrics/autoheal.json"
LOG = "/opt/freegpt4/logs/autoheal/autoheal.log"

UNIT = "freegpt4-autoheal"
CRON = f"/etc/cron.d/{UNIT}"

# Seconds: three health checks that each fail after their timeout, the minute of cron, the restart.
SECONDS = 150


def test_a_frozen_replica_is_restarted(cluster: Cluster) -> None:
    started = cluster.inspect("api2")["State"]["StartedAt"]
    cluster.docker("stop", "api1")
    # The one that supervises and the one that answers.
    cluster.host.check_output("kill -STOP $(docker top api2 -eo pid | tail --lines=+2)")
    wait_until(lambda: "api2" in counts(cluster), "api2 is restarted", SECONDS)
    cluster.wait_for_health("api2")
    assert cluster.inspect("api2")["State"]["StartedAt"] > started
    assert counts(cluster)["api2"]["restarts"] == 1
    [line] = cluster.host.file(LOG).content_string.splitlines()
    assert re.fullmatch(r"\S+Z INFO api2: restarted, unhealthy for \d+ s; restart 1, .*", line)
    # Somebody has stopped the other one: that is not its business.
    assert cluster.inspect("api1")["State"]["Status"] == "exited"
    cluster.docker("start", "api1")
    cluster.wait_for_replica("api1")


def test_systemd_takes_the_place_of_cron(cluster: Cluster) -> None:
    host = cluster.host
    arguments = ["--tags", "autoheal", "--extra-vars", "autoheal_timer=systemd"]
    run = run_site(*arguments)
    assert not run.failed, run.output
    assert not host.file(CRON).exists
    assert host.check_output(f"systemctl is-active {UNIT}.timer") == "active"
    assert host.check_output(f"systemctl is-enabled {UNIT}.timer") == "enabled"
    host.check_output(f"systemctl start {UNIT}.service")
    assert run_site(*arguments).changed == 0
    back = run_site("--tags", "autoheal")
    assert not back.failed, back.output
    assert host.file(CRON).exists
    assert host.run(f"systemctl is-active {UNIT}.timer").stdout.strip() == "inactive"
    assert not host.file(f"/etc/systemd/system/{UNIT}.timer").exists
    assert not host.file(f"/etc/systemd/system/{UNIT}.service").exists
    assert run_site("--tags", "autoheal").changed == 0


def counts(cluster: Cluster) -> dict[str, Any]:
    file = cluster.host.file(COUNTS)
    found: dict[str, Any] = json.loads(file.content_string) if file.exists else {}
    return found
