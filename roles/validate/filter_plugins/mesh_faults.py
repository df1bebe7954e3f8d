# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter that finds what the hosts cannot be joined with."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from ipaddress import IPv4Network
from typing import Any

# Bits of the subnet that hold an address for each host that there can be.
SMALLEST = 26
PORTS = range(1, 65536)


def mesh_faults(variables: Mapping[str, Any], internal: str) -> list[str]:
    """Return a sentence for each fault.

    Args:
        variables: those that somebody set. Their types have been checked.
        internal: the subnet of the internal network, which has been checked.
    """
    return [*_faults_of_port(variables), *_faults_of_subnet(variables, internal)]


def _faults_of_port(variables: Mapping[str, Any]) -> Iterator[str]:
    port = int(variables.get("mesh_port", PORTS[0]))
    if port not in PORTS:
        yield f"mesh_port is {port}: it must be from {PORTS[0]} to {PORTS[-1]}."


def _faults_of_subnet(variables: Mapping[str, Any], internal: str) -> Iterator[str]:
    if "mesh_subnet" not in variables:
        return
    subnet = str(variables["mesh_subnet"])
    try:
        network = IPv4Network(subnet)
    except ValueError:
        yield f"mesh_subnet is {subnet!r}, which is no IPv4 network such as 10.214.0.0/24."
        return
    if network.prefixlen > SMALLEST:
        yield f"mesh_subnet {subnet} is too small: it must have {SMALLEST} bits or fewer."
    if network.overlaps(IPv4Network(internal)):
        yield f"mesh_subnet {subnet} overlaps cluster_internal_subnet {internal}."


class FilterModule:
    """The filter as Ansible finds it."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filter by name."""
        return {"mesh_faults": mesh_faults}
