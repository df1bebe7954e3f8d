# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter that finds what Squid would not understand among the variables of the way out."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from ipaddress import ip_network
from typing import Any

LABEL = r"[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?"
# A last label of digits makes it an address, if a wrong one.
NAME = rf"\.?({LABEL}\.)*(?![0-9]+$){LABEL}"

KEYS = {"to", "ports"}

# The least and the most that a number may be.
NUMBERS = {
    "egress_dns_timeout": (1, 60),
    "egress_connect_timeout": (1, 60),
    "egress_drain_timeout": (1, 3600),
    "egress_log_days": (1, 3650),
    "egress_open_files": (256, 1000000),
}
LAST_PORT = 65535


def egress_faults(variables: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each fault of `variables`, which somebody set."""
    return [
        *_faults_of_numbers(variables),
        *(f for entry in variables.get("egress_allowed", []) for f in _faults_of_entry(entry)),
    ]


def _faults_of_numbers(variables: Mapping[str, Any]) -> Iterator[str]:
    for name, (least, most) in NUMBERS.items():
        if name in variables and not least <= int(variables[name]) <= most:
            yield f"{name} is {variables[name]}: it must be from {least} to {most}."


def _faults_of_entry(entry: Mapping[str, Any]) -> Iterator[str]:
    if set(entry) != KEYS:
        yield f"egress_allowed has an entry with {', '.join(entry)}: it must have to and ports."
        return
    target, ports = entry["to"], entry["ports"]
    if not _is_target(str(target)):
        yield (
            f"egress_allowed has {str(target)!r}, which is no address, no network and no host name"
            " such as 192.168.1.20, 10.20.0.0/16, ollama.lan or .example.lan."
        )
    if not isinstance(ports, list) or not ports:
        yield f"egress_allowed needs a list of ports for {target}, such as [11434]."
    elif wrong := [port for port in ports if not _is_port(str(port))]:
        yield (
            f"egress_allowed has {wrong[0]!r} for {target}: a port is a number from 1 to"
            f" {LAST_PORT}."
        )


def _is_target(text: str) -> bool:
    try:
        ip_network(text)
    except ValueError:
        return re.fullmatch(NAME, text) is not None
    return True


def _is_port(text: str) -> bool:
    return re.fullmatch(r"[0-9]{1,5}", text) is not None and 1 <= int(text) <= LAST_PORT


class FilterModule:
    """The filter as Ansible finds it."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filter by name."""
        return {"egress_faults": egress_faults}
