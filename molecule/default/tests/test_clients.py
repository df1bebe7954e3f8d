"""The programs that people use talk to the cluster as to the service that they were made for."""

from __future__ import annotations

import pytest
from testbed import clients
from testbed.cluster import Cluster


@pytest.mark.parametrize(
    "tests",
    [
        "test_openai_python.py",
        "test_openai_npm.py",
        "test_litellm.py",
        "test_langchain.py",
        "test_llm_cli.py",
        "test_anthropic.py",
    ],
)
def test_client(cluster: Cluster, tests: str) -> None:
    code, output = clients.run(cluster.url, tests)
    assert code == 0, output
