"""What clients see of nginx as the role configures it."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import httpx
import pytest

from tests.conftest import Start
from tests.lab import plain
from tests.lab.gateway import Gateway, bridge_address, docker, statuses, wait_until
from tests.lab.replica import PAUSE, Replica

TOKEN = "token-0123456789abcdef"
ORIGIN = "https://chat.example.com"


def at_once(number: int, request: Callable[[], httpx.Response]) -> list[httpx.Response]:
    """Make `request` that often at once."""
    with ThreadPoolExecutor(number) as pool:
        return [future.result() for future in [pool.submit(request) for _ in range(number)]]


def from_address(address: str) -> dict[str, str]:
    """Headers of a load balancer that speaks for the client at `address`."""
    return {"X-Forwarded-For": address}


def trusted() -> list[str]:
    return [f"{bridge_address()}/32"]


# Limits


def test_requests_are_limited_by_address(start: Start) -> None:
    door, _ = start(gateway_cors_origins=[ORIGIN])
    with plain.Client(base_url=door.url, headers={"Origin": ORIGIN}) as client:
        client.get("/health")
        begun = time.monotonic()
        answers = at_once(60, lambda: client.get("/v1/models"))
    assert set(statuses(answers)) == {200, 429}
    assert 21 <= statuses(answers)[200] <= most_allowed(begun)
    limited = next(answer for answer in answers if answer.status_code == 429)
    assert limited.json()["error"]["type"] == "rate_limit_error"
    assert limited.json()["error"]["code"] == "rate_limit_exceeded"
    assert limited.headers["Retry-After"] == "1"
    assert limited.headers["Content-Type"] == "application/json"
    assert limited.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert limited.headers["X-Content-Type-Options"] == "nosniff"
    assert limited.headers["X-Request-ID"]


def most_allowed(begun: float) -> float:
    """Return how many requests since `begun` may pass: the first, the burst, and by the rate."""
    return 21 + 10 * (time.monotonic() - begun) + 1


def from_many_addresses(door: Gateway, path: str, headers: dict[str, str]) -> dict[int, int]:
    """Make 50 requests, each from an address of its own, and count the statuses."""
    with plain.Client(base_url=door.url, headers=headers) as client:
        addresses = iter([f"192.0.2.{i}" for i in range(50)])
        return statuses(
            at_once(50, lambda: client.get(path, headers=from_address(next(addresses))))
        )


def test_a_token_is_limited_at_all_its_addresses_together(start: Start) -> None:
    door, _ = start(gateway_trusted_proxies=trusted())
    for path, headers in (
        ("/v1/models", {"Authorization": f"Bearer {TOKEN}-1"}),
        ("/v1/models", {"X-Api-Key": f"{TOKEN}-2"}),
        (f"/?text=x&token={TOKEN}-3", {}),
    ):
        begun = time.monotonic()
        assert 21 <= from_many_addresses(door, path, headers)[200] <= most_allowed(begun)


def test_what_is_no_token_is_not_counted_as_one(start: Start) -> None:
    door, _ = start(gateway_trusted_proxies=trusted())
    headers = {"Authorization": "Bearer none"}
    assert from_many_addresses(door, "/v1/models", headers) == {200: 50}


def test_settings_have_a_limit_of_their_own(start: Start) -> None:
    door, _ = start(gateway_limit_settings_burst=2)
    for path in ("/settings", "/login", "/settings/tokens"):
        answers = [plain.post(door.url + path) for _ in range(3)]
    assert statuses(answers) == {429: 3}
    assert answers[0].headers["Retry-After"] == "12"
    assert plain.get(f"{door.url}/v1/models").status_code == 200


def test_exempt_networks_are_not_limited(start: Start) -> None:
    door, _ = start(gateway_limit_exempt=trusted(), gateway_limit_connections=1)
    headers = {"Authorization": f"Bearer {TOKEN}"}
    with plain.Client(base_url=door.url, headers=headers) as client:
        assert statuses(at_once(60, lambda: client.get("/v1/models"))) == {200: 60}


def test_connections_are_limited(start: Start) -> None:
    door, [replica] = start(gateway_limit_connections=4)
    replica.delay = 1
    answers = at_once(10, lambda: plain.get(f"{door.url}/v1/models"))
    assert statuses(answers) == {200: 4, 429: 6}


def test_no_limits_where_none_are_wanted(start: Start) -> None:
    door, _ = start(
        gateway_limit_rate="", gateway_limit_settings_rate="", gateway_limit_connections=0
    )
    with plain.Client(base_url=door.url) as client:
        assert statuses(at_once(60, lambda: client.get("/settings"))) == {200: 60}


# Browsers


def preflight(door: Gateway, origin: str) -> httpx.Response:
    return plain.options(
        f"{door.url}/v1/chat/completions",
        headers={
            "Origin": origin,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization,content-type,x-stainless-lang",
        },
    )


def test_preflights_are_answered_at_the_edge_and_never_limited(start: Start) -> None:
    door, [replica] = start(gateway_cors_origins=[ORIGIN])
    answers = at_once(40, lambda: preflight(door, ORIGIN))
    assert statuses(answers) == {204: 40}
    assert replica.requests == []
    headers = answers[0].headers
    assert headers["Access-Control-Allow-Origin"] == ORIGIN
    assert "POST" in headers["Access-Control-Allow-Methods"]
    assert headers["Access-Control-Allow-Headers"] == "authorization,content-type,x-stainless-lang"
    assert headers["Access-Control-Max-Age"] == "7200"
    assert "Access-Control-Allow-Credentials" not in headers


@pytest.mark.parametrize(
    ("variables", "origin", "allowed"),
    [
        ({}, ORIGIN, None),
        ({"gateway_cors_origins": [ORIGIN]}, ORIGIN, ORIGIN),
        ({"gateway_cors_origins": [ORIGIN]}, f"{ORIGIN}.evil.net", None),
        ({"gateway_cors_origins": ["*"]}, "https://any.net", "*"),
        ({"gateway_cors_origin_patterns": [r"https://[a-z]+\.example\.com"]}, ORIGIN, ORIGIN),
        ({"gateway_cors_origin_patterns": [r"https://[a-z]+\.example\.com"]}, f"{ORIGIN}.nl", None),
        ({"gateway_cors_origin_patterns": [r"https://a\.b|https://c\.d"]}, "https://c.d.e", None),
    ],
)
def test_origins(start: Start, variables: dict[str, Any], origin: str, allowed: str | None) -> None:
    door, [replica] = start(**variables)
    # What the service itself may think of it does not matter.
    replica.headers = {"Access-Control-Allow-Origin": "https://replica.example"}
    for answer in (
        plain.get(f"{door.url}/v1/models", headers={"Origin": origin}),
        preflight(door, origin),
    ):
        assert answer.is_success
        assert answer.headers.get("Access-Control-Allow-Origin") == allowed
        assert ("Access-Control-Allow-Headers" in answer.headers) == (
            allowed is not None and answer.status_code == 204
        )


def test_security_headers_come_once(start: Start) -> None:
    door, [replica] = start()
    replica.headers = {"X-Content-Type-Options": "nosniff", "X-Frame-Options": "SAMEORIGIN"}
    headers = plain.get(f"{door.url}/v1/models").headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Server"] == "nginx"


# Errors of nginx itself

BAD_REQUESTS = {
    "two lengths": (
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc",
        400,
    ),
    "no HTTP": (b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
    "own path": (b"GET /.gateway/limit HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 404),
    "trace": (b"TRACE / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 405),
    "large body": (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n", 413),
    "long URI": (b"GET /%s HTTP/1.1\r\nHost: a\r\n\r\n" % (b"a" * 9000), 414),
    "large header": (b"GET / HTTP/1.1\r\nHost: a\r\nX: %s\r\n\r\n" % (b"a" * 9000), 431),
}


@pytest.mark.parametrize("case", BAD_REQUESTS)
def test_errors_are_json(start: Start, case: str) -> None:
    request, status = BAD_REQUESTS[case]
    door, _ = start()
    answer = door.raw(request, seconds=3)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status), answer
    assert b"Content-Type: application/json" in head
    assert b"X-Request-ID: " in head
    assert b'"error": {"message": ' in body


def test_large_streamed_body_is_refused(start: Start) -> None:
    door, _ = start(gateway_max_body_size="2m")
    answer = plain.post(f"{door.url}/v1/models", content=iter([b"a" * 100_000] * 30))
    assert answer.status_code == 413
    assert answer.json()["error"]["code"] == "request_too_large"


def test_no_replica(start: Start) -> None:
    door, [replica] = start()
    replica.__exit__(None, None, None)
    answer = plain.post(f"{door.url}/v1/chat/completions", json={})
    assert answer.status_code == 503
    assert answer.json()["error"]["code"] == "no_replica_available"
    assert answer.headers["Retry-After"] == "2"


def test_silent_replica(start: Start) -> None:
    door, [replica] = start(gateway_read_timeout="1s")
    replica.delay = 3
    answer = plain.post(f"{door.url}/v1/chat/completions", json={})
    assert answer.status_code == 504
    assert answer.json()["error"]["code"] == "replica_timeout"


@pytest.mark.parametrize("status", [400, 404, 429, 500, 502, 503, 504])
def test_errors_of_a_replica_pass(start: Start, status: int) -> None:
    door, [replica] = start()
    replica.status, replica.body = status, b'{"error": "of the replica"}'
    answer = plain.get(f"{door.url}/v1/models")
    assert (answer.status_code, answer.content) == (status, replica.body)
    assert len(replica.requests) == 1


def test_unknown_hosts_are_refused(start: Start) -> None:
    door, [replica] = start(gateway_server_names=["api.example.com", "*.example.org"])
    for host, status in (
        ("api.example.com", 200),
        ("a.example.org", 200),
        ("evil.net", 421),
        (door.address, 421),
    ):
        answer = plain.get(f"{door.url}/v1/models", headers={"Host": host})
        assert answer.status_code == status, host
    assert answer.json()["error"]["code"] == "unknown_host"
    assert len(replica.requests) == 2
    # Load balancers ask by address.
    assert plain.get(f"{door.url}/health").text == "ok\n"


# What the replicas learn


def test_client_address_is_not_to_be_made_up(start: Start) -> None:
    door, [replica] = start()
    lies = from_address("6.6.6.6") | {
        "X-Real-IP": "6.6.6.6",
        "Forwarded": "for=6.6.6.6",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "evil.net",
    }
    plain.get(f"{door.url}/v1/models", headers=lies)
    headers = replica.requests[0].headers
    assert headers["x-forwarded-for"] == bridge_address()
    assert headers["x-forwarded-proto"] == "http"
    assert {"x-real-ip", "forwarded", "x-forwarded-host"} & set(headers) == set()


def test_client_address_behind_a_load_balancer(start: Start) -> None:
    door, [replica] = start(gateway_trusted_proxies=trusted())
    plain.get(
        f"{door.url}/v1/models",
        headers=from_address("1.1.1.1, 203.0.113.5") | {"X-Forwarded-Proto": "https"},
    )
    headers = replica.requests[0].headers
    assert headers["x-forwarded-for"] == "203.0.113.5"
    assert headers["x-forwarded-proto"] == "https"
    assert door.log()[-1]["client"] == "203.0.113.5"


def test_client_address_by_proxy_protocol(start: Start) -> None:
    door, [replica] = start(gateway_trusted_proxies=trusted(), gateway_proxy_protocol=True)
    request = b"GET /v1/models HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    answer = door.raw(b"PROXY TCP4 203.0.113.9 192.0.2.1 4711 80\r\n" + request)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert replica.requests[0].headers["x-forwarded-for"] == "203.0.113.9"


@pytest.mark.parametrize(("sent", "kept"), [("client-id-1", True), ("bad id!", False)])
def test_request_ids(start: Start, sent: str, kept: bool) -> None:
    door, [replica] = start()
    answer = plain.get(f"{door.url}/v1/models", headers={"X-Request-ID": sent})
    request_id = answer.headers["X-Request-ID"]
    assert (request_id == sent) is kept
    assert replica.requests[0].headers["x-request-id"] == request_id
    assert door.log()[-1]["request_id"] == request_id


# Sharing out


def test_round_robin(start: Start) -> None:
    door, replicas = start(3)
    for _ in range(12):
        plain.post(f"{door.url}/v1/chat/completions", json={})
    assert [len(replica.requests) for replica in replicas] == [4, 4, 4]


def test_least_connections(start: Start) -> None:
    door, [slow, fast] = start(2, gateway_balancing="least_conn", gateway_worker_processes=1)
    slow.delay = 2
    at_once(2, lambda: plain.get(f"{door.url}/v1/models"))
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(plain.get, f"{door.url}/v1/models")
        waiting_too = pool.submit(plain.get, f"{door.url}/v1/models")
        time.sleep(0.5)
        before = len(slow.requests)
        for _ in range(6):
            plain.get(f"{door.url}/v1/models")
        assert len(slow.requests) == before
        waiting.result()
        waiting_too.result()
    assert fast.requests


@pytest.mark.parametrize("key", ["cookie:session", "header:X-User-Name"])
def test_sticky(start: Start, key: str) -> None:
    # It asks more than one client may.
    sticky = {"gateway_balancing": "sticky", "gateway_sticky_key": key}
    door, replicas = start(2, gateway_limit_rate="", **sticky)
    used = set()
    # So many that it is no matter of luck whether each replica has some: its ports decide.
    for user in range(24):
        headers = {"Cookie": f"session=u{user}"} if "cookie" in key else {"X-User-Name": f"u{user}"}
        before = [len(replica.requests) for replica in replicas]
        for _ in range(4):
            plain.get(f"{door.url}/v1/models", headers=headers)
        added = [len(replica.requests) - old for replica, old in zip(replicas, before, strict=True)]
        assert sorted(added) == [0, 4]
        used.add(added.index(4))
    assert used == {0, 1}


def test_without_its_key_sticky_goes_round(start: Start) -> None:
    door, replicas = start(2, gateway_balancing="sticky", gateway_sticky_key="cookie:session")
    for _ in range(10):
        plain.get(f"{door.url}/v1/models")
    assert [len(replica.requests) for replica in replicas] == [5, 5]


@pytest.mark.parametrize("status", [500, 502, 503])
def test_sick_replica_costs_no_post(start: Start, status: int) -> None:
    door, [sick, well] = start(2)
    sick.status = status
    answers = [plain.post(f"{door.url}/v1/chat/completions", json={}) for _ in range(20)]
    assert statuses(answers) == {200: 20}
    assert len(sick.requests) == 3
    assert well.requests


def test_replicas_that_failed_all_are_all_asked(start: Start) -> None:
    door, replicas = start(2)
    for replica in replicas:
        replica.status = 503
    for _ in range(6):
        assert plain.post(f"{door.url}/v1/models", json={}).status_code == 503
    for replica in replicas:
        replica.status = 200
    # nginx would leave them out for half a minute.
    answers = [plain.post(f"{door.url}/v1/models", content=b"body") for _ in range(6)]
    assert statuses(answers) == {200: 6}
    assert all(replica.requests[-1].body == b"body" for replica in replicas)


def test_hung_replica_is_left_out_until_it_answers(start: Start) -> None:
    door, [hung, well] = start(2, gateway_health_interval=1, gateway_health_timeout=1)
    hung.healthy = None
    wait_until(lambda: healthy(door) == [False, True], "the replica is out", 11)
    # nginx needs a moment to read its configuration.
    time.sleep(1)
    with plain.Client(base_url=door.url) as client:
        assert statuses([client.post("/v1/models", json={}) for _ in range(10)]) == {200: 10}
        assert (len(hung.requests), len(well.requests)) == (0, 10)
        hung.healthy = True
        wait_until(lambda: healthy(door) == [True, True], "the replica is back", 11)
        time.sleep(1)
        for _ in range(10):
            client.post("/v1/models", json={})
        assert hung.requests


def test_when_all_replicas_are_out_all_are_asked(start: Start) -> None:
    door, replicas = start(2, gateway_health_interval=1)
    for replica in replicas:
        replica.healthy = False
    wait_until(lambda: healthy(door) == [False, False], "the replicas are out", 11)
    answers = [plain.post(f"{door.url}/v1/models", json={}) for _ in range(4)]
    assert statuses(answers) == {200: 4}


def healthy(door: Gateway) -> list[bool]:
    """Return which of the replicas the gateway holds for healthy."""
    answer = inside(door, "/replicas")
    if "200 OK" not in answer:
        return []
    return [replica["healthy"] for replica in json.loads(answer.splitlines()[-1])["replicas"]]


def inside(door: Gateway, path: str) -> str:
    """Return what the gateway's own status port answers within the container."""
    request = f"GET {path} HTTP/1.0\\r\\n\\r\\n"
    script = f"exec 3<>/dev/tcp/127.0.0.1/8081; printf '{request}' >&3; cat <&3"
    return docker("exec", door.name, "bash", "-c", script)


