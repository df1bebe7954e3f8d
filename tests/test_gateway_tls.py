"""What clients see of TLS as the role configures it, and of certificates that come and go."""

from __future__ import annotations

import asyncio
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.conftest import Start
from tests.lab import http3, plain
from tests.lab.certificates import Authority
from tests.lab.checkers import checker
from tests.lab.gateway import Gateway, docker, wait_until

HOST = "api.example.com"
OTHER = "www.example.org"
HSTS = "max-age=63072000"

# Seconds within which the gateway notices a certificate.
NOTICED = 15

ONE_CONNECTION = httpx.Limits(max_connections=1)

# What nginx reads within the container.
INSIDE = "/tmp/gateway"  # noqa: S108


@dataclass(frozen=True)
class Store:
    """The certificates of a gateway."""

    folder: Path
    authority: Authority

    def add(self, *names: str, version: str = "1") -> int:
        """Add a version of a certificate for `names`, and return its serial number."""
        issued = self.authority.issue(names)
        hidden = self.folder / names[0] / f".{version}"
        issued.write(hidden, names)
        hidden.rename(self.folder / names[0] / version)
        return issued.serial


@pytest.fixture
def store(tmp_path: Path, authority: Authority) -> Store:
    """Where the gateway finds its certificates."""
    return Store(tmp_path / "certificates", authority)


@pytest.fixture
def trust(authority: Authority) -> ssl.SSLContext:
    """The trust of a client."""
    return ssl.create_default_context(cadata=authority.root_pem.decode())


@pytest.fixture
def door(store: Store, start: Start) -> Gateway:
    """A gateway with a certificate for `HOST`."""
    store.add(HOST)
    return start()[0]


# What is answered where


def test_hosts_with_a_certificate_are_served_by_tls(door: Gateway, trust: ssl.SSLContext) -> None:
    with door.client(trust) as client:
        answer = client.get(f"https://{HOST}/v1/models")
    assert answer.status_code == 200
    assert answer.headers["Strict-Transport-Security"] == HSTS
    assert answer.headers["Alt-Svc"] == 'h3=":443"; ma=86400'


def test_http_leads_there_with_method_and_body(
    store: Store, start: Start, trust: ssl.SSLContext
) -> None:
    store.add(HOST)
    door, [replica] = start()
    with door.client(trust) as client:
        answer = client.post(f"http://{HOST}/v1/chat?a=%20b", content=b"body")
        assert answer.status_code == 308
        assert answer.headers["Location"] == f"https://{HOST}/v1/chat?a=%20b"
        assert "Strict-Transport-Security" not in answer.headers
        client.follow_redirects = True
        assert client.post(f"http://{HOST}/v1/chat?a=%20b", content=b"body").status_code == 200
    [request] = replica.requests
    assert (request.method, request.path, request.body) == ("POST", "/v1/chat?a=%20b", b"body")
    assert request.headers["x-forwarded-proto"] == "https"


def test_http_leads_to_the_port_that_is_published(store: Store, start: Start) -> None:
    store.add(HOST)
    door, _ = start(gateway_https_port=8443)
    answer = plain.get(f"{door.url}/", headers={"Host": HOST})
    assert answer.headers["Location"] == f"https://{HOST}:8443/"


def test_http_of_any_other_name_leads_to_the_one_with_a_certificate(door: Gateway) -> None:
    answer = plain.get(f"{door.url}/v1/models")
    assert (answer.status_code, answer.headers["Location"]) == (308, f"https://{HOST}/v1/models")


def test_http_still_answers_health_and_challenges(door: Gateway, tmp_path: Path) -> None:
    folder = tmp_path / "acme/.well-known/acme-challenge"
    folder.mkdir(parents=True)
    (folder / "token").write_text("token.thumbprint")
    for host in (HOST, door.address):
        headers = {"Host": host}
        assert plain.get(f"{door.url}/health", headers=headers).text == "ok\n"
        challenge = plain.get(f"{door.url}/.well-known/acme-challenge/token", headers=headers)
        assert challenge.text == "token.thumbprint"
        missing = plain.get(f"{door.url}/.well-known/acme-challenge/other", headers=headers)
        assert missing.status_code == 404


