"""An unfit host is refused before anything is changed, by a message that names the remedy.

Bad variables, which need no host, are refused in the tests of the playbooks.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from testbed.playbook import run_site
from testbed.waiting import wait_until


@pytest.fixture(autouse=True)
def fresh(host: Any) -> Iterator[None]:
    """See to it that the host is as fresh after a refusal as before it."""
    before = traces(host)
    yield
    assert traces(host) == before


def traces(host: Any) -> str:
    """Return what a deployment would begin with: packages, settings and folders of its own."""
    found: str = host.check_output("dpkg-query --show; ls -A /etc/docker /etc/ansible /opt || true")
    return found


def assert_refused(*parts: str, arguments: tuple[str, ...] = ()) -> None:
    """Deploy, and expect a refusal that says all of `parts`."""
    run = run_site(*arguments)
    assert run.failed, run.output
    assert run.changed == 0, run.output
    for part in parts:
        assert part in run.output


@contextmanager
def replaced(host: Any, path: str, content: str) -> Iterator[None]:
    """Give the file `path` another content for a while."""
    host.check_output("cp --preserve %s %s.kept", path, path)
    try:
        host.check_output("printf '%%s' %s > %s", content, path)
        yield
    finally:
        host.check_output("mv %s.kept %s", path, path)


def test_not_debian(host: Any) -> None:
    ubuntu = 'NAME="Ubuntu"\nID=ubuntu\nID_LIKE=debian\nVERSION_ID="24.04"\n'
    with replaced(host, "/etc/os-release", ubuntu):
        assert_refused("runs Ubuntu 24.04", "needs Debian 12 or 13")


def test_old_debian(host: Any) -> None:
    with replaced(host, "/etc/debian_version", "11.9\n"):
        old = 'NAME="Debian GNU/Linux"\nID=debian\nVERSION_ID="11"\nVERSION_CODENAME=bullseye\n'
        with replaced(host, "/etc/os-release", old):
            assert_refused("runs Debian 11", "needs Debian 12 or 13")


def test_port_in_use(host: Any) -> None:
    host.check_output("systemd-run --unit=squatter --collect python3 -m http.server 80")
    try:
        wait_until(lambda: bool(host.addr("127.0.0.1").port(80).is_reachable), "it listens")
        assert_refused("Port 80 of molecule-refusals is taken", "gateway_http_port")
    finally:
        host.check_output("systemctl stop squatter")


def test_too_little_disk() -> None:
    # A need that no disk meets is the same as a disk that is too small.
    needed = 100_000_000
    assert_refused(
        "/var/lib has",
        f"{needed} MB are needed",
        arguments=("-e", f"validate_disk_free_mb={needed}"),
    )


def test_no_mirror(host: Any) -> None:
    [path] = host.check_output("find /etc/apt -name '*.list' -o -name '*.sources'").split()
    with replaced(host, path, "deb http://mirror.invalid/debian trixie main\n"):
        assert_refused("reaches none of the Debian mirrors", "mirror.invalid")


def test_no_python(host: Any) -> None:
    host.check_output("mv /usr/bin/python3 /usr/bin/python3.kept")
    try:
        assert_refused("has no /usr/bin/python3", "apt-get install python3")
    finally:
        host.check_output("mv /usr/bin/python3.kept /usr/bin/python3")


def test_no_sudo() -> None:
    assert_refused(
        "may not become root with sudo",
        "ask-become-pass",
        # By SSH, who has no shell does not even log in.
        arguments=("-e", "ansible_connection=community.docker.docker", "-e", "ansible_user=nobody"),
    )
