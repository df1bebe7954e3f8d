"""The egress image as its role configures it, between a replica and an internet of its own."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.lab.gateway import docker, wait_until
from tests.lab.templates import render as render_role

INTERNAL = "10.217.0.0/24"
EGRESS, REPLICA, STRANGER = "10.217.0.4", "10.217.0.11", "10.217.0.2"
# Nobody has the addresses of this network, which is for documentation.
INTERNET, SERVER = "203.0.113.0/24", "203.0.113.10"
LAN, LAN_SERVER = "10.218.0.0/24", "10.218.0.10"

NAMES = {
    "server.example": [SERVER],
    "private.example": [LAN_SERVER],
    "mixed.example": [SERVER, LAN_SERVER],
    "loopback.example": ["127.0.0.1"],
    "metadata.example": ["169.254.169.254"],
    "metadata6.example": ["fd00:ec2::254"],
    "replica.example": [REPLICA],
    "ollama.lan": [LAN_SERVER],
    "silent.example": ["silent"],
}

SECONDS_TO_START = 20

# Prints the status of the proxy's answer, how long it took, and the answer. Whoever hangs up before
# the end of a refusal has another result in the log.
ASK = """
import json, re, socket, sys, time

def lacks(answer):
    head, _, body = answer.partition(b"\\r\\n\\r\\n")
    length = re.search(rb"(?i)content-length: ([0-9]+)", head)
    return sys.argv[2].startswith("GET") or bool(length) and len(body) < int(length[1])

start = time.monotonic()
try:
    with socket.create_connection((sys.argv[1], 3128), timeout=20) as proxy:
        proxy.sendall(sys.argv[2].encode())
        answer = part = proxy.recv(65536)
        while part and lacks(answer):
            part = proxy.recv(65536)
            answer += part
        if len(sys.argv) > 3:
            proxy.sendall(sys.argv[3].encode())
            answer += proxy.recv(65536)
except OSError as error:
    answer = b"HTTP/1.1 0 " + str(error).encode()
seconds = time.monotonic() - start
print(json.dumps([int(answer.split()[1]), seconds, answer.decode(errors="replace")]))
"""


@dataclass(frozen=True)
class Answer:
    """What the proxy said: `status` is 0 if it said nothing."""

    status: int
    seconds: float
    text: str


def render(folder: Path, variables: Mapping[str, Any]) -> None:
    """Render the role's configuration into `folder`."""
    networks = {"cluster_host_subnet": INTERNAL, "__egress_networks": [INTERNAL]}
    render_role("egress", folder, {**networks, **variables})


@dataclass(frozen=True)
class WayOut:
    """A running proxy, who asks it, and the network that is its internet."""

    name: str
    internet: str
    replica: str
    stranger: str
    folder: Path

    def ask(self, request: str, *then: str, by: str = "") -> Answer:
        """Send `request` to the proxy, and `then` what is to go through it."""
        output = docker("exec", by or self.replica, "python3", "-c", ASK, EGRESS, request, *then)
        return Answer(*json.loads(output))

    def connect(self, host: str, port: int = 443, *then: str, by: str = "") -> Answer:
        """Ask for a connection to `host`."""
        return self.ask(f"CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}\r\n\r\n", *then, by=by)

    def get(self, url: str, by: str = "") -> Answer:
        """Ask for `url`."""
        return self.ask(
            f"GET {url} HTTP/1.1\r\nHost: a\r\nX-Mine: 1\r\nConnection: close\r\n\r\n", by=by
        )

    def log(self) -> list[dict[str, Any]]:
        """Return the access log."""
        lines = docker("exec", self.name, "cat", "/var/log/egress/access.log").splitlines()
        return [json.loads(line) for line in lines]

    def output(self) -> str:
        """Return all that it has written anywhere."""
        return docker("logs", self.name) + json.dumps(self.log())


@contextmanager
def way_out(image: str, tools: str, folder: Path, variables: Mapping[str, Any]) -> Iterator[WayOut]:
    """Run a proxy for a while, between a network of its own for replicas, an internet and a LAN.

    Args:
        image: the proxy's.
        tools: an image with Python.
        folder: for the configuration.
        variables: of the role.
    """
    render(folder, variables)
    folder.chmod(0o755)
    mark = uuid.uuid4().hex[:8]
    networks = {"internal": INTERNAL, "internet": INTERNET, "lan": LAN}
    proxy, replica, stranger, server = (
        f"egress-test-{name}-{mark}" for name in ("proxy", "replica", "stranger", "server")
    )
    try:
        for network, subnet in networks.items():
            options = ("--internal",) if network == "internal" else ()
            docker(
                *(
                    "network",
                    "create",
                    *options,
                    "--subnet",
                    subnet,
                    f"egress-test-{network}-{mark}",
                )
            )
        internal, internet, lan = (f"egress-test-{network}-{mark}" for network in networks)
        internet_script = Path(__file__).with_name("internet.py")
        _run(
            *(server, internet, SERVER, tools, "--user=0:0"),
            f"--volume={internet_script}:/internet.py:ro",
            command=["python3", "-u", "/internet.py", json.dumps(NAMES)],
        )
        docker("network", "connect", "--ip", LAN_SERVER, lan, server)
        for name, address in ((replica, REPLICA), (stranger, STRANGER)):
            _run(name, internal, address, tools, command=["sleep", "infinity"])
        # The first network is the one that names are asked for on.
        _run(
            *(proxy, internet, "203.0.113.4", image, f"--dns={SERVER}", "--read-only"),
            *("--cap-drop=ALL", "--tmpfs=/tmp", "--tmpfs=/var/log/egress:mode=777"),
            *("--ulimit=nofile=16384:16384", f"--volume={folder}:/etc/egress:ro"),
        )
        docker("network", "connect", "--ip", EGRESS, internal, proxy)
        docker("network", "connect", lan, proxy)
        running = WayOut(proxy, internet, replica, stranger, folder)
        wait_until(
            lambda: running.connect(EGRESS).status != 0, docker("logs", proxy), SECONDS_TO_START
        )
        yield running
    finally:
        for name in (proxy, replica, stranger, server):
            docker("rm", "--force", "--volumes", name)
        for network in networks:
            docker("network", "rm", f"egress-test-{network}-{mark}")


def _run(
    name: str,
    network: str,
    address: str,
    image: str,
    *options: str,
    command: list[str] | None = None,
) -> None:
    """Start a container."""
    docker(
        *("run", "--detach", "--name", name, "--network", network, "--ip", address, *options),
        *(image, *(command or [])),
    )