# Bodies and answers


def test_tokens_come_one_by_one(start: Start) -> None:
    door, _ = start()
    times = []
    headers = {"Accept-Encoding": "gzip"}
    with plain.stream("POST", f"{door.url}/stream", json={}, headers=headers) as answer:
        assert "Content-Encoding" not in answer.headers
        for line in answer.iter_lines():
            if line.startswith("data"):
                times.append(time.monotonic())
    assert len(times) == 10
    pauses = [later - earlier for earlier, later in pairwise(times)]
    assert min(pauses) > PAUSE / 2


def test_abort_reaches_the_replica(start: Start) -> None:
    door, [replica] = start()
    with plain.stream("POST", f"{door.url}/stream", json={}) as answer:
        next(answer.iter_lines())
    assert replica.left.wait(3 * PAUSE)


def test_silence_may_be_long_but_not_endless(start: Start) -> None:
    door, [replica] = start(gateway_read_timeout="3s")
    replica.delay = 2
    assert plain.get(f"{door.url}/v1/models").status_code == 200


def test_large_bodies_pass_as_they_come(start: Start) -> None:
    door, [replica] = start()
    with socket.create_connection((door.address, 80)) as connection:
        connection.sendall(
            b"POST /v1/images HTTP/1.1\r\nHost: a\r\nContent-Length: 2000000\r\n\r\n" + b"a" * 1000
        )
        wait_until(lambda: connected(door, replica), "the replica has the head of the request", 5)
        connection.sendall(b"a" * 1_999_000)
        assert connection.recv(100).startswith(b"HTTP/1.1 200 ")
    assert len(replica.requests[0].body) == 2_000_000


