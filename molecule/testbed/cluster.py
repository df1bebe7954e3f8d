"""The cluster on a test host, as its operator and as its clients see it."""

from __future__ import annotations

import json
import shlex
import uuid
from collections import Counter
from collections.abc import Sequence
from typing import Any

import httpx

from testbed.probe import Probe
from testbed.waiting import wait_until
from tests.lab import plain

# Seconds. The gateway holds lines of its log back for one.
LOG_DELAY = 10

ACCESS_LOG = "/opt/freegpt4/logs/gateway/access.log"


class Cluster:
    """The cluster on one test host.

    Args:
        host: the test host, as testinfra knows it.
        address: the host's address on the network of the test hosts.
    """

    def __init__(self, host: Any, address: str) -> None:
        self.host = host
        self.address = address
        self.url = f"http://{address}"

    def docker(self, *arguments: str) -> str:
        """Run a Docker command on the host and return what it printed."""
        output: str = self.host.check_output(shlex.join(["docker", *arguments]))
        return output

    def containers(self) -> set[str]:
        """Return the names of all containers, running or not."""
        return set(self.docker("ps", "--all", "--format", "{{.Names}}").split())

    def start_times(self) -> dict[str, str]:
        """Return when each container was started."""
        return {name: self.inspect(name)["State"]["StartedAt"] for name in self.containers()}

    def inspect(self, container: str) -> dict[str, Any]:
        """Return what the engine knows of `container`."""
        details: dict[str, Any] = json.loads(self.docker("inspect", container))[0]
        return details

    def network(self, name: str) -> dict[str, Any]:
        """Return what the engine knows of the network `name`."""
        details: dict[str, Any] = json.loads(self.docker("network", "inspect", name))[0]
        return details

    def probe(self, container: str) -> Probe:
        """Return a probe that starts inside `container`, which must have Python."""

        def run(command: Sequence[str]) -> str:
            return self.docker("exec", container, *command)

        return Probe("python", run)

    def answers(self) -> bool:
        """Return whether the gateway itself answers."""
        try:
            return plain.get(f"{self.url}/health", timeout=5).is_success
        except httpx.HTTPError:
            return False

    def serves(self) -> bool:
        """Return whether a replica answers by way of the gateway."""
        try:
            return plain.get(f"{self.url}/v1/models", timeout=5).is_success
        except httpx.HTTPError:
            return False

    def configuration(self) -> str:
        """Return nginx's whole configuration as the running gateway reads it."""
        return self.docker(
            "exec",
            "gateway",
            "nginx",
            "-T",
            "-q",
            "-e",
            "stderr",
            "-c",
            "/tmp/gateway/nginx.conf",
        )

    def get_models(self, number: int = 1, token: str = "") -> Counter[str]:
        """Get the list of models `number` times and return how often each replica answered.

        Args:
            number: how often.
            token: who asks, where that matters.

        Raises:
            httpx.HTTPError: a request failed.
            AssertionError: the gateway's log does not show all of them.
        """
        ids = {uuid.uuid4().hex for _ in range(number)}
        who = {"Authorization": f"Bearer {token}"} if token else {}
        with plain.Client(base_url=self.url, timeout=30, headers=who) as client:
            for request_id in ids:
                client.get("/v1/models", headers={"X-Request-ID": request_id}).raise_for_status()
        answered: dict[str, str] = {}

        def all_logged() -> bool:
            for line in self.host.check_output(f"tail --lines=1000 {ACCESS_LOG}").splitlines():
                entry = json.loads(line)
                if entry["request_id"] in ids:
                    answered[entry["request_id"]] = self._replica(entry["upstream_addr"])
            return len(answered) == number

        wait_until(all_logged, "the requests are in the gateway's log", LOG_DELAY)
        return Counter(answered.values())

    @staticmethod
    def _replica(upstream_address: str) -> str:
        """Return the name of the replica that nginx tried last."""
        last = upstream_address.rsplit(", ", maxsplit=1)[-1]
        host, place = last.removesuffix(":5500").split(".")[2:]
        return f"api{(int(host) - 1) * 100 + int(place) - 10}"

    def wait_for_replica(self, name: str, seconds: float = 60) -> None:
        """Return as soon as the gateway sends requests to the replica `name`."""
        wait_until(lambda: name in self.get_models(4), f"{name} gets requests", seconds)

    def wait_for_health(self, container: str, seconds: float = 60) -> None:
        """Return as soon as the engine holds `container` for healthy."""

        def healthy() -> bool:
            return bool(self.inspect(container)["State"]["Health"]["Status"] == "healthy")

        wait_until(healthy, f"{container} is healthy", seconds)
