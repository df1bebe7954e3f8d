"""Replicas reach what is outside through the way out, and not otherwise."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from testbed import provider
from testbed.cluster import Cluster
from testbed.outside import LISTENING_PORT, Neighbour
from testbed.playbook import run_site

LOG = "/opt/freegpt4/logs/egress/access.log"

LOCAL = {
    "name": "local",
    "adapter": "openai",
    "base_url": "http://model:8080/v1",
    "models": ["smollm2-135m"],
}

# Prints the status of the proxy's answer to a request for a connection, and how long it took.
CONNECT = """
import json, socket, sys, time
start = time.monotonic()
with socket.create_connection((sys.argv[1], 3128), timeout=20) as proxy:
    proxy.sendall(f"CONNECT {sys.argv[2]} HTTP/1.1\\r\\n\\r\\n".encode())
    answer = proxy.recv(4096)
print(json.dumps([int(answer.split()[1]), time.monotonic() - start]))
"""


@pytest.fixture(scope="module")
def deployed(cluster: Cluster, outside: Neighbour) -> Iterator[Neighbour]:
    """The cluster with a provider on the internet, and with an exception for the neighbour."""
    variables = {
        "llm_api_providers": [provider.PROVIDER, LOCAL],
        "egress_allowed": [{"to": outside.address, "ports": [LISTENING_PORT]}],
    }
    with provider.provider(cluster, outside):
        deploy(variables)
        yield outside
        # Here and not in a test of its own, so that it is done when all others have been.
        deploy(variables | {"egress_enabled": False})
        without = chat(cluster)
        containers = cluster.containers()
        deploy({})
    assert without.status_code == 504
    assert "egress" not in containers


@pytest.mark.usefixtures("deployed")
def test_a_provider_outside_answers(cluster: Cluster) -> None:
    answer = chat(cluster)
    assert answer.status_code == 200, answer.text
    assert answer.json()["choices"][0]["message"]["content"] == provider.ANSWER
    assert answer.headers["X-Provider"] == "far"


@pytest.mark.usefixtures("deployed")
def test_there_is_no_other_way(cluster: Cluster) -> None:
    assert cluster.host.addr(provider.ADDRESS).port(80).is_reachable
    assert not cluster.probe("api1").reaches(provider.ADDRESS, 80)


@pytest.mark.usefixtures("deployed")
def test_the_log_says_who_asked_for_which_host_and_no_more(cluster: Cluster) -> None:
    assert chat(cluster).status_code == 200
    text = cluster.host.check_output(f"cat {LOG}")
    last = [json.loads(line) for line in text.splitlines()][-1]
    assert last["replica"] in ("api1", "api2")
    assert (last["host"], last["status"]) == (provider.ADDRESS, 200)
    assert "completions" not in text + cluster.docker("logs", "egress")


def test_a_neighbour_is_reached_by_an_exception(cluster: Cluster, deployed: Neighbour) -> None:
    assert connect(cluster, f"{deployed.address}:{LISTENING_PORT}") == 200
    assert connect(cluster, f"{deployed.address}:443") == 403


@pytest.mark.parametrize(
    "target",
    [
        "10.1.2.3:443",
        "127.0.0.1:443",
        "169.254.169.254:443",
        "[::ffff:169.254.169.254]:443",
        "10.213.1.3:443",
        "model:443",
        "api2:443",
        "gateway:443",
        f"{provider.ADDRESS}:22",
        f"{provider.ADDRESS}:80",
    ],
)
def test_refused(cluster: Cluster, target: str) -> None:
    assert connect(cluster, target) == 403


def test_the_host_is_refused(cluster: Cluster) -> None:
    assert connect(cluster, f"{cluster.address}:443") == 403
    external = cluster.inspect("egress")["NetworkSettings"]["Networks"]["external"]
    assert connect(cluster, f"{external['Gateway']}:443") == 403


def test_an_unknown_name_fails_at_once(cluster: Cluster) -> None:
    status, seconds = ask(cluster, "api1", "egress", "unknown.invalid:443")
    assert status == 503
    assert seconds < 1


def test_the_gateway_may_not_use_it(cluster: Cluster) -> None:
    status, _ = ask(cluster, "gateway", "10.213.1.4", f"{provider.ADDRESS}:443")
    assert status == 403


def test_nobody_outside_reaches_it(cluster: Cluster, outside: Neighbour) -> None:
    assert not outside.probe.reaches(cluster.address, 3128)


def deploy(variables: dict[str, Any]) -> None:
    run = run_site("--tags", "egress,llm_api", "--extra-vars", json.dumps(variables))
    assert not run.failed, run.output


def chat(cluster: Cluster) -> httpx.Response:
    body = {"model": provider.MODEL, "messages": [{"role": "user", "content": "Hello"}]}
    return httpx.post(f"{cluster.url}/v1/chat/completions", json=body, timeout=60)


def ask(cluster: Cluster, container: str, proxy: str, target: str) -> tuple[int, float]:
    """Return the status of the proxy's answer to `container`, and how long it took."""
    status, seconds = json.loads(
        cluster.docker("exec", container, "python3", "-c", CONNECT, proxy, target)
    )
    return status, seconds


def connect(cluster: Cluster, target: str) -> int:
    """Return the status of the proxy's answer to a replica."""
    return ask(cluster, "api1", "egress", target)[0]
