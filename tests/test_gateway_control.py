"""Who is out of the upstream, for how long, and what nginx is told about it."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import pytest
from gateway_control.configuration import Configuration, Versions
from gateway_control.judge import FLAPPING, MOST, Judge
from gateway_control.nginx import ConfigurationError, Nginx
from gateway_control.probe import probe, probe_all
from gateway_control.steering import Rollout, Steering
from gateway_control.watch import renew

UPSTREAM = """upstream freegpt4_api {
    server api1:5500 max_fails=3 fail_timeout=30s;
    server api2:5500 max_fails=3 fail_timeout=30s weight=2;
    keepalive 32;
}
"""


def hear(judge: Judge, failure: str, times: int, start: float) -> float:
    """Let `judge` hear the same `times` over, three seconds apart, and return the time after."""
    for number in range(times):
        judge.hear(failure, start + 3 * number)
    return start + 3 * times


def test_one_failure_is_none() -> None:
    judge = Judge(fails=2, passes=2)
    for failure in ("late", "", "late", ""):
        judge.hear(failure, 0)
    assert judge.healthy


def test_out_after_failures_in_a_row_and_back_after_passes() -> None:
    judge = Judge(fails=2, passes=2)
    now = hear(judge, "late", 2, 0)
    assert not judge.healthy
    assert judge.failure == "late"
    now = hear(judge, "", 1, now)
    assert not judge.healthy
    hear(judge, "", 1, now)
    assert judge.healthy


def test_flapping_replica_has_to_prove_itself_for_longer() -> None:
    judge = Judge(fails=2, passes=2)
    now = 0.0
    needed = []
    for _ in range(8):
        now = hear(judge, "late", 2, now)
        passes = 0
        while not judge.healthy:
            now = hear(judge, "", 1, now)
            passes += 1
        needed.append(passes)
    assert needed == [2, 4, 8, 16, 32, 2 * MOST, 2 * MOST, 2 * MOST]
    now = hear(judge, "", 1, now + FLAPPING)
    now = hear(judge, "late", 2, now)
    hear(judge, "", 2, now)
    assert judge.healthy


@pytest.fixture
def configuration(tmp_path: Path) -> Configuration:
    installed = tmp_path / "gateway.0"
    installed.mkdir()
    (installed / "upstream.conf").write_text(UPSTREAM)
    (installed / "admitted.conf").write_text("")
    (tmp_path / "gateway").symlink_to("gateway.0")
    return Configuration(tmp_path / "source", tmp_path / "certificates", tmp_path / "gateway")


def test_marks(
    configuration: Configuration, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    handed_over: list[bool] = []
    monkeypatch.setattr(Nginx, "hand_over", lambda _: handed_over.append(True))
    upstream = tmp_path / "gateway/upstream.conf"
    assert configuration.servers == ("api1:5500", "api2:5500")
    assert configuration.down == frozenset()
    configuration.mark({"api2:5500"})
    assert configuration.down == {"api2:5500"}
    assert "server api2:5500 max_fails=3 fail_timeout=30s weight=2 down;" in upstream.read_text()
    configuration.mark({"api1:5500"})
    assert configuration.down == {"api1:5500"}
    configuration.mark(set())
    assert upstream.read_text() == UPSTREAM
    assert len(handed_over) == 3


def test_what_nginx_does_not_take_is_not_marked(
    configuration: Configuration, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Nginx) -> None:
        raise ConfigurationError("nginx goes on with the one before")

    monkeypatch.setattr(Nginx, "hand_over", refuse)
    with pytest.raises(ConfigurationError):
        configuration.mark({"api2:5500"})
    # So the next check tries again.
    assert configuration.down == frozenset()


@pytest.fixture
def rollout(
    configuration: Configuration, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Configuration:
    """A configuration that the role has rendered and nginx reads."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "upstream.conf").write_text(UPSTREAM)
    (source / "hosts.json").write_text('{"names": [], "redirect": true, "https_port": 443}')
    (tmp_path / "gateway/installed.json").write_text('{"secure": []}')
    monkeypatch.setattr("gateway_control.nginx.test", lambda _: None)
    for name in ("reload", "hand_over"):
        monkeypatch.setattr(Nginx, name, lambda _: None)
    return configuration


