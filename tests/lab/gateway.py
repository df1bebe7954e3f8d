"""The gateway's image with a configuration that the role's templates made."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import httpx
from cryptography import x509
from gateway_control.certificates import choose
from gateway_control.configuration import admit, identify, serve
from gateway_control.hosts import secure
from gateway_control.steering import Steering

from tests.lab import plain, templates

SECONDS_TO_START = 20


def render(folder: Path, variables: Mapping[str, Any]) -> None:
    """Render every template of the gateway into `folder`."""
    templates.render("gateway", folder, {"llm_api_replicas": 2, "ansible_facts": {}, **variables})


def complete(folder: Path, store: Path) -> None:
    """Add to what is rendered in `folder` what the gateway adds for the certificates in `store`."""
    chosen = choose(store, fallback=folder)
    serve(chosen, secure(chosen), folder)
    admit(Steering(), folder)
    identify(folder)


class At(httpx.HTTPTransport):
    """Finds every host at one address, whose certificate has to be for the host nevertheless."""

    def __init__(self, address: str, **options: Any) -> None:
        """Send everything to `address`."""
        super().__init__(**options)
        self._address = address

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send `request`."""
        request.extensions = {**request.extensions, "sni_hostname": request.url.host}
        request.url = request.url.copy_with(host=self._address)
        return super().handle_request(request)


@dataclass(frozen=True)
class Gateway:
    """A running gateway."""

    name: str
    address: str

    @property
    def url(self) -> str:
        """Where clients find it."""
        return f"http://{self.address}"

    def client(self, trust: ssl.SSLContext, **options: Any) -> httpx.Client:
        """Return a client that finds every host here, by TLS if the URL says so."""
        return httpx.Client(transport=At(self.address, verify=trust, **options))

    def serial(self, host: str) -> int | None:
        """Return the serial number of the certificate that is served for `host`, if one is."""
        try:
            return self.certificate(host).serial_number
        except ssl.SSLError:
            return None

    def certificate(self, host: str) -> x509.Certificate:
        """Return the certificate that is served for `host`.

        Raises:
            ssl.SSLError: none is.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        with (
            socket.create_connection((self.address, 443), timeout=5) as connection,
            context.wrap_socket(connection, server_hostname=host) as wrapped,
        ):
            certificate = wrapped.getpeercert(binary_form=True)
        assert certificate
        return x509.load_der_x509_certificate(certificate)

    def raw(self, request: bytes, seconds: float = 5) -> bytes:
        """Send `request` as it is and return all that comes back."""
        with socket.create_connection((self.address, 80), timeout=seconds) as connection:
            connection.sendall(request)
            parts: list[bytes] = []
            # nginx waits, then resets a connection whose request it does not want to read.
            with suppress(ConnectionResetError, TimeoutError):
                while part := connection.recv(65536):
                    parts.append(part)
        return b"".join(parts)

    def log(self) -> list[dict[str, Any]]:
        """Return the access log, which nginx holds back for up to a second."""
        time.sleep(1.5)
        lines = docker("exec", self.name, "cat", "/var/log/gateway/access.log").splitlines()
        return [json.loads(line) for line in lines]

    def output(self) -> str:
        """Return all that it has written anywhere."""
        files = "cat /var/log/gateway/*"
        return docker("logs", self.name) + docker("exec", self.name, "sh", "-c", files)


def docker(*arguments: str) -> str:
    """Run a Docker command and return what it printed."""
    result = subprocess.run(["docker", *arguments], check=True, capture_output=True, text=True)
    return result.stdout


def bridge_address() -> str:
    """Return this machine's address on the engine's default network."""
    [network] = json.loads(docker("network", "inspect", "bridge"))
    # Its first one: an engine that has just made the network does not say so yet.
    return str(ip_network(network["IPAM"]["Config"][0]["Subnet"])[1])


@contextmanager
def gateway(
    image: str, folder: Path, ports: list[int], variables: Mapping[str, Any]
) -> Iterator[Gateway]:
    """Run a gateway before the replicas at `ports` of this machine for a while.

    Args:
        image: the gateway's.
        folder: where its `live` configuration goes, its `certificates` are, and `acme` challenges.
        ports: those of the replicas.
        variables: of the role.
    """
    for name in ("live", "certificates", "acme"):
        (folder / name).mkdir(exist_ok=True)
    folder.chmod(0o755)
    render(
        folder / "live", {"gateway_replicas": [f"replica:{port}" for port in ports], **variables}
    )
    name = f"gateway-test-{uuid.uuid4().hex[:8]}"
    docker(
        *("run", "--detach", "--name", name, "--read-only", "--cap-drop=ALL"),
        *("--tmpfs=/tmp", "--tmpfs=/var/log/gateway"),
        *("--add-host", f"replica:{bridge_address()}"),
        *("--volume", f"{folder}/live:/etc/gateway/live:ro"),
        *("--volume", f"{folder}/certificates:/srv/certificates:ro"),
        *("--volume", f"{folder}/acme:/srv/acme:ro"),
        image,
    )
    try:
        details = json.loads(docker("inspect", name))[0]
        running = Gateway(name, details["NetworkSettings"]["Networks"]["bridge"]["IPAddress"])
        wait_until(lambda: _answers(running), docker("logs", name), SECONDS_TO_START)
        yield running
    finally:
        docker("rm", "--force", "--volumes", name)


def _answers(running: Gateway) -> bool:
    """Return whether nginx answers, on the port that never wants the PROXY protocol.

    That it listens says nothing: it does so for a moment while it only tests its configuration.
    """
    try:
        return plain.get(f"{running.url}:8081/health", timeout=1).is_success
    except httpx.HTTPError:
        return False


def wait_until(condition: Callable[[], bool], what: str, seconds: float) -> None:
    """Return as soon as `condition` holds.

    Raises:
        AssertionError: it did not hold within `seconds`; the message says `what` did not happen.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.05)


def statuses(answers: list[httpx.Response]) -> dict[int, int]:
    """Return how often each status is among `answers`."""
    counts: dict[int, int] = {}
    for answer in answers:
        counts[answer.status_code] = counts.get(answer.status_code, 0) + 1
    return counts
