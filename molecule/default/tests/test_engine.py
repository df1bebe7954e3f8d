"""The engine runs under systemd, with the settings that the cluster relies on."""

from __future__ import annotations

import json
from typing import Any


def test_service_starts_with_the_host(host: Any) -> None:
    assert host.service("docker").is_running
    assert host.service("docker").is_enabled


def test_settings(host: Any) -> None:
    settings = json.loads(host.file("/etc/docker/daemon.json").content_string)
    assert settings["live-restore"] is True
    assert settings["userland-proxy"] is False
    assert settings["log-driver"] == "json-file"
    assert settings["log-opts"] == {"max-file": "5", "max-size": "10m"}
    assert settings["mtu"] == uplink_mtu(host)


def test_engine_has_read_them(host: Any) -> None:
    info = json.loads(host.check_output("docker info --format '{{json .}}'"))
    assert info["LiveRestoreEnabled"] is True
    assert info["LoggingDriver"] == "json-file"
    assert info["Driver"] == "overlay2"


def test_network_mtu_fits_the_uplink(host: Any) -> None:
    # The network of the test hosts has an unusual one.
    assert uplink_mtu(host) == 1400
    # The internal one leaves room for what carries it to other hosts.
    for network, mtu in {"external": "1400", "internal": "1270"}.items():
        options = json.loads(
            host.check_output("docker network inspect --format '{{json .Options}}' %s", network)
        )
        assert options["com.docker.network.driver.mtu"] == mtu


def uplink_mtu(host: Any) -> int:
    return int(host.file("/sys/class/net/eth0/mtu").content_string)