def test_a_rollout_adds_replicas_and_drains_others(rollout: Configuration, tmp_path: Path) -> None:
    rollout.mark({"api2:5500"})
    assert rollout.steer("server1", Rollout(admitted=("api3:5500",), drained=("api1:5500",)))
    assert (tmp_path / "gateway/admitted.conf").read_text() == "server api3:5500;\n"
    upstream = (tmp_path / "gateway/upstream.conf").read_text()
    assert "server api1:5500 max_fails=3 fail_timeout=30s down;" in upstream
    # What is drained is not judged; what was judged before still is.
    assert rollout.servers == ("api2:5500", "api3:5500")
    assert rollout.down == {"api2:5500"}
    rollout.mark({"api3:5500"})
    assert rollout.down == {"api3:5500"}
    assert (tmp_path / "gateway/admitted.conf").read_text() == "server api3:5500 down;\n"
    assert (
        "api1:5500 max_fails=3 fail_timeout=30s down;"
        in (tmp_path / "gateway/upstream.conf").read_text()
    )


def test_a_rollout_may_add_several(rollout: Configuration) -> None:
    rollout.steer("server1", Rollout(admitted=("api3:5500", "api4:5500")))
    assert rollout.servers == ("api1:5500", "api2:5500", "api3:5500", "api4:5500")
    rollout.mark({"api3:5500"})
    assert rollout.down == {"api3:5500"}


def test_a_rollout_holds_through_a_new_configuration(rollout: Configuration) -> None:
    rollout.steer("server1", Rollout(admitted=("api3:5500",)))
    rollout.install()
    assert rollout.servers == ("api1:5500", "api2:5500", "api3:5500")


def test_no_two_configurations_call_their_requests_alike(
    rollout: Configuration, tmp_path: Path
) -> None:
    names = set()
    for _ in range(3):
        rollout.install()
        text = (tmp_path / "gateway/request_id.conf").read_text()
        [name] = set(re.findall(r"([0-9a-f]{8})-\$connection-\$connection_requests;", text))
        names.add(name)
    assert len(names) == 3


def test_the_end_of_a_rollout_leaves_nothing(rollout: Configuration, tmp_path: Path) -> None:
    rollout.steer("server1", Rollout(admitted=("api3:5500",), drained=("api1:5500",)))
    assert rollout.steer("server1", Rollout())
    assert not rollout.steer("server1", Rollout())
    assert (tmp_path / "gateway/upstream.conf").read_text() == UPSTREAM
    assert (tmp_path / "gateway/admitted.conf").read_text() == ""


def test_each_host_has_a_rollout_of_its_own(rollout: Configuration) -> None:
    rollout.steer("server1", Rollout(admitted=("api3:5500",), drained=("api1:5500",)))
    rollout.steer("server2", Rollout(drained=("api2:5500",)))
    assert rollout.servers == ("api3:5500",)
    rollout.steer("server1", Rollout())
    assert rollout.servers == ("api1:5500",)


def test_what_one_host_wanted_is_over_when_there_are_several(rollout: Configuration) -> None:
    rollout.steer("", Rollout(drained=("api1:5500",)))
    rollout.steer("server2", Rollout(drained=("api2:5500",)))
    assert rollout.servers == ("api1:5500",)


def test_what_nginx_refuses_is_not_wanted_any_more(
    rollout: Configuration, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Path) -> None:
        raise ConfigurationError("unknown host")

    rollout.steer("server1", Rollout(drained=("api1:5500",)))
    monkeypatch.setattr("gateway_control.nginx.test", refuse)
    with pytest.raises(ConfigurationError):
        rollout.steer("server1", Rollout(admitted=("nobody:5500",)))
    assert rollout.steering == Steering({"server1": Rollout(drained=("api1:5500",))})


