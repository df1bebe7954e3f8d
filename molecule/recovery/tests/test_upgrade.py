"""The packages of a host are upgraded, its engine starts anew, and no client notices."""

from __future__ import annotations

from testbed.cluster import Cluster
from testbed.playbook import run_playbook
from testbed.traffic import Traffic

UPGRADE = "playbooks/upgrade.yml"
PID_FILE = "/run/docker.pid"
REBOOT_REQUIRED = "/run/reboot-required"

# A package that does to the engine what an upgrade of the engine's own does: its first version
# is installed, and its second one is to be had.
_PACKAGE = r"""
set -e
mkdir -p /srv/packages
cd /srv/packages
for version in 1 2; do
    mkdir -p made/DEBIAN
    {
        printf 'Package: engine-twin\nVersion: %s\nArchitecture: all\n' $version
        printf 'Maintainer: tests\nDescription: starts the engine anew\n'
    } >made/DEBIAN/control
    printf '#!/bin/sh\n[ "$2" = "" ] || systemctl restart docker\n' >made/DEBIAN/postinst
    chmod 0755 made/DEBIAN/postinst
    dpkg-deb --root-owner-group --build made engine-twin-$version.deb >/dev/null
done
dpkg --install engine-twin-1.deb >/dev/null
{
    dpkg-deb --field engine-twin-2.deb
    echo Filename: ./engine-twin-2.deb
    echo Size: $(stat --format %s engine-twin-2.deb)
    echo SHA256: $(sha256sum engine-twin-2.deb | cut -d' ' -f1)
} >Packages
echo 'deb [trusted=yes] file:/srv/packages ./' >/etc/apt/sources.list.d/twin.list
"""


def test_an_upgrade_of_the_engine_costs_no_request(cluster: Cluster) -> None:
    cluster.host.run_expect([0], "/bin/sh -c %s", _PACKAGE)
    started = cluster.start_times()
    before = cluster.host.file(PID_FILE).content_string
    with Traffic(cluster.url, gets=2, chats=1) as traffic:
        run = run_playbook(UPGRADE)
    assert not run.failed, run.output
    assert "2" in cluster.host.check_output("dpkg-query --show engine-twin")
    assert cluster.host.file(PID_FILE).content_string != before
    assert traffic.failures == []
    assert traffic.succeeded["get"] > 20
    assert cluster.start_times() == started
    again = run_playbook(UPGRADE)
    assert (again.failed, again.changed) == (False, 0), again.output
    assert "upgrade_reboot" not in again.output


def test_a_host_that_wants_a_reboot_is_named(cluster: Cluster, container_name: str) -> None:
    cluster.host.check_output(f"touch {REBOOT_REQUIRED}")
    run = run_playbook(UPGRADE)
    cluster.host.check_output(f"rm {REBOOT_REQUIRED}")
    assert (run.failed, run.changed) == (False, 0), run.output
    assert f"{container_name} wants a reboot" in run.output
    assert "upgrade_reboot=true" in run.output
