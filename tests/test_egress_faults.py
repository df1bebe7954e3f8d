"""Each setting of the way out that cannot work is named, with the remedy."""

from __future__ import annotations

from typing import Any

import pytest

from roles.validate.filter_plugins.egress_faults import egress_faults


def allowed(to: object, *ports: object) -> dict[str, Any]:
    return {"egress_allowed": [{"to": to, "ports": list(ports)}]}


REFUSED: list[tuple[dict[str, Any], str]] = [
    (allowed("192.168.1.300", 80), "egress_allowed has '192.168.1.300'"),
    (allowed("192.168.1.1/16", 80), "egress_allowed has '192.168.1.1/16'"),
    (allowed("http://ollama", 80), "egress_allowed has 'http://ollama'"),
    (allowed("ollama:11434", 80), "egress_allowed has 'ollama:11434'"),
    (allowed("a b", 80), "egress_allowed has 'a b'"),
    (allowed("", 80), "egress_allowed has ''"),
    (allowed("ollama"), "egress_allowed needs a list of ports for ollama"),
    (allowed("ollama", 0), "egress_allowed has 0 for ollama"),
    (allowed("ollama", 65536), "a port is a number from 1 to 65535"),
    (allowed("ollama", "http"), "egress_allowed has 'http' for ollama"),
    ({"egress_allowed": [{"to": "a", "ports": 80}]}, "needs a list of ports for a"),
    ({"egress_allowed": [{"to": "a"}]}, "it must have to and ports"),
    ({"egress_allowed": [{"to": "a", "ports": [1], "port": 1}]}, "it must have to and ports"),
    ({"egress_connect_timeout": 0}, "egress_connect_timeout is 0"),
    ({"egress_open_files": 10}, "egress_open_files is 10"),
]

ACCEPTED: list[dict[str, Any]] = [
    {},
    allowed("192.168.1.20", 11434),
    allowed("10.0.0.0/8", 80, "443"),
    allowed("fd12::1", 1, 65535),
    allowed("fd12::/64", 80),
    allowed("ollama", 80),
    allowed(".example.lan", 80),
    allowed("1st.host-2.example", 80),
    {"egress_dns_timeout": "5", "egress_log_days": 1},
]


@pytest.mark.parametrize(("variables", "message"), REFUSED)
def test_faults_are_named(variables: dict[str, Any], message: str) -> None:
    assert message in " ".join(egress_faults(variables))


@pytest.mark.parametrize("variables", ACCEPTED)
def test_what_works_is_accepted(variables: dict[str, Any]) -> None:
    assert egress_faults(variables) == []
