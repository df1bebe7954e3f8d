# SPDX-License-Identifier: GPL-3.0-or-later
"""A report as a person reads it, in 80 columns or more."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from cluster_status.report import (
    DAY,
    Host,
    Report,
    State,
    days_left,
    free_percent,
    is_replica,
    works,
)

MB = 2**20
GB = 2**30
HOUR = 3600
MINUTE = 60

# What is not known.
UNKNOWN = "-"

STYLES = {State.WELL: "bold green", State.DEGRADED: "bold yellow", State.DOWN: "bold red"}


def layout(report: Report) -> RenderableType:
    """Return the whole report."""
    parts: list[RenderableType] = [_headline(report)]
    for finding in report.findings():
        where = f"{finding.host}: " if len(report.hosts) > 1 else ""
        parts.append(Text(f"! {where}{finding.text}", style="yellow"))
    for host in report.hosts:
        if host.status is None or not host.deployed:
            continue
        if len(report.hosts) > 1:
            parts.append(Text(f"\n{host.name}", style="bold"))
        parts.extend(["", _containers(host, host.status), "", _facts(host, host.status)])
    return Group(*parts)


def _headline(report: Report) -> Text:
    times = [host.status["time"] for host in report.hosts if host.status]
    if not times:
        down = "none of its hosts can be asked"
    else:
        down = "it is down" if report.deployed else "it is not deployed"
    words = {
        State.WELL: "all is well",
        State.DEGRADED: "it answers, but not all is well",
        State.DOWN: down,
    }
    when = datetime.fromtimestamp(max(times), UTC).strftime("  %F %T UTC") if times else ""
    style = STYLES[report.state]
    return Text.assemble((f"{report.cluster}: {words[report.state]}", style), (when, "dim"))


def _containers(host: Host, status: Mapping[str, Any]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for title in ("container", "release", "state", "up"):
        table.add_column(title, no_wrap=True)
    for title in ("req/s", "errors", "open", "CPU", "memory"):
        table.add_column(title, justify="right", no_wrap=True)
    figures = (status["gateway"] or {}).get("figures") or {}
    for container in host.containers:
        name = container["name"]
        state = _state(host, container)
        fine = works(container) and state != "left out"
        table.add_row(
            name,
            container["release"] or UNKNOWN,
            Text(state, style="green" if fine else "red"),
            _since(container["started"], status["time"]),
            *_traffic(container, status, figures),
            _cpu(container["cpu"]),
            _memory(container),
        )
    return table


def _state(host: Host, container: Mapping[str, Any]) -> str:
    if container["state"] != "running":
        return str(container["state"])
    if is_replica(container) and container["name"] in host.left_out():
        return "left out"
    return str(container["health"] or "running")


def _traffic(
    container: Mapping[str, Any], status: Mapping[str, Any], figures: Mapping[str, Any]
) -> tuple[str, str, str]:
    """Return requests a second, errors, and what is being answered."""
    if container["service"] == "gateway" and figures:
        shown = status["gateway"]["open"]
        return _rate(figures), str(figures["errors"]), UNKNOWN if shown is None else str(shown)
    if not is_replica(container) or not figures:
        return "", "", ""
    nothing = {"per_second": 0, "errors": 0}
    servers = figures["replicas"].items()
    name = container["name"]
    own = next((found for server, found in servers if server.partition(":")[0] == name), nothing)
    shown = container["open"]
    return _rate(own), str(own["errors"]), UNKNOWN if shown is None else str(shown)


def _rate(figures: Mapping[str, Any]) -> str:
    return f"{figures['per_second']:.1f}"


def _since(started: float | None, now: float) -> str:
    if started is None:
        return UNKNOWN
    seconds = max(now - started, 0)
    for unit, letter in ((DAY, "d"), (HOUR, "h"), (MINUTE, "m")):
        if seconds >= unit:
            return f"{seconds / unit:.0f}{letter}"
    return f"{seconds:.0f}s"


def _cpu(cores: float | None) -> str:
    return UNKNOWN if cores is None else f"{100 * cores:.0f} %"


def _memory(container: Mapping[str, Any]) -> str:
    used, limit = container["memory"], container["memory_limit"]
    if used is None:
        return UNKNOWN
    return f"{used / MB:.0f}/{limit / MB:.0f} MB" if limit else f"{used / MB:.0f} MB"


def _facts(host: Host, status: Mapping[str, Any]) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("providers", ", ".join(_providers(status)) or UNKNOWN)
    table.add_row("certificates", ", ".join(_certificates(status)) or "none")
    for disk in status["disks"] or []:
        free, size = disk["free"] / GB, disk["size"] / GB
        style = "red" if free_percent(disk) < host.disk_free_percent else ""
        text = f"{disk['path']}: {free:.1f} of {size:.1f} GB free ({free_percent(disk):.0f} %)"
        table.add_row("disk", Text(text, style=style))
    table.add_row("last deploy", _deploy(status["deploy"]))
    if status["kept"]:
        table.add_row("kept", f"{', '.join(status['kept'])}, for a rollback")
    healed = [f"{name} {entry['restarts']} times" for name, entry in status["autoheal"].items()]
    if healed:
        table.add_row("restarted", f"{', '.join(healed)}, because they were unhealthy")
    return table


def _providers(status: Mapping[str, Any]) -> Iterator[str]:
    """Yield each provider and how it does, in how many replicas where they disagree."""
    states: dict[str, list[str]] = {}
    for providers in status["providers"].values():
        for provider in providers or []:
            states.setdefault(provider["name"], []).append(provider["state"])
    for name, found in states.items():
        kinds = sorted(set(found))
        if len(kinds) == 1:
            yield f"{name} {kinds[0]}"
        else:
            yield f"{name} " + "/".join(f"{kind} ({found.count(kind)})" for kind in kinds)


def _certificates(status: Mapping[str, Any]) -> Iterator[str]:
    for certificate in status["certificates"] or []:
        left = days_left(certificate, status["time"])
        yield f"{certificate['name']} " + ("?" if left is None else f"{left:.0f} days left")


def _deploy(deploy: Mapping[str, Any] | None) -> str:
    if not deploy:
        return "none recorded"
    known = dict.fromkeys(("time", "who", "playbook", "result", "seconds"), "?") | dict(deploy)
    known["time"] = known["time"][:16].replace("T", " ")
    change = " → ".join(filter(None, (deploy.get("from"), deploy.get("to"))))
    text = "{time} {result} after {seconds} s: {playbook} by {who}".format(**known)
    return f"{text} ({change})" if change else text