def test_challenges_are_answered_before_there_is_a_certificate(
    start: Start, tmp_path: Path
) -> None:
    door, [replica] = start()
    folder = tmp_path / "acme/.well-known/acme-challenge"
    folder.mkdir(parents=True)
    (folder / "token").write_text("token.thumbprint")
    answer = plain.get(f"{door.url}/.well-known/acme-challenge/token")
    assert answer.text == "token.thumbprint"
    assert replica.requests == []


def test_without_redirect_both_are_served(
    store: Store, start: Start, trust: ssl.SSLContext
) -> None:
    store.add(HOST)
    door, _ = start(gateway_tls_redirect=False)
    with door.client(trust) as client:
        assert client.get(f"https://{HOST}/v1/models").status_code == 200
        assert client.get(f"http://{HOST}/v1/models").status_code == 200
    assert plain.get(f"{door.url}/v1/models").status_code == 200


def test_names_without_a_certificate_stay_as_they_are(store: Store, start: Start) -> None:
    store.add(HOST)
    door, _ = start(gateway_server_names=[OTHER])
    for host, status in ((OTHER, 200), (HOST, 308), ("evil.net", 421)):
        answer = plain.get(f"{door.url}/v1/models", headers={"Host": host})
        assert answer.status_code == status, host


def test_each_host_has_its_own_certificate(
    store: Store, start: Start, trust: ssl.SSLContext
) -> None:
    serials = {HOST: store.add(HOST), OTHER: store.add(OTHER)}
    door, _ = start()
    assert {host: door.serial(host) for host in serials} == serials
    with door.client(trust) as client:
        assert client.get(f"https://{OTHER}/v1/models").status_code == 200


@pytest.mark.parametrize("host", ["evil.net", ""])
def test_no_handshake_for_a_host_without_a_certificate(door: Gateway, host: str) -> None:
    assert door.serial(host or door.address) is None


def test_no_handshake_before_there_is_a_certificate(start: Start) -> None:
    door, _ = start()
    assert door.serial(HOST) is None
    assert plain.get(f"{door.url}/v1/models").status_code == 200


@pytest.mark.parametrize("http2", [False, True])
def test_a_foreign_host_after_the_handshake_is_misdirected(
    door: Gateway, trust: ssl.SSLContext, http2: bool
) -> None:
    with door.client(trust, http2=http2) as client:
        answer = client.get(f"https://{HOST}/", headers={"Host": "evil.net"})
        assert answer.status_code == 421
        assert answer.json()["error"]["code"] == "unknown_host"
        assert client.get(f"https://{HOST}/v1/models").status_code == 200


# Protocols


@pytest.mark.parametrize(("enabled", "version"), [(True, "HTTP/2"), (False, "HTTP/1.1")])
def test_http2(
    store: Store,
    start: Start,
    trust: ssl.SSLContext,
    enabled: bool,
    version: str,
) -> None:
    store.add(HOST)
    door, _ = start(gateway_http2=enabled)
    with door.client(trust, http2=True) as client:
        assert client.get(f"https://{HOST}/v1/models").http_version == version


def test_http3(door: Gateway, authority: Authority) -> None:
    async def ask() -> tuple[http3.Answer, http3.Answer]:
        async with http3.Client.to(door.address, HOST, authority.root_pem) as client:
            answer, stream = client.ask("/v1/models"), client.ask("/stream", "POST")
            await asyncio.wait_for(asyncio.gather(answer.ended.wait(), stream.ended.wait()), 20)
        return answer, stream

    answer, stream = asyncio.run(ask())
    assert answer.status == 200
    assert answer.headers["strict-transport-security"] == HSTS
    assert stream.whole
    assert stream.body.count(b"data: ") == 10


