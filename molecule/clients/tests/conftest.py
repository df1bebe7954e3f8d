"""Where the cluster is, from the environment that the scenario sets."""

from __future__ import annotations

import os

import pytest
from endpoint import Endpoint


@pytest.fixture(scope="session")
def endpoint() -> Endpoint:
    """The cluster under test."""
    environment = os.environ
    return Endpoint(
        environment["GATEWAY_URL"],
        environment.get("TOKEN", "none"),
        environment.get("MODEL", "smollm2-135m"),
    )
