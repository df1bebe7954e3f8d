# SPDX-License-Identifier: GPL-3.0-or-later
"""What the hosts said of themselves, and what is to be thought of it.

The shape of what they say is that of the module `host_status`, in `roles/status/library`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from enum import IntEnum
from typing import Any

DAY = 86400.0

# Share of the answers that may be errors before that is worth a word.
TOLERATED_ERRORS = 0.01


class State(IntEnum):
    """How it goes; the number is the exit code."""

    WELL = 0
    DEGRADED = 1
    DOWN = 2


@dataclass(frozen=True)
class Finding:
    """Something that somebody should look at."""

    host: str
    text: str


@dataclass(frozen=True)
class Host:
    """What one host said.

    Attributes:
        name: in the inventory.
        failure: why it said nothing, or nothing.
        status: what the module returned; None if it said nothing.
        disk_free_percent: free space below which it is too little.
        certificate_days: days to the end of a certificate from which they are too few.
    """

    name: str
    failure: str
    status: Mapping[str, Any] | None
    disk_free_percent: int
    certificate_days: int

    @property
    def containers(self) -> list[Mapping[str, Any]]:
        """Its containers: the replicas by number, then the gateway, then the others."""
        found = self.status["containers"] if self.status else []

        def rank(container: Mapping[str, Any]) -> tuple[bool, bool, int, str]:
            name = container["name"]
            return not is_replica(container), name != "gateway", len(name), name

        return sorted(found, key=rank)

    @property
    def deployed(self) -> bool:
        """Whether there is anything of the cluster."""
        return bool(self.containers)

    def left_out(self) -> dict[str, str]:
        """Return the replicas that the gateway sends nothing to, each with the reason."""
        gateway = (self.status or {}).get("gateway") or {}
        checks = gateway.get("replicas", [])
        return {
            check["server"].partition(":")[0]: check["failure"] or "it has to prove itself again"
            for check in checks
            if not check["healthy"]
        }


@dataclass(frozen=True)
class Report:
    """What all hosts said."""

    cluster: str
    hosts: tuple[Host, ...]

    @classmethod
    def read(cls, text: str) -> Report:
        """Read what the playbook has written.

        Raises:
            ValueError: it is something else.
        """
        try:
            content = json.loads(text)
            hosts = tuple(Host(name, **said) for name, said in content["hosts"].items())
            return cls(content["cluster"], hosts)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"this is no report of playbooks/status.yml: {error}") from error

    @property
    def deployed(self) -> bool:
        """Whether there is anything of the cluster, as far as can be seen."""
        return any(host.deployed for host in self.hosts)

    @property
    def state(self) -> State:
        """How the cluster does as a whole: it is down where nobody would get an answer."""
        gateways = [c for h in self.hosts for c in h.containers if c["service"] == "gateway"]
        replicas = [
            c
            for h in self.hosts
            for c in h.containers
            if is_replica(c) and c["name"] not in h.left_out()
        ]
        if not any(map(works, gateways)) or not any(map(works, replicas)):
            return State.DOWN
        return State.DEGRADED if self.findings() else State.WELL

    def findings(self) -> list[Finding]:
        """Return all that is not as it should be."""
        return [Finding(host.name, text) for host in self.hosts for text in _findings(host)]

    def as_json(self) -> str:
        """Return everything for machines, in one line."""
        content = {
            "cluster": self.cluster,
            "state": self.state.name.lower(),
            "findings": [asdict(finding) for finding in self.findings()],
            "hosts": {host.name: asdict(host) for host in self.hosts},
        }
        return json.dumps(content)


def is_replica(container: Mapping[str, Any]) -> bool:
    """Return whether a container is a replica."""
    return str(container["service"]).startswith("api")


def works(container: Mapping[str, Any]) -> bool:
    """Return whether a container does what it is for, as far as its engine knows."""
    return bool(container["state"] == "running" and container["health"] != "unhealthy")


def _findings(host: Host) -> Iterator[str]:
    if host.status is None:
        yield f"it cannot be asked: {host.failure or 'no reason given'}"
        return
    yield from host.status["faults"]
    if not host.deployed:
        yield "nothing is deployed here: run `make up`"
        return
    yield from _of_containers(host)
    yield from _of_answers(host.status)
    yield from _of_certificates(host, host.status)
    for disk in host.status["disks"] or []:
        if free_percent(disk) < host.disk_free_percent:
            yield f"the disk of {disk['path']} is nearly full: {free_percent(disk):.0f} % are free"
    deploy = host.status["deploy"]
    if deploy and deploy.get("result") == "failed":
        yield f"the last deploy failed, at {deploy.get('time', '?')}"


def _of_containers(host: Host) -> Iterator[str]:
    if not any(c["service"] == "gateway" for c in host.containers):
        yield "there is no gateway"
    for container in host.containers:
        if container["state"] != "running":
            yield f"{container['name']} does not run: it is {container['state']}"
        elif container["health"] == "unhealthy":
            yield f"{container['name']} runs and is not healthy"
        elif is_replica(container) and (why := host.left_out().get(container["name"])):
            yield f"the gateway sends nothing to {container['name']}: {why}"


def _of_answers(status: Mapping[str, Any]) -> Iterator[str]:
    figures = (status["gateway"] or {}).get("figures")
    if figures and figures["errors"] > TOLERATED_ERRORS * figures["requests"]:
        yield (
            f"{figures['errors']} of {figures['requests']} answers of the last"
            f" {figures['seconds']:.0f} s were errors of the cluster"
        )
    for replica, providers in status["providers"].items():
        if providers and all(each["state"] != "available" for each in providers):
            yield f"{replica} has no provider that is available"


def _of_certificates(host: Host, status: Mapping[str, Any]) -> Iterator[str]:
    for certificate in status["certificates"] or []:
        left = days_left(certificate, status["time"])
        if left is not None and left < host.certificate_days:
            when = f"expires in {left:.0f} days" if left > 0 else "has expired"
            yield f"the certificate {certificate['name']} {when}"
        if certificate["renewal_ok"] == 0:
            yield f"the last renewal of the certificate {certificate['name']} failed"


def days_left(certificate: Mapping[str, Any], now: float) -> float | None:
    """Return the days until a certificate expires: None if that is not known."""
    end = certificate["end"]
    return None if end is None else (end - now) / DAY


def free_percent(disk: Mapping[str, Any]) -> float:
    """Return the share of a disk that is free, in percent."""
    return float(100 * disk["free"] / max(disk["size"], 1))