def test_no_two_requests_of_a_connection_have_one_id(
    door: Gateway, trust: ssl.SSLContext, authority: Authority
) -> None:
    async def ask() -> list[str]:
        async with http3.Client.to(door.address, HOST, authority.root_pem) as client:
            answers = [client.ask("/v1/models") for _ in range(10)]
            await asyncio.wait_for(asyncio.gather(*(a.ended.wait() for a in answers)), 20)
        return [answer.headers["x-request-id"] for answer in answers]

    async def ask_http2() -> list[str]:
        transport = httpx.AsyncHTTPTransport(verify=trust, http2=True, limits=ONE_CONNECTION)
        url = f"https://{door.address}/v1/models"
        sni = {"sni_hostname": HOST}
        async with httpx.AsyncClient(transport=transport, headers={"Host": HOST}) as client:
            asked = [client.get(url, extensions=sni) for _ in range(10)]
            answers = await asyncio.gather(*asked)
        return [answer.headers["X-Request-ID"] for answer in answers]

    for ids in (asyncio.run(ask()), asyncio.run(ask_http2())):
        assert len(set(ids)) == 10


def test_a_reload_cuts_no_stream_of_http3(door: Gateway, authority: Authority) -> None:
    async def ask() -> http3.Answer:
        async with http3.Client.to(door.address, HOST, authority.root_pem) as client:
            stream = client.ask("/stream", "POST")
            await asyncio.sleep(0.5)
            reload(door)
            await asyncio.wait_for(stream.ended.wait(), 20)
        return stream

    stream = asyncio.run(ask())
    assert stream.whole
    assert stream.body.count(b"data: ") == 10


def test_http3_is_not_offered_where_it_is_off(
    store: Store, start: Start, trust: ssl.SSLContext
) -> None:
    store.add(HOST)
    door, _ = start(gateway_http3=False, gateway_tls_hsts=0)
    with door.client(trust) as client:
        headers = client.get(f"https://{HOST}/v1/models").headers
    assert "Alt-Svc" not in headers
    assert "Strict-Transport-Security" not in headers


def openssl(door: Gateway, *arguments: str) -> str:
    """Return what OpenSSL's own client, in the gateway's image, says about a handshake."""
    command = ["openssl", "s_client", "-connect", "127.0.0.1:443", "-servername", HOST, *arguments]
    result = subprocess.run(
        ["docker", "exec", "-i", door.name, *command],
        input="",
        capture_output=True,
        text=True,
        check=False,
    )
    return result.stdout + result.stderr


def test_a_key_exchange_that_outlasts_quantum_computers_comes_first(door: Gateway) -> None:
    assert "X25519MLKEM768" in openssl(door)
    assert "Peer Temp Key: X25519," in openssl(door, "-groups", "X25519:X25519MLKEM768")


def test_sessions_are_resumed_without_tickets(door: Gateway) -> None:
    assert "TLS session ticket:" not in openssl(door, "-tls1_2")


@pytest.mark.parametrize("policy", ["intermediate", "modern"])
def test_mozilla_policy(store: Store, start: Start, tmp_path: Path, policy: str) -> None:
    store.add(HOST)
    door, _ = start(gateway_tls_policy=policy)
    root = tmp_path / "root.pem"
    root.write_bytes(store.authority.root_pem)
    command = [
        *(str(checker("sslyze", "sslyze")), f"--mozilla_config={policy}"),
        *(f"--certinfo_ca_file={root}", f"--sni={HOST}", f"{door.address}:443"),
    ]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout
    assert "OK - Compliant" in result.stdout


def test_rsa_is_served_as_well(store: Store, start: Start, trust: ssl.SSLContext) -> None:
    store.authority.issue([HOST], rsa_key=True).write(store.folder / HOST / "1", [HOST])
    door, _ = start()
    with door.client(trust) as client:
        assert client.get(f"https://{HOST}/v1/models").status_code == 200


# Certificates that come and go


@contextmanager
def busy(door: Gateway, url: str, trust: ssl.SSLContext, follow: bool) -> Iterator[list[str]]:
    """Ask for `url` by new connections all the time, and collect what fails."""
    failures: list[str] = []
    answered: list[int] = []
    end = threading.Event()

    def ask() -> None:
        while not end.is_set():
            try:
                with door.client(trust) as client:
                    client.follow_redirects = follow
                    client.post(url, content=b"{}").raise_for_status()
                answered.append(1)
            except httpx.HTTPError as error:
                failures.append(f"{type(error).__name__}: {error}")
            time.sleep(0.02)

    with ThreadPoolExecutor(4) as pool:
        clients = [pool.submit(ask) for _ in range(4)]
        time.sleep(1)
        yield failures
        time.sleep(1)
        end.set()
        for client in clients:
            client.result()
    assert len(answered) > 50


