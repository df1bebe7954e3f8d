"""Each container runs, is healthy, is where it belongs, and may do no more than it must."""

from __future__ import annotations

import re

import pytest
from testbed.cluster import Cluster

# The networks of each container, and its address there. On `external` the engine chooses.
ADDRESSES: dict[str, dict[str, str | None]] = {
    "gateway": {"external": None, "internal": "10.213.1.2"},
    "model": {"internal": "10.213.1.3"},
    "egress": {"external": None, "internal": "10.213.1.4"},
    "api1": {"internal": "10.213.1.11"},
    "api2": {"internal": "10.213.1.12"},
}

# What a container may write to on the host.
REPLICAS = [
    "/opt/freegpt4/data/llm-api:/var/lib/llm-api:rw",
    "/opt/freegpt4/logs/llm-api:/var/log/llm-api:rw",
]
WRITABLE = {
    "gateway": ["/opt/freegpt4/logs/gateway:/var/log/gateway:rw"],
    "egress": ["/opt/freegpt4/logs/egress:/var/log/egress:rw"],
    "api1": REPLICAS,
    "api2": REPLICAS,
}

each_container = pytest.mark.parametrize("name", ADDRESSES)


def test_there_are_no_others(cluster: Cluster) -> None:
    assert cluster.containers() == set(ADDRESSES)


@each_container
def test_healthy(cluster: Cluster, name: str) -> None:
    cluster.wait_for_health(name)
    state = cluster.inspect(name)["State"]
    assert state["Running"]
    assert not state["OOMKilled"]


@each_container
def test_networks_and_addresses(cluster: Cluster, name: str) -> None:
    networks = cluster.inspect(name)["NetworkSettings"]["Networks"]
    assert set(networks) == set(ADDRESSES[name])
    for network, address in ADDRESSES[name].items():
        if address:
            assert networks[network]["IPAddress"] == address
            # The address is asked for, so the container has it after a restart as well.
            assert networks[network]["IPAMConfig"]["IPv4Address"] == address


@each_container
def test_restarts_with_the_engine(cluster: Cluster, name: str) -> None:
    assert cluster.inspect(name)["HostConfig"]["RestartPolicy"]["Name"] == "unless-stopped"


@each_container
def test_only_the_gateway_is_published(cluster: Cluster, name: str) -> None:
    published = cluster.inspect(name)["HostConfig"]["PortBindings"] or {}
    assert set(published) == ({"80/tcp", "443/tcp", "443/udp"} if name == "gateway" else set())


@each_container
def test_hardened(cluster: Cluster, name: str) -> None:
    details = cluster.inspect(name)
    settings = details["HostConfig"]
    assert details["Config"]["User"] == "65532:65532"
    assert settings["ReadonlyRootfs"]
    assert settings["CapDrop"] == ["ALL"]
    assert not settings["CapAdd"]
    assert not settings["Privileged"]
    assert "no-new-privileges:true" in settings["SecurityOpt"]
    assert settings["Memory"] > 0
    assert settings["PidsLimit"] > 0
    writable = [bind for bind in settings["Binds"] or [] if not bind.endswith(":ro")]
    assert writable == WRITABLE.get(name, [])


@each_container
def test_hardened_in_fact(cluster: Cluster, name: str) -> None:
    pid = cluster.inspect(name)["State"]["Pid"]
    status = cluster.host.file(f"/proc/{pid}/status").content_string
    assert re.search(r"^Uid:\t65532\t65532\t65532\t65532$", status, re.MULTILINE)
    assert re.search(r"^CapEff:\t0+$", status, re.MULTILINE)
    assert re.search(r"^CapBnd:\t0+$", status, re.MULTILINE)
    assert re.search(r"^NoNewPrivs:\t1$", status, re.MULTILINE)


@each_container
def test_labels(cluster: Cluster, name: str) -> None:
    labels = cluster.inspect(name)["Config"]["Labels"]
    assert labels["com.docker.compose.project"] == "freegpt4"
    assert labels["com.docker.compose.service"] == name
    assert labels["com.docker.compose.container-number"] == "1"
    assert labels["com.docker.compose.oneoff"] == "False"


def test_compose_shows_them(cluster: Cluster) -> None:
    services = cluster.docker(
        "compose", "--project-name", "freegpt4", "ps", "--format", "{{.Service}}"
    )
    assert set(services.split()) == set(ADDRESSES)


@each_container
def test_images_are_tagged_by_content(cluster: Cluster, name: str) -> None:
    image = cluster.inspect(name)["Config"]["Image"]
    assert re.fullmatch(r"freegpt4/(egress|gateway|llm-api|model):[0-9a-f]{12}", image)


def test_networks(cluster: Cluster) -> None:
    internal = cluster.network("internal")
    assert internal["Internal"] is True
    assert [config["Subnet"] for config in internal["IPAM"]["Config"]] == ["10.213.0.0/21"]
    external = cluster.network("external")
    assert external["Internal"] is False
    for network in (internal, external):
        assert network["Driver"] == "bridge"
        assert network["Labels"]["com.docker.compose.project"] == "freegpt4"
