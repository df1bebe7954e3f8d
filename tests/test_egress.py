"""The way out does what docs/egress.md says: who may use it, what it reaches, and what it tells."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.lab.egress import LAN_SERVER, SERVER, WayOut, render, way_out
from tests.lab.gateway import docker, wait_until

ROLE = Path(__file__).parent.parent / "roles/egress"

# An address by itself, and a name for part of the network.
ALLOWED = [
    {"to": LAN_SERVER, "ports": [8080]},
    {"to": ".lan", "ports": [80, 8080]},
]

VARIANTS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "all_replicas": {"cluster_replicas_max": 200},
    "numbers_as_text": {"egress_drain_timeout": "30", "egress_dns_timeout": "1"},
    "exceptions": {
        "egress_allowed": [
            {"to": "10.20.0.0/16", "ports": [80, "443"]},
            {"to": "fd12::1", "ports": [11434]},
            {"to": "ollama", "ports": [11434]},
            {"to": ".example.lan", "ports": [443]},
        ]
    },
    "other_networks": {"__egress_networks": ["198.51.100.0/24", "2001:db8::/64"]},
}


@pytest.fixture(scope="module")
def way(
    egress_image: str, gateway_image: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[WayOut]:
    """The way out, with exceptions."""
    folder = tmp_path_factory.mktemp("egress")
    with way_out(egress_image, gateway_image, folder, {"egress_allowed": ALLOWED}) as running:
        yield running


@pytest.mark.parametrize("variant", VARIANTS)
def test_squid_accepts_what_is_rendered(variant: str, egress_image: str, tmp_path: Path) -> None:
    render(tmp_path, VARIANTS[variant])
    result = squid_test(egress_image, tmp_path)
    assert result.returncode == 0, result.stderr
    for word in ("ERROR", "FATAL", "is a subnetwork", "Unrecognized"):
        assert word not in result.stderr


def test_squid_refuses_what_is_none(egress_image: str, tmp_path: Path) -> None:
    render(tmp_path, {"egress_allowed": [{"to": "ollama", "ports": ["http"]}]})
    result = squid_test(egress_image, tmp_path)
    assert result.returncode != 0


@pytest.mark.parametrize("host", [SERVER, "server.example"])
def test_https_passes_as_it_is(way: WayOut, host: str) -> None:
    answer = way.connect(host, 443, "any bytes")
    assert answer.status == 200
    assert answer.text.endswith("\r\n\r\nany bytes")


@pytest.mark.parametrize("host", [SERVER, "server.example"])
def test_http_is_forwarded(way: WayOut, host: str) -> None:
    assert way.get(f"http://{host}/path").status == 200


def test_the_server_learns_nothing_of_who_asks(way: WayOut) -> None:
    answer = way.get("http://server.example/path?q=1")
    _, _, sent = answer.text.partition("\r\n\r\n")
    headers = {line.partition(":")[0].lower() for line in sent.splitlines()[1:] if line}
    assert sent.startswith("GET /path?q=1 HTTP/1.1\r\n")
    assert headers == {"host", "x-mine", "cache-control", "connection"}


@pytest.mark.parametrize(("method", "port"), [("connect", 22), ("connect", 80), ("connect", 8080)])
def test_no_other_port_is_connected_to(way: WayOut, method: str, port: int) -> None:
    assert getattr(way, method)("server.example", port).status == 403


@pytest.mark.parametrize("port", [443, 8080])
def test_no_other_port_is_forwarded_to(way: WayOut, port: int) -> None:
    assert way.get(f"http://server.example:{port}/").status == 403


@pytest.mark.parametrize(
    "host",
    [
        "10.1.2.3",
        "172.16.0.1",
        "192.168.0.1",
        "100.64.0.1",
        "127.0.0.1",
        "2130706433",
        "0x7f.1",
        "0",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "198.18.0.1",
        "169.254.169.254",
        "[::ffff:10.1.2.3]",
        "[::ffff:169.254.169.254]",
        "10.217.0.4",
        "10.217.0.11",
        "private.example",
        "mixed.example",
        "loopback.example",
        "metadata.example",
        "replica.example",
    ],
)
def test_what_is_not_the_internet_is_refused(way: WayOut, host: str) -> None:
    assert way.connect(host).status == 403
    assert way.get(f"http://{host}/").status == 403


@pytest.mark.parametrize(
    "host", ["localhost", "[::1]", "[fd00:ec2::254]", "[fe80::1]", "[fc00::1]", "metadata6.example"]
)
def test_nor_where_there_is_no_ipv6(way: WayOut, host: str) -> None:
    # Squid then ignores rules about it, and cannot connect: 503.
    assert way.connect(host).status in (403, 503)


@pytest.mark.parametrize("container", ["replica", "stranger"])
def test_containers_are_refused_by_name(way: WayOut, container: str) -> None:
    # The engine knows these names, and the proxy asks it.
    assert way.connect(getattr(way, container)).status == 403


def test_exceptions_hold_for_their_ports_only(way: WayOut) -> None:
    assert way.get(f"http://{LAN_SERVER}:8080/").status == 200
    assert way.connect(LAN_SERVER, 8080).status == 200
    assert way.get(f"http://{LAN_SERVER}/").status == 403
    assert way.get("http://ollama.lan/").status == 200
    assert way.connect("ollama.lan", 443).status == 403


def test_an_exception_for_an_address_allows_no_name(way: WayOut) -> None:
    assert way.get("http://private.example:8080/").status == 403


def test_the_proxy_says_nothing_about_itself(way: WayOut) -> None:
    for url in ("http://egress/squid-internal-mgr/info", "http://egress:3128/squid-internal-mgr/"):
        assert way.get(url).status == 403
    assert "squid/" not in way.get("http://10.1.2.3/").text.lower()


def test_an_unknown_name_fails_at_once(way: WayOut) -> None:
    for _ in range(2):
        answer = way.connect("unknown.example")
        assert answer.status == 503
        assert answer.seconds < 1


def test_names_that_nobody_answers_for_fail_in_time(way: WayOut) -> None:
    answer = way.connect("silent.example")
    assert answer.status == 503
    assert 2 < answer.seconds < 5


def test_a_server_that_does_not_listen_fails_at_once(way: WayOut) -> None:
    answer = way.get("http://203.0.113.4/")
    assert answer.status == 503
    assert answer.seconds < 1


def test_nobody_but_the_replicas_may_use_it(way: WayOut) -> None:
    assert way.connect("server.example", by=way.stranger).status == 403
    assert way.get("http://server.example/", by=way.stranger).status == 403


def test_the_log_says_who_asked_for_which_host_and_no_more(way: WayOut) -> None:
    before = len(way.log())
    way.get("http://user:canary@server.example/canary?q=canary")
    way.connect("private.example")
    way.get("http://private.example/canary?q=canary", by=way.stranger)
    forwarded, refused, foreign = way.log()[before:]
    assert (forwarded["replica"], forwarded["host"], forwarded["status"]) == (
        "api1",
        "server.example",
        200,
    )
    assert (forwarded["address"], forwarded["port"]) == (SERVER, "80")
    assert forwarded["received"] > 0
    assert (refused["replica"], refused["result"], refused["status"]) == (
        "api1",
        "TCP_DENIED",
        403,
    )
    assert (foreign["client"], foreign["replica"]) == ("10.217.0.2", "-")
    assert "canary" not in way.output()


def test_the_health_check_passes_and_is_not_logged(way: WayOut) -> None:
    variables = yaml.safe_load((ROLE / "vars/main.yml").read_text())
    before = way.log()
    docker("exec", way.name, "bash", "-c", variables["__egress_health_command"])
    assert way.log() == before


def test_open_connections_outlive_a_new_configuration(way: WayOut) -> None:
    talk = """