def test_the_first_certificate_costs_no_request(
    store: Store, start: Start, trust: ssl.SSLContext
) -> None:
    door, _ = start(gateway_limit_rate="")
    with busy(door, f"http://{HOST}/v1/models", trust, follow=True) as failures:
        serial = store.add(HOST)
        wait_until(lambda: door.serial(HOST) == serial, "the certificate is served", NOTICED)
        wait_until(lambda: redirects(door), "HTTP leads to HTTPS", NOTICED)
    assert failures == []


def redirects(door: Gateway) -> bool:
    return plain.get(door.url, headers={"Host": HOST}).status_code == 308


def test_a_new_version_costs_no_request(store: Store, start: Start, trust: ssl.SSLContext) -> None:
    store.add(HOST)
    door, _ = start(gateway_limit_rate="")
    with busy(door, f"https://{HOST}/v1/models", trust, follow=False) as failures:
        serial = store.add(HOST, OTHER, version="2")
        wait_until(lambda: door.serial(HOST) == serial, "the new one is served", NOTICED)
    assert failures == []
    assert door.serial(OTHER) == serial


def test_certificates_are_noticed_while_replicas_are_not_checked(
    store: Store, start: Start
) -> None:
    door, _ = start(gateway_health_interval=0)
    serial = store.add(HOST)
    wait_until(lambda: door.serial(HOST) == serial, "the certificate is served", NOTICED)


def test_a_certificate_that_is_removed_is_served_no_longer(store: Store, start: Start) -> None:
    store.add(HOST)
    other = store.add(OTHER)
    door, _ = start()
    shutil.rmtree(store.folder / HOST)
    wait_until(lambda: door.serial(HOST) is None, "it is gone", NOTICED)
    assert door.serial(OTHER) == other


def reload(door: Gateway) -> None:
    """Reload as the role does."""
    docker("exec", door.name, "python3", "-m", "gateway_control", "reload")
    time.sleep(1)


def test_a_key_that_is_junk_leaves_the_last_good_certificate(
    store: Store, start: Start, trust: ssl.SSLContext
) -> None:
    serial = store.add(HOST)
    door, _ = start()
    store.add(HOST, version="2")
    wait_until(lambda: door.serial(HOST) != serial, "the second is served", NOTICED)
    (store.folder / HOST / "2/privkey.pem").write_text("junk")
    reload(door)
    assert door.serial(HOST) == serial
    # Also if it is the only one: then what was read before is still there.
    (store.folder / HOST / "1/privkey.pem").write_text("junk")
    reload(door)
    assert door.serial(HOST) == serial
    with door.client(trust) as client:
        assert client.get(f"https://{HOST}/v1/models").status_code == 200


def test_a_restart_with_nothing_but_junk_serves_the_others(store: Store, start: Start) -> None:
    store.add(HOST)
    other = store.add(OTHER)
    (store.folder / HOST / "1/privkey.pem").write_text("junk")
    door, _ = start()
    assert door.serial(HOST) is None
    assert door.serial(OTHER) == other
    # Still no way around TLS, and the way in for a new certificate is open.
    assert redirects(door)
    assert "no version is a chain with its key" in docker_output(door)


def docker_output(door: Gateway) -> str:
    """Return what the gateway's programs have said."""
    return subprocess.run(
        ["docker", "logs", door.name], capture_output=True, text=True, check=True
    ).stderr


def test_the_key_is_nobody_elses(door: Gateway) -> None:
    path = f"{INSIDE}/certificates/{HOST}"
    assert docker("exec", door.name, "stat", "-c", "%a %u", path).split() == ["700", "65532"]
    key = docker("exec", door.name, "stat", "-c", "%a %u", f"{path}/privkey.pem")
    assert key.split() == ["600", "65532"]
    assert "PRIVATE" not in docker("exec", door.name, "nginx", "-T", "-c", f"{INSIDE}/nginx.conf")


def test_plain_http_on_the_port_of_tls_is_no_crash(door: Gateway) -> None:
    with socket.create_connection((door.address, 443), timeout=5) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert b"400" in connection.recv(1000)
