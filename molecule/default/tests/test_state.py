"""What one replica is told, the others know, and it outlives all of them. Secrets stay secret."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest
from testbed.cluster import Cluster
from testbed.playbook import PlaybookRun, run_playbook

DEPLOY = "playbooks/deploy.yml"

CANARY = "canary-0123456789-0123456789-0123456789"

VARIABLES = {
    "llm_api_private_mode": True,
    "llm_api_admin_password": CANARY,
    "llm_api_secret_key": CANARY,
}

# Within this time a change has reached every replica.
SECONDS_TO_SPREAD = 2


@dataclass(frozen=True)
class Private:
    """The cluster in private mode.

    Attributes:
        run: how it was deployed.
        token: one that was made before, by replicas that are gone.
    """

    run: PlaybookRun
    token: str


@pytest.fixture(scope="module")
def private(cluster: Cluster) -> Iterator[Private]:
    """The cluster in private mode, with secrets of its own."""
    token = create_token(cluster, "before")
    run = run_playbook(DEPLOY, "-vv", "--diff", "--extra-vars", json.dumps(VARIABLES))
    assert not run.failed, run.output
    yield Private(run, token)
    again = run_playbook(DEPLOY)
    assert not again.failed, again.output


@pytest.mark.usefixtures("private")
def test_without_a_token_there_is_no_answer(cluster: Cluster) -> None:
    statuses = {httpx.get(f"{cluster.url}/v1/models", timeout=30).status_code for _ in range(4)}
    assert statuses == {401}
    assert httpx.get(f"{cluster.url}/health", timeout=30).status_code == 200


def test_a_token_outlives_the_replicas_that_made_it(cluster: Cluster, private: Private) -> None:
    assert cluster.get_models(10, private.token) == {"api1": 5, "api2": 5}


@pytest.mark.usefixtures("private")
def test_a_token_of_one_replica_is_known_to_the_other(cluster: Cluster) -> None:
    token = create_token(cluster, "later")
    time.sleep(SECONDS_TO_SPREAD)
    assert cluster.get_models(10, token) == {"api1": 5, "api2": 5}


@pytest.mark.usefixtures("private")
def test_a_chat_with_a_token(cluster: Cluster, private: Private) -> None:
    answer = httpx.post(
        f"{cluster.url}/v1/chat/completions",
        json={"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 4},
        headers={"Authorization": f"Bearer {private.token}"},
        timeout=120,
    )
    assert answer.status_code == 200, answer.text


def test_secrets_are_shown_nowhere(cluster: Cluster, private: Private) -> None:
    assert CANARY not in private.run.output
    for name in ("api1", "api2"):
        assert CANARY not in json.dumps(cluster.inspect(name))
        assert CANARY not in cluster.docker("logs", name)
        kept = cluster.docker("exec", name, "cat", "/run/secrets/secret_key")
        assert kept == CANARY


@pytest.mark.usefixtures("private")
def test_replicas_are_replaced_when_a_secret_changes(cluster: Cluster) -> None:
    before = {name: cluster.inspect(name)["Id"] for name in ("api1", "api2")}
    variables = VARIABLES | {"llm_api_admin_password": "another-password"}
    run = run_playbook(DEPLOY, "--extra-vars", json.dumps(variables))
    assert not run.failed, run.output
    for name, identity in before.items():
        assert cluster.inspect(name)["Id"] != identity


def create_token(cluster: Cluster, name: str) -> str:
    """Let the first replica make a token, and return its secret."""
    return cluster.docker("exec", "api1", "python", "-m", "llm_api.tokens", "create", name)
