"""What clients lose while replicas fail: nothing where one is well, but what was already lost."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from testbed.cluster import ACCESS_LOG, Cluster
from testbed.load import Load, Outcome
from testbed.waiting import wait_until

REPLICAS = ["api1", "api2", "api3"]

# Seconds within which a replica that hangs is left out.
DETECTION = 11.0

PAUSE_BEFORE = 1.0


@pytest.fixture(autouse=True)
def well(cluster: Cluster) -> Iterator[None]:
    """Start each test with replicas that are well, and known to be."""
    wait_for_health(cluster, dict.fromkeys(REPLICAS, True), seconds=120)
    yield
    for name in REPLICAS:
        cluster.docker("start", name)
        cluster.docker("exec", name, "rm", "-f", "/tmp/mode")


def health(cluster: Cluster) -> dict[str, bool]:
    """Return what the gateway thinks of each replica."""
    state = json.loads(cluster.docker("exec", "gateway", "cat", "/tmp/replicas.json"))
    return {item["server"].partition(":")[0]: item["healthy"] for item in state["replicas"]}


def wait_for_health(cluster: Cluster, expected: dict[str, bool], seconds: float) -> None:
    def is_so() -> bool:
        state = health(cluster)
        return all(state.get(name) is healthy for name, healthy in expected.items())

    wait_until(is_so, f"the gateway sees {expected}", seconds)


@contextmanager
def load(cluster: Cluster, **options: Any) -> Iterator[Load]:
    """Put the gateway under load, from a little before to a little after."""
    with Load(cluster.address, **options) as load:
        time.sleep(PAUSE_BEFORE)
        yield load
        time.sleep(PAUSE_BEFORE)


def kinds(failures: list[Outcome]) -> set[str]:
    return {failure.failure for failure in failures}


def test_nothing_fails_when_nothing_happens(cluster: Cluster, report: Any) -> None:
    with load(cluster) as clients:
        time.sleep(2)
    report(clients.report("no event"))
    assert clients.failures() == []
    assert {outcome.replica for outcome in clients.outcomes} == set(REPLICAS)


def test_killed(cluster: Cluster, report: Any) -> None:
    with load(cluster) as clients:
        cluster.docker("kill", "api1")
        time.sleep(3)
        cluster.docker("start", "api1")
        time.sleep(2)
    report(clients.report("kill -9"))
    assert [post for post in clients.posts if post.failure] == []
    # A stream that had begun cannot be saved; its client sees that it has no end.
    lost = clients.failures()
    assert all(failure.replica == "api1" for failure in lost)
    assert kinds(lost) <= {"it broke off"}


def wait_until_out(cluster: Cluster, name: str) -> float:
    """Return the time at which `name`, which hangs from now on, was left out."""
    wait_for_health(cluster, {name: False}, DETECTION)
    out = time.monotonic()
    time.sleep(4)
    return out


def assert_lost_only_what_was_in_it(clients: Load, out: float) -> None:
    """Check that nothing failed but what the hung replica had before it was left out."""
    assert clients.failures(since=out) == []
    assert all(
        failure.failure in ("no answer in time", "it broke off") for failure in clients.failures()
    )


def test_stopped(cluster: Cluster, report: Any) -> None:
    with load(cluster) as clients:
        cluster.docker("kill", "--signal", "STOP", "api2")
        try:
            out = wait_until_out(cluster, "api2")
        finally:
            cluster.docker("kill", "--signal", "CONT", "api2")
        wait_for_health(cluster, {"api2": True}, 30)
        time.sleep(2)
    report(clients.report("SIGSTOP"))
    assert_lost_only_what_was_in_it(clients, out)
    assert any(o.replica == "api2" for o in clients.outcomes if o.started > out + 3)


def test_disconnected(cluster: Cluster, report: Any) -> None:
    with load(cluster) as clients:
        cluster.docker("network", "disconnect", "internal", "api3")
        try:
            out = wait_until_out(cluster, "api3")
        finally:
            cluster.docker("network", "connect", "--ip", "10.213.1.13", "internal", "api3")
        wait_for_health(cluster, {"api3": True}, 30)
    report(clients.report("network gone"))
    assert_lost_only_what_was_in_it(clients, out)


@pytest.mark.parametrize("mode", ["500", "502", "503", "slow"])
def test_sick(cluster: Cluster, report: Any, mode: str) -> None:
    with load(cluster) as clients:
        cluster.docker("exec", "api1", "sh", "-c", f"echo {mode} > /tmp/mode")
        time.sleep(3)
        cluster.docker("exec", "api1", "rm", "/tmp/mode")
    report(clients.report(f"answers {mode}" if mode.isdigit() else mode))
    assert clients.failures() == []


def test_closes_idle_connections(cluster: Cluster, report: Any) -> None:
    # Each client comes when the replica is just about to close the connection that it last used.
    with load(cluster, posts=3, streams=0, pause=0.95) as clients:
        cluster.docker("exec", "api1", "sh", "-c", "echo closing > /tmp/mode")
        time.sleep(8)
    report(clients.report("closes idle connections"))
    assert clients.failures() == []


def test_reloads(cluster: Cluster, report: Any) -> None:
    with load(cluster) as clients:
        for _ in range(5):
            cluster.docker("exec", "gateway", "python3", "-m", "gateway_control", "reload")
            time.sleep(1.8)
    report(clients.report("5 reloads in 10 s"))
    assert clients.failures() == []


def test_gateway_restarts_while_a_replica_is_missing(cluster: Cluster, report: Any) -> None:
    cluster.docker("kill", "api2")
    cluster.docker("restart", "gateway")
    wait_until(cluster.answers, "the gateway answers")
    with load(cluster) as clients:
        time.sleep(3)
        cluster.docker("start", "api2")
        time.sleep(1)
    report(clients.report("restarted without api2"))
    assert clients.failures() == []


def test_restart_lets_streams_finish(cluster: Cluster, report: Any) -> None:
    with Load(cluster.address, posts=0, streams=4) as clients:
        time.sleep(0.5)
        cluster.docker("restart", "gateway")
    wait_until(cluster.answers, "the gateway answers")
    begun = [stream for stream in clients.streams if stream.replica]
    report(f"restart: {len(begun)} streams had begun, {sum(bool(s.failure) for s in begun)} failed")
    assert len(begun) >= 4
    assert [stream for stream in begun if stream.failure] == []


def test_all_down_and_up(cluster: Cluster, report: Any) -> None:
    cluster.docker("kill", *REPLICAS)
    wait_for_health(cluster, dict.fromkeys(REPLICAS, False), 30)
    url = f"{cluster.url}/v1/chat/completions"
    # The last one does not wait for anybody: nginx has left them all out by then.
    for _ in range(4):
        answer = httpx.post(url, json={}, timeout=30)
        # 503 where it is refused, 504 where nobody is there to refuse it.
        assert answer.status_code in (503, 504)
        assert answer.json()["error"]["type"] == "server_error"
        assert answer.headers["Retry-After"] == "2"
    assert answer.elapsed.total_seconds() < 2
    cluster.docker("start", *REPLICAS)
    started = time.monotonic()
    wait_until(
        lambda: (
            httpx.post(
                f"http://{cluster.address}/v1/chat/completions", json={}, timeout=30
            ).is_success
        ),
        "it answers again",
        DETECTION,
    )
    back = time.monotonic() - started
    with load(cluster) as clients:
        time.sleep(1)
    report(f"all down and up: answers {back:.1f} s later; {clients.report('then')}")
    assert clients.failures() == []


def test_rotation_loses_no_line(cluster: Cluster, report: Any) -> None:
    with load(cluster, streams=0) as clients:
        for _ in range(3):
            cluster.host.check_output("logrotate --force /etc/logrotate.d/freegpt4-gateway")
            time.sleep(1.1)
    # nginx holds lines back for a second.
    time.sleep(2)
    logs = cluster.host.check_output(f"zcat --force {ACCESS_LOG.removesuffix('.log')}*")
    counted = Counter(json.loads(line)["request_id"] for line in logs.splitlines())
    logged = [counted[post.request_id] for post in clients.posts]
    report(f"3 rotations: {len(clients.posts)} POSTs, {sum(logged)} lines")
    assert set(logged) == {1}


SLOW_CLIENTS = {
    "slowloris": b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nX-Slow: ",
    "slow body": b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 9999\r\n\r\n",
}


@pytest.mark.parametrize("kind", SLOW_CLIENTS)
def test_slow_clients_hurt_nobody_else(cluster: Cluster, report: Any, kind: str) -> None:
    with load(cluster, posts=2, streams=0) as before:
        time.sleep(1)
    with load(cluster, posts=2, streams=0) as clients:
        dropped = asyncio.run(be_slow(cluster.address, SLOW_CLIENTS[kind], connections=300))
    report(clients.report(f"300 connections, {kind}, {dropped} dropped"))
    assert clients.failures() == []
    seconds = sorted(post.seconds for post in clients.posts)
    assert seconds[len(seconds) // 2] < 0.05
    usual = sorted(post.seconds for post in before.posts)
    assert seconds[len(seconds) // 2] < 2 * usual[len(usual) // 2] + 0.01
    assert dropped == 300


async def be_slow(address: str, start: bytes, connections: int) -> int:
    """Open so many connections, send almost nothing, and return how many were cut off."""

    async def one() -> bool:
        reader, writer = await asyncio.open_connection(address, 80)
        writer.write(start)
        try:
            async with asyncio.timeout(10):
                await reader.read()
        except TimeoutError:
            return False
        except ConnectionError:
            return True
        finally:
            writer.close()
        return True

    return sum(await asyncio.gather(*(one() for _ in range(connections))))


def test_clients_are_limited(cluster: Cluster) -> None:
    # The machine of the tests is exempt, and it is trusted to speak for others.
    with httpx.Client(base_url=f"http://{cluster.address}") as client:
        statuses = [
            client.get("/v1/models", headers={"X-Forwarded-For": "203.0.113.7"}).status_code
            for _ in range(60)
        ]
    assert set(statuses) == {200, 429}
    assert statuses[:21] == [200] * 21


def test_status_is_not_published(cluster: Cluster) -> None:
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://{cluster.address}:8081/status")
