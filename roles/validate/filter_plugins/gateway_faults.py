# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter that finds what nginx would not understand among the gateway's variables."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from ipaddress import ip_network
from typing import Any

NAME = r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?"
HOST = rf"{NAME}(\.{NAME})*"

# What a value must match, and how a message says so.
PATTERNS = {
    "rate": (r"|[1-9][0-9]*r/[sm]", "a rate such as 10r/s or 5r/m, or empty for no limit"),
    "time": (r"[1-9][0-9]*(ms|s|m|h)", "a time such as 500ms, 30s or 5m"),
    "size": (r"[1-9][0-9]*[kKmMgG]?", "a size such as 512k or 16m"),
    "processes": (r"auto|[1-9][0-9]*", "auto or a number from 1"),
    "sticky key": (r"|cookie:\w+|header:[A-Za-z0-9-]+", "cookie:NAME or header:NAME"),
    "path": (r"/[!-~]*", "a path such as /health/ready"),
    "replica": (rf"{HOST}(:[0-9]{{1,5}})?", "a name, with or without :port"),
    "server name": (rf"(\*\.)?{HOST}", "a host name such as api.example.com or *.example.com"),
    "origin": (
        rf"\*|https?://{HOST}(:[0-9]{{1,5}})?",
        "an origin such as https://chat.example.com, without a path, or *",
    ),
    "header name": (r"[A-Za-z0-9-]+", "the name of a header"),
    "header value": (
        r'[^"$\\\n]+',
        "text without quotes, dollar signs and backslashes",
    ),
    "pattern": (r'[^"\s]+', "a regular expression without quotes and blanks"),
}

KINDS = {
    "gateway_limit_rate": "rate",
    "gateway_limit_settings_rate": "rate",
    "gateway_fail_timeout": "time",
    "gateway_keepalive_timeout": "time",
    "gateway_connect_timeout": "time",
    "gateway_read_timeout": "time",
    "gateway_retry_timeout": "time",
    "gateway_client_timeout": "time",
    "gateway_max_body_size": "size",
    "gateway_worker_processes": "processes",
    "gateway_sticky_key": "sticky key",
    "gateway_health_path": "path",
}

KINDS_OF_ELEMENTS = {
    "gateway_replicas": "replica",
    "gateway_server_names": "server name",
    "gateway_cors_origins": "origin",
    "gateway_cors_origin_patterns": "pattern",
}

NETWORKS = ("gateway_trusted_proxies", "gateway_limit_exempt")

# The role's defaults of what depends on one another.
CONNECTIONS = 4096
FILES = 16384

PORTS = {"http": 80, "https": 443}

# The least and the most that a number may be.
NUMBERS = {
    "gateway_replica_port": (1, 65535),
    "gateway_max_fails": (0, 1000),
    "gateway_keepalive": (1, 10000),
    "gateway_retry_tries": (1, 64),
    "gateway_health_interval": (0, 3600),
    "gateway_health_timeout": (1, 60),
    "gateway_health_fails": (1, 100),
    "gateway_health_passes": (1, 100),
    "gateway_limit_burst": (0, 100000),
    "gateway_limit_settings_burst": (0, 100000),
    "gateway_limit_connections": (0, 65535),
    "gateway_tls_hsts": (0, 10 * 31536000),
    "gateway_static_max_age": (0, 31536000),
    "gateway_worker_connections": (64, 1000000),
    "gateway_open_files": (128, 1000000),
    "gateway_log_days": (1, 3650),
    "gateway_drain_timeout": (1, 86400),
}


def gateway_faults(
    variables: Mapping[str, Any], replicas: Collection[str], hosts: Collection[str]
) -> list[str]:
    """Return a sentence for each fault of `variables`.

    Args:
        variables: those that somebody set. Their types have been checked.
        replicas: the names of the replicas where `gateway_replicas` is not set.
        hosts: the names of the cluster's hosts.
    """
    return [
        *_faults_of_texts(variables),
        *_faults_of_networks(variables),
        *_faults_of_numbers(variables),
        *_faults_of_headers(variables),
        *_faults_of_expressions(variables),
        *_faults_of_replicas(variables, variables.get("gateway_replicas", replicas), hosts),
        *_faults_of_combinations(variables),
    ]


def _mismatch(name: str, value: object, kind: str) -> Iterator[str]:
    pattern, meaning = PATTERNS[kind]
    if not re.fullmatch(pattern, str(value)):
        yield f"{name} has {str(value)!r}, which is not {meaning}."


