# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters that tell which hosts a cluster has, which replicas each, and where those are.

They are asked before anything is checked, so what cannot be is left out here. The validate role
says what is wrong with it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from ipaddress import IPv4Network
from typing import Any

# Replicas are called after their host: api1 to api99 are on host 1, api101 to api199 on host 2.
PER_HOST = 100

# Place of the first replica in its host's subnet, after those of what serves all replicas.
FIRST_ADDRESS = 11

# How many replicas a host has where its inventory does not say: the default of llm_api_replicas.
REPLICAS = 2


def first_replica(number: int) -> int:
    """Return the number of the first replica of the host with `number`."""
    return (number - 1) * PER_HOST + 1


def host_subnet(subnet: str, number: int) -> str:
    """Return the part of the internal `subnet` that belongs to the host with `number`.

    Nothing, if there is no such part.
    """
    parts = _parts(subnet)
    # The first one is nobody's, so that the third number of an address is that of its host.
    return str(parts[number]) if 0 < number < len(parts) else ""


def replica_addresses(subnet: str, most: int) -> dict[str, str]:
    """Return the addresses of all replicas that there can be on the internal `subnet`, by name.

    Args:
        subnet: of all hosts.
        most: how many a host can have.
    """
    found = {}
    for number, part in enumerate(_parts(subnet)):
        for place in range(most if number else 0):
            name = f"api{first_replica(number) + place}"
            found[name] = str(part[FIRST_ADDRESS + place])
    return found


def members(
    hosts: Sequence[str], variables: Mapping[str, Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Return what every host knows of each of `hosts`, in their order.

    Args:
        hosts: their names in the inventory.
        variables: those of each host, as the inventory has them.

    Returns:
        For each host its `name`, its `number`, and the names of its `replicas`.
    """
    found = []
    for place, name in enumerate(hosts, start=1):
        known = variables.get(name, {})
        number = _whole(known.get("cluster_host_number", place))
        first = first_replica(number)
        slots = range(first, first + _whole(known.get("llm_api_replicas", REPLICAS)))
        found.append({"name": name, "number": number, "replicas": [f"api{slot}" for slot in slots]})
    return found


def _parts(subnet: str) -> list[IPv4Network]:
    try:
        return list(IPv4Network(subnet).subnets(new_prefix=24))
    except ValueError:
        return []


def _whole(value: object) -> int:
    text = str(value)
    return int(text) if text.isdecimal() else 0


class FilterModule:
    """The filters as Ansible finds them."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {
            "cluster_first_replica": first_replica,
            "cluster_host_subnet": host_subnet,
            "cluster_members": members,
            "cluster_replica_addresses": replica_addresses,
        }
