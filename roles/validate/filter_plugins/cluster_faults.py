# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter that finds what hosts and replicas cannot get their addresses with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from ipaddress import IPv4Network
from typing import Any

# Bits of the internal subnet: the gateway knows each replica that may be, and 31 hosts are enough.
LARGEST, SMALLEST = 19, 23

# Of a host: the next one is the first of the next host.
MOST_REPLICAS = 99


def cluster_faults(
    subnet: str, replicas_max: int | str, members: Sequence[Mapping[str, Any]]
) -> list[str]:
    """Return a sentence for each fault.

    Args:
        subnet: of all hosts.
        replicas_max: how many replicas a host may have.
        members: the hosts, each with its `name` and its `number`.
    """
    return [
        *_faults_of_replicas(int(replicas_max)),
        *_faults_of_subnet(str(subnet), members),
        *_faults_of_numbers(members),
    ]


def _faults_of_replicas(most: int) -> Iterator[str]:
    if not 1 <= most <= MOST_REPLICAS:
        yield f"cluster_replicas_max is {most}: it must be from 1 to {MOST_REPLICAS}."


def _faults_of_subnet(subnet: str, members: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    name = "cluster_internal_subnet"
    try:
        network = IPv4Network(subnet)
    except ValueError:
        yield f"{name} is {subnet!r}, which is no IPv4 network such as 10.213.0.0/21."
        return
    if not LARGEST <= network.prefixlen <= SMALLEST:
        yield (
            f"{name} {subnet} must have from {LARGEST} to {SMALLEST} bits, as 10.213.0.0/21 has 21:"
            " there must be room for 256 addresses of each host, and for as many besides."
        )
        return
    most = network.num_addresses // 256 - 1
    for member in members:
        if not 1 <= member["number"] <= most:
            yield (
                f"cluster_host_number of {member['name']} is {member['number']}: {name} {subnet}"
                f" has room for hosts 1 to {most}."
            )


def _faults_of_numbers(members: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for number, times in Counter(member["number"] for member in members).items():
        if times > 1:
            names = " and ".join(m["name"] for m in members if m["number"] == number)
            yield (
                f"{names} have the same number, {number}: give each host of the inventory a"
                " cluster_host_number of its own."
            )


class FilterModule:
    """The filter as Ansible finds it."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filter by name."""
        return {"cluster_faults": cluster_faults}