import socket
with socket.create_connection(("10.217.0.4", 3128)) as proxy:
    proxy.sendall(b"CONNECT server.example:443 HTTP/1.1\\r\\n\\r\\n")
    assert b" 200 " in proxy.recv(4096)
    print("connected", flush=True)
    proxy.sendall(input().encode())
    print(proxy.recv(4096).decode())
"""
    talking = subprocess.Popen(
        ["docker", "exec", "--interactive", way.replica, "python3", "-c", talk],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert talking.stdout
    assert talking.stdout.readline() == "connected\n"
    assert way.connect("server.example", 8080).status == 403
    allowed = [*ALLOWED, {"to": "server.example", "ports": [8080]}]
    render(way.folder, {"egress_allowed": allowed})
    docker("exec", way.name, "bash", "-c", "kill -HUP 1")
    wait_until(lambda: way.connect("server.example", 8080).status == 200, "it is allowed", 10)
    output, _ = talking.communicate("still there\n", timeout=30)
    assert output == "still there\n"


def squid_test(image: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Let the Squid of `image` test the configuration in `folder`, with no network at all."""
    folder.chmod(0o755)
    return subprocess.run(
        [
            *("docker", "run", "--rm", "--network=none", "--read-only", "--tmpfs=/tmp"),
            *("--volume", f"{folder}:/etc/egress:ro", image),
            *("squid", "-k", "parse", "-f", "/etc/egress/squid.conf"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