def _faults_of_texts(variables: Mapping[str, Any]) -> Iterator[str]:
    for name, kind in KINDS.items():
        if name in variables:
            yield from _mismatch(name, variables[name], kind)
    for name, kind in KINDS_OF_ELEMENTS.items():
        for value in variables.get(name, []):
            yield from _mismatch(name, value, kind)


def _faults_of_networks(variables: Mapping[str, Any]) -> Iterator[str]:
    for name in NETWORKS:
        for value in variables.get(name, []):
            try:
                ip_network(str(value))
            except ValueError as error:
                yield f"{name} has {str(value)!r}, which is no network: {error}."


def _faults_of_numbers(variables: Mapping[str, Any]) -> Iterator[str]:
    for name, (least, most) in NUMBERS.items():
        if name in variables and not least <= int(variables[name]) <= most:
            yield f"{name} is {variables[name]}: it must be from {least} to {most}."
    connections = int(variables.get("gateway_worker_connections", CONNECTIONS))
    files = int(variables.get("gateway_open_files", FILES))
    if files < 2 * connections:
        yield (
            f"gateway_open_files is {files}: it must be at least twice gateway_worker_connections,"
            f" which is {connections}."
        )


def _faults_of_headers(variables: Mapping[str, Any]) -> Iterator[str]:
    name = "gateway_security_headers"
    for header, value in variables.get(name, {}).items():
        yield from _mismatch(name, header, "header name")
        yield from _mismatch(name, value, "header value")


def _faults_of_expressions(variables: Mapping[str, Any]) -> Iterator[str]:
    name = "gateway_cors_origin_patterns"
    for value in variables.get(name, []):
        try:
            re.compile(str(value))
        except re.error as error:
            yield f"{name} has {str(value)!r}, which is no regular expression: {error}."


def _faults_of_replicas(
    variables: Mapping[str, Any], replicas: Collection[str], hosts: Collection[str]
) -> Iterator[str]:
    if not replicas:
        yield "gateway_replicas is empty: the gateway needs a replica to send requests to."
    twice = sorted({name for name in replicas if list(replicas).count(name) > 1})
    if twice:
        yield f"gateway_replicas has {', '.join(twice)} more than once."
    weights: Mapping[str, Any] = variables.get("gateway_weights", {})
    backups: Collection[str] = variables.get("gateway_backups", [])
    listed = ", ".join(replicas)
    for unknown in sorted(set(backups) - set(replicas)):
        yield f"gateway_backups names {unknown}, which is none of the replicas: {listed}."
    others = {name.partition(":")[0] for name in replicas}
    for unknown in sorted(set(weights) - set(replicas) - set(hosts) - others):
        yield (
            f"gateway_weights names {unknown}, which is none of the replicas, nor a host of one:"
            f" {listed}."
        )
    for named, weight in weights.items():
        if not re.fullmatch(r"[1-9][0-9]{0,4}", str(weight)):
            yield f"gateway_weights has {weight!r} for {named}: it must be a whole number from 1."
    if replicas and set(replicas) <= set(backups):
        yield "gateway_backups has all replicas: one must not be a backup."


def _faults_of_combinations(variables: Mapping[str, Any]) -> Iterator[str]:
    sticky = variables.get("gateway_balancing") == "sticky"
    if sticky and not variables.get("gateway_sticky_key"):
        yield "gateway_balancing is sticky: set gateway_sticky_key too."
    if not sticky and variables.get("gateway_sticky_key"):
        yield "gateway_sticky_key has no effect without gateway_balancing: sticky."
    if sticky and variables.get("gateway_backups"):
        yield "gateway_backups has no effect with gateway_balancing: sticky, which nginx refuses."
    http, https = (int(variables.get(f"gateway_{p}_port", d)) for p, d in PORTS.items())
    if http == https:
        yield f"gateway_http_port and gateway_https_port are both {http}: each needs its own."
    protocol = str(variables.get("gateway_proxy_protocol", False)).lower() in ("true", "yes", "1")
    if protocol and not variables.get("gateway_trusted_proxies"):
        yield "gateway_proxy_protocol needs gateway_trusted_proxies: whom is it to believe?"


class FilterModule:
    """The filter as Ansible finds it."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filter by name."""
        return {"gateway_faults": gateway_faults}