def connected(door: Gateway, replica: Replica) -> bool:
    """Return whether the gateway has a connection to `replica`."""
    table = docker("exec", door.name, "cat", "/proc/net/tcp")
    return any(
        f":{replica.port:04X} 01" in line.split(maxsplit=2)[2] for line in table.splitlines()[1:]
    )


def test_chunked_upload(start: Start) -> None:
    door, [replica] = start()
    answer = plain.post(f"{door.url}/v1/models", content=iter([b"a" * 1000] * 100))
    assert answer.status_code == 200
    assert len(replica.requests[0].body) == 100_000


@pytest.mark.parametrize(("size", "encoding"), [(5000, "gzip"), (100, None)])
def test_compression(start: Start, size: int, encoding: str | None) -> None:
    door, [replica] = start()
    replica.body = b'"%s"' % (b"a" * size)
    answer = plain.get(f"{door.url}/v1/models", headers={"Accept-Encoding": "gzip"})
    assert answer.content == replica.body
    assert answer.headers.get("Content-Encoding") == encoding


def test_static_files_are_served_by_nginx(start: Start) -> None:
    door, [replica] = start()
    replica.headers = {
        "Content-Type": "text/css",
        "Cache-Control": "no-cache",
        "Set-Cookie": "session=secret",
    }
    for _ in range(3):
        answer = plain.get(f"{door.url}/static/page.css")
        assert answer.content == replica.body
        assert answer.headers["Content-Type"] == "text/css"
        assert answer.headers["Cache-Control"] == "public, max-age=300"
        assert "Set-Cookie" not in answer.headers
    assert len(replica.requests) == 1
    versioned = plain.get(f"{door.url}/static/page.css?v=1")
    assert versioned.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    replica.__exit__(None, None, None)
    assert plain.get(f"{door.url}/static/page.css").status_code == 200


