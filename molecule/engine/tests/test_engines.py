"""The engine works on every kind of host, and one that somebody else installed stays as it is."""

from __future__ import annotations

import json
from typing import Any

import pytest
from testbed.waiting import wait_until

BOOKWORM = "molecule-engine-bookworm"
WITHOUT_SYSTEMD = "molecule-engine-no-systemd"
FOREIGN = "molecule-engine-foreign"

CODENAMES = {BOOKWORM: "bookworm", WITHOUT_SYSTEMD: "trixie", FOREIGN: "trixie"}

# An image of one program and the libraries that it needs, made of the host's own files.
MAKE_IMAGE = """
docker image inspect probe:test >/dev/null 2>&1 ||
tar --create --dereference /usr/bin/sleep $(ldd /usr/bin/sleep | grep --only-matching '/[^ ]*') |
docker import - probe:test
"""


@pytest.fixture
def container(host: Any) -> str:
    """A container that runs on the host's engine, and goes with the host."""
    host.check_output(MAKE_IMAGE)
    name = "probe"
    host.run("docker rm --force %s", name)
    host.check_output("docker run --detach --name %s probe:test /usr/bin/sleep infinity", name)
    return name


def engine(host: Any) -> dict[str, Any]:
    information: dict[str, Any] = json.loads(host.check_output("docker info --format '{{json .}}'"))
    return information


def process(host: Any, container: str) -> str:
    state: str = host.check_output(
        "docker inspect --format '{{.State.Running}} {{.State.Pid}}' %s", container
    )
    return state


def test_host_is_what_it_claims(host: Any, container_name: str) -> None:
    assert host.system_info.codename == CODENAMES[container_name]
    first = host.file("/proc/1/comm").content_string.strip()
    assert first == ("sleep" if container_name == WITHOUT_SYSTEMD else "systemd")


def test_container_runs(host: Any, container: str) -> None:
    assert process(host, container).startswith("true ")


def test_settings(host: Any, container_name: str) -> None:
    settings = json.loads(host.file("/etc/docker/daemon.json").content_string)
    managed = host.file("/etc/ansible/facts.d/docker_engine.fact").exists
    if container_name == FOREIGN:
        assert settings == {"log-driver": "journald"}
        assert engine(host)["LoggingDriver"] == "journald"
        assert not managed
    else:
        assert settings["live-restore"] is True
        assert settings["userland-proxy"] is False
        assert settings["mtu"] == 1400
        assert engine(host)["LiveRestoreEnabled"] is True
        assert managed


def test_starts_with_the_host(host: Any, container_name: str) -> None:
    if container_name == WITHOUT_SYSTEMD:
        # For what reads the links of System V's init; here nothing does.
        assert host.run("ls /etc/rc2.d/S??docker").succeeded
    else:
        assert host.service("docker").is_enabled


def test_containers_outlive_a_restart_of_the_engine(
    host: Any, container: str, container_name: str
) -> None:
    before = process(host, container)
    host.check_output("service docker restart")
    # The init script does not wait for the engine to answer.
    wait_until(lambda: bool(host.run("docker info").succeeded), "the engine answers again")
    after = process(host, container)
    # Whoever does not set live-restore, as here somebody else, loses them.
    assert (after == before) is (container_name != FOREIGN)