def test_what_nginx_does_not_take_over_is_not_wanted_any_more(
    rollout: Configuration, monkeypatch: pytest.MonkeyPatch
) -> None:
    def go_on(_: Nginx) -> None:
        raise ConfigurationError("nginx goes on")

    rollout.steer("server1", Rollout(drained=("api1:5500",)))
    monkeypatch.setattr(Nginx, "hand_over", go_on)
    for _ in range(2):
        with pytest.raises(ConfigurationError):
            rollout.steer("server1", Rollout(admitted=("api3:5500",), drained=("api2:5500",)))
    assert rollout.steering == Steering({"server1": Rollout(drained=("api1:5500",))})
    assert rollout.servers == ("api2:5500",)


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def answer(server: socket.socket, *parts: bytes, pause: float = 0) -> None:
    """Let `server` answer one connection with `parts`."""

    def run() -> None:
        connection, _ = server.accept()
        # The probe may have given up.
        with connection, suppress(OSError):
            connection.recv(1024)
            for part in parts:
                connection.sendall(part)
                time.sleep(pause)

    threading.Thread(target=run, daemon=True).start()


@pytest.mark.parametrize(
    ("parts", "failure"),
    [
        ((b"HTTP/1.1 200 OK\r\n\r\n",), ""),
        ((b"HTTP/1.1 ", b"200 OK\r\n\r\n"), ""),
        (
            (b"HTTP/1.1 503 Service Unavailable\r\n",),
            "it answered HTTP/1.1 503 Service Unavailable",
        ),
        ((b"nonsense\r\n",), "it answered nonsense"),
        ((), "it closed the connection"),
    ],
)
def test_probe(listener: socket.socket, parts: tuple[bytes, ...], failure: str) -> None:
    answer(listener, *parts)
    assert probe(f"127.0.0.1:{listener.getsockname()[1]}", "/health/ready", 2) == failure


def test_probe_waits_no_longer_than_it_may(listener: socket.socket) -> None:
    # It accepts and is silent; and one that sends a byte now and then gets no more time.
    server = f"127.0.0.1:{listener.getsockname()[1]}"
    start = time.monotonic()
    assert probe(server, "/", 0.3) == "no answer within 0.3 s"
    listener.accept()[0].close()
    answer(listener, *[b"a"] * 20, pause=0.1)
    assert probe(server, "/", 0.3) == "no answer within 0.3 s"
    assert time.monotonic() - start < 2


def test_probe_of_nobody() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert probe(f"127.0.0.1:{port}", "/", 1) == "Connection refused"
    assert probe_all([f"127.0.0.1:{port}"], "/", 1) == {f"127.0.0.1:{port}": "Connection refused"}


@dataclass
class Installation:
    """A configuration that notes what is asked of it."""

    certificates: Versions
    installed: Versions
    settled: bool = True
    refuses: bool = False
    calls: list[str] = field(default_factory=list)

    def install(self) -> None:
        self.calls.append("install")
        if self.refuses:
            raise ConfigurationError("no")
        self.installed = self.certificates

    def hand_over(self) -> None:
        self.calls.append("hand over")


def look(installation: Installation, refused: Versions | None) -> Versions | None:
    return renew(cast(Configuration, installation), refused)


def test_certificates_are_installed_when_they_change() -> None:
    installation = Installation(certificates={"a": ("1",)}, installed={})
    assert look(installation, None) is None
    assert look(installation, None) is None
    assert installation.calls == ["install", "hand over"]


def test_the_last_certificate_that_goes_is_served_no_longer() -> None:
    installation = Installation(certificates={}, installed={"a": ("1",)})
    assert look(installation, None) is None
    assert installation.calls == ["install", "hand over"]
    assert installation.installed == {}


def test_what_nginx_refuses_is_tried_again_only_when_something_has_changed() -> None:
    installation = Installation({"a": ("2", "1")}, {"a": ("1",)}, refuses=True)
    refused = look(installation, None)
    assert look(installation, refused) == refused == {"a": ("2", "1")}
    assert installation.calls == ["install"]
    installation.certificates = {"a": ("1",)}
    assert look(installation, refused) == refused
    installation.certificates, installation.refuses = {"a": ("3", "1")}, False
    assert look(installation, refused) is None
    assert installation.calls == ["install", "install", "hand over"]


def test_a_redirect_follows_its_certificate() -> None:
    installation = Installation({"a": ("1",)}, {"a": ("1",)}, settled=False)
    look(installation, None)
    assert installation.calls == ["install", "hand over"]
