"""Which hosts a cluster has, what their replicas are called, and where those are."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from roles.cluster.filter_plugins.members import (
    REPLICAS,
    first_replica,
    host_subnet,
    members,
    replica_addresses,
)
from roles.validate.filter_plugins.cluster_faults import cluster_faults
from tests.lab.templates import ROLES

SUBNET = "10.213.0.0/21"


def test_hosts_are_numbered_by_their_place_or_as_they_say() -> None:
    variables: dict[str, dict[str, Any]] = {
        "a": {"llm_api_replicas": "3"},
        "b": {"cluster_host_number": 5},
    }
    assert members(["a", "b"], variables) == [
        {"name": "a", "number": 1, "replicas": ["api1", "api2", "api3"]},
        {"name": "b", "number": 5, "replicas": ["api401", "api402"]},
    ]


def test_a_host_that_does_not_say_has_as_many_replicas_as_the_default() -> None:
    defaults = yaml.safe_load((ROLES / "llm_api/defaults/main.yml").read_text())
    assert defaults["llm_api_replicas"] == REPLICAS


def test_each_replica_has_the_address_of_its_host() -> None:
    addresses = replica_addresses(SUBNET, 64)
    assert len(addresses) == 7 * 64
    assert addresses["api1"] == "10.213.1.11"
    assert addresses["api164"] == "10.213.2.74"
    assert addresses[f"api{first_replica(7)}"] == "10.213.7.11"


def test_no_host_beyond_the_subnet() -> None:
    assert host_subnet(SUBNET, 7) == "10.213.7.0/24"
    assert host_subnet(SUBNET, 8) == ""
    assert host_subnet("somewhere", 1) == ""
    assert replica_addresses("10.213.0.0/28", 64) == {}


def test_what_is_no_number_is_left_to_whoever_checks_it() -> None:
    variables = {"a": {"llm_api_replicas": "two"}}
    assert members(["a"], variables) == [{"name": "a", "number": 1, "replicas": []}]


def host(name: str, number: int) -> dict[str, Any]:
    return {"name": name, "number": number}


@pytest.mark.parametrize(
    ("subnet", "replicas", "hosts", "fault"),
    [
        (SUBNET, 64, [host("a", 1), host("b", 7)], ""),
        ("10.213.0.0/23", "99", [host("a", 1)], ""),
        ("10.213.0.0/23", 64, [host("a", 1), host("b", 2)], "room for hosts 1 to 1"),
        ("10.213.0.0/24", 64, [host("a", 1)], "from 19 to 23 bits"),
        ("10.0.0.0/8", 64, [host("a", 1)], "from 19 to 23 bits"),
        ("10.213.0.1/21", 64, [host("a", 1)], "no IPv4 network"),
        ("somewhere", 64, [host("a", 1)], "no IPv4 network"),
        (SUBNET, 64, [host("a", 0)], "cluster_host_number of a is 0"),
        (SUBNET, 64, [host("a", 2), host("b", 2)], "a and b have the same number, 2"),
        (SUBNET, 0, [host("a", 1)], "cluster_replicas_max is 0"),
        (SUBNET, 100, [host("a", 1)], "cluster_replicas_max is 100"),
    ],
)
def test_what_cannot_be_is_said(
    subnet: str, replicas: int | str, hosts: list[dict[str, Any]], fault: str
) -> None:
    faults = cluster_faults(subnet, replicas, hosts)
    assert bool(faults) == bool(fault)
    assert fault in " ".join(faults)