# What is seen from where


def test_log_shows_what_happened_and_no_secret(start: Start) -> None:
    door, _ = start(2)
    plain.post(
        f"{door.url}/v1/chat/completions?token={TOKEN}&text=prompt",
        headers={"Authorization": f"Bearer {TOKEN}", "Cookie": "session=crumb"},
        content=b"the body",
    )
    [entry] = door.log()
    assert entry["path"] == "/v1/chat/completions"
    assert entry["status"] == 200
    assert entry["upstream_status"] == "200"
    assert entry["limit"] == "PASSED"
    assert float(entry["upstream_seconds"]) < 5
    output = door.output()
    assert [secret for secret in (TOKEN, "prompt", "crumb", "the body") if secret in output] == []


def test_privacy(start: Start) -> None:
    door, _ = start(gateway_privacy=True, gateway_trusted_proxies=trusted())
    plain.get(f"{door.url}/v1/models", headers=from_address("203.0.113.5"))
    assert door.log()[-1]["client"] == ""
    assert "203.0.113.5" not in door.output()


def test_status_is_not_seen_from_outside(start: Start) -> None:
    door, _ = start()
    assert plain.get(f"{door.url}:8081/status").status_code == 403
    assert plain.get(f"{door.url}/status").json() == {"object": "list"}
    assert "Active connections" in inside(door, "/status")
