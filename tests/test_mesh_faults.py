"""What hosts cannot be joined with is refused, and said in words that help."""

from __future__ import annotations

from typing import Any

import pytest

from roles.validate.filter_plugins.mesh_faults import mesh_faults

INTERNAL = "10.213.0.0/21"


@pytest.mark.parametrize(
    ("variables", "fault"),
    [
        ({"mesh_port": 0}, "mesh_port is 0"),
        ({"mesh_port": "70000"}, "mesh_port is 70000"),
        ({"mesh_subnet": "somewhere"}, "no IPv4 network"),
        ({"mesh_subnet": "10.214.0.0/28"}, "too small"),
        ({"mesh_subnet": "10.213.0.0/24"}, "overlaps cluster_internal_subnet 10.213.0.0/21"),
    ],
)
def test_what_cannot_be_is_said(variables: dict[str, Any], fault: str) -> None:
    (said,) = mesh_faults(variables, INTERNAL)
    assert fault in said


@pytest.mark.parametrize(
    "variables",
    [{}, {"mesh_port": 443, "mesh_subnet": "192.168.77.0/26", "mesh_address": "1.2.3.4"}],
)
def test_what_can_be_is_not(variables: dict[str, Any]) -> None:
    assert mesh_faults(variables, INTERNAL) == []
