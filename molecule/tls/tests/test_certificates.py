"""Certificates are got, renewed, and never the reason of an outage, whatever the authority does.

The tests are a story, in the order in which they stand here, and clients ask through all of it.
After each event nginx is reloaded, and a handshake shows what it serves.
"""

from __future__ import annotations

import json
import os
import re
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import docker
import httpx
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from testbed.authority import Authority
from testbed.cluster import Cluster
from testbed.mailbox import TO, Mailbox
from testbed.outside import Neighbour, address_of
from testbed.playbook import PlaybookRun, run_playbook, run_script
from testbed.visitors import Visitors
from testbed.waiting import wait_until

from tests.lab.certificates import Authority as OwnAuthority
from tests.lab.gateway import Gateway

HOST = "api.example.test"
FURTHER = "www.example.test"
OWN = "own.example.test"
LAB = "lab.example.test"
WILD = "wild.example.test"
STRAY = "stray.example.test"
BOUND = "bound.example.test"

# What an authority gives its customers beforehand.
KEY_ID = "customer-1"
KEY = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"

STATE = "/opt/freegpt4/letsencrypt"
CERTIFICATES = "/opt/freegpt4/certificates"
METRICS = "/opt/freegpt4/metrics/freegpt4_certificates.prom"

# Of the whole cluster, and certbot's.
IMAGES = ["base", "gateway", "certbot", "egress", "llm-api", "model"]

# Seconds that certificates are valid in the part of the story in which they run out.
SHORT = 60


def ssl_playbook(*names: str, **variables: Any) -> PlaybookRun:
    """Get a certificate for `names` as a user does."""
    arguments = ["-e", json.dumps(variables)] if variables else []
    if names:
        arguments += ["-e", f"domain={','.join(names)}", "-e", "email=admin@example.test"]
    return run_playbook("ssl.yml", *arguments)


def by_cron(cluster: Cluster) -> Any:
    """Do what the installed line of cron does, and return how it ended."""
    lines = cluster.host.check_output("cat /etc/cron.d/freegpt4-certificates").splitlines()
    [line] = [line for line in lines if line and line[0] in "0123456789"]
    command = re.fullmatch(r"\d+ 3,15 \* \* \* root (.*)", line)
    assert command, line
    return cluster.host.run("/bin/sh -c %s", command[1])


def reload(cluster: Cluster) -> None:
    cluster.docker("exec", "gateway", "python3", "-m", "gateway_control", "reload")
    time.sleep(1)


def trusted(authority: Authority) -> ssl.SSLContext:
    """Return the trust of a client that knows the authority."""
    root = authority.root().public_bytes(serialization.Encoding.PEM).decode()
    return ssl.create_default_context(cadata=root)


def assert_up(door: Gateway, authority: Authority, *hosts: str) -> None:
    """Check that `hosts` are served by certificates that a client trusts."""
    with door.client(trusted(authority)) as client:
        for host in hosts:
            assert client.get(f"https://{host}/v1/models").status_code == 200


def served(cluster: Cluster, door: Gateway, host: str = HOST) -> int:
    """Reload nginx, and return the serial number of the certificate it then serves."""
    reload(cluster)
    serial = door.serial(host)
    assert serial is not None
    return serial


def metric(cluster: Cluster, name: str) -> int:
    text = cluster.host.check_output(f"cat {METRICS}")
    found = re.search(rf'^freegpt4_certificate_{name}\{{name="{HOST}"\}} (\d+)$', text, re.M)
    assert found, text
    return int(found[1])


@pytest.fixture(scope="module")
def authority() -> Authority:
    """The authority that the cluster gets its certificates from."""
    return Authority("molecule-tls-ca")


@pytest.fixture(scope="module")
def door(cluster: Cluster) -> Gateway:
    """The gateway as its clients see it."""
    return Gateway("gateway", cluster.address)


@pytest.fixture(scope="module")
def visitors(cluster: Cluster) -> Iterator[Visitors]:
    """Clients that ask until they are stopped."""
    with Visitors(cluster.address, HOST) as visitors:
        yield visitors


@pytest.fixture(scope="module")
def mailbox(outside: Neighbour) -> Mailbox:
    """Who is told of a failure."""
    return Mailbox(outside)


def make_known(cluster: Cluster, authority: Authority) -> None:
    """Let the host itself resolve the names. Docker forgets it when the host restarts."""
    known = f"{cluster.address} {HOST} {FURTHER} {BOUND}\\n{authority.address} {STRAY}\\n"
    cluster.host.check_output(f"printf '{known}' >>/etc/hosts")


@pytest.fixture(scope="module", autouse=True)
def names(cluster: Cluster, authority: Authority) -> None:
    """Let all names point to the cluster, for the authority and for the host itself."""
    for name in (HOST, FURTHER, OWN, LAB, WILD, STRAY, BOUND):
        authority.resolve(name, cluster.address)
    make_known(cluster, authority)


@pytest.fixture(autouse=True)
def busy(visitors: Visitors) -> Iterator[None]:
    """See to it that there are visitors, before and after."""
    before = visitors.answered
    yield
    if not visitors.stopped:
        wait_until(lambda: visitors.answered > before, "visitors are answered")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere.example.test", "nowhere.example.test does not resolve"),
        (STRAY, f"{STRAY} points to"),
    ],
)
def test_a_domain_that_does_not_lead_here_is_refused(
    cluster: Cluster, name: str, message: str
) -> None:
    run = ssl_playbook(name)
    assert run.failed
    assert run.changed == 0, run.output
    assert message in run.output
    assert "Nothing was changed." in run.output
    assert httpx.get(f"{cluster.url}/v1/models").status_code == 200
    assert not cluster.host.file(STATE).exists


def test_a_certificate_is_got_and_served(
    cluster: Cluster, door: Gateway, authority: Authority
) -> None:
    run = ssl_playbook(HOST)
    assert not run.failed, run.output
    wait_until(lambda: httpx.get(door.url).status_code == 308, "HTTP leads to HTTPS")
    assert_up(door, authority, HOST)
    assert httpx.get(f"{door.url}/health").text == "ok\n"
    assert metric(cluster, "renewal_ok") == 1
    assert metric(cluster, "not_after_seconds") > time.time() + 80 * 86400


def test_a_second_run_changes_nothing(cluster: Cluster, door: Gateway) -> None:
    before = served(cluster, door)
    run = ssl_playbook(HOST)
    assert (run.failed, run.changed) == (False, 0), run.output
    assert served(cluster, door) == before
    done = by_cron(cluster)
    assert (done.rc, done.stderr) == (0, "")
    assert served(cluster, door) == before


def test_a_check_run_changes_nothing_and_shows_no_key() -> None:
    run = run_playbook(
        "ssl.yml", "--check", "--diff", "-e", f"domain={HOST}", "-e", "email=admin@example.test"
    )
    assert (run.failed, run.changed) == (False, 0), run.output
    assert "PRIVATE KEY" not in run.output


def test_deploying_the_gateway_again_keeps_tls(door: Gateway, authority: Authority) -> None:
    run = run_playbook("molecule/tls/converge.yml")
    assert (run.failed, run.changed) == (False, 0), run.output
    assert_up(door, authority, HOST)


def test_keys_are_for_nobody_else(cluster: Cluster) -> None:
    keys = cluster.host.check_output(f"find {STATE} {CERTIFICATES} -name '*.pem' -path '*key*'")
    assert keys
    modes = cluster.host.check_output(
        f"find {STATE} {CERTIFICATES} -name '*privkey*' -type f -printf '%m %U\\n'"
    )
    assert set(modes.splitlines()) == {"600 65532"}
    logs = "cat /opt/freegpt4/logs/certbot/* /opt/freegpt4/logs/gateway/*; docker logs gateway 2>&1"
    assert "PRIVATE KEY" not in cluster.host.check_output(logs)


def test_own_and_self_signed_certificates(cluster: Cluster, door: Gateway) -> None:
    own = OwnAuthority().issue([OWN])
    certificates = [
        {"domains": [OWN], "source": "files", "chain": own.chain.decode(), "key": own.key.decode()},
        {"domains": [LAB], "source": "self_signed"},
    ]
    run = ssl_playbook(certbot_certificates=certificates)
    assert not run.failed, run.output
    assert "PRIVATE KEY" not in run.output
    assert served(cluster, door, OWN) == own.serial
    assert served(cluster, door, LAB)
    spoilt = certificates[0] | {"key": OwnAuthority().issue([OWN]).key.decode()}
    run = ssl_playbook(certbot_certificates=[spoilt])
    assert run.failed
    assert "the key does not belong to the certificate" in run.output
    assert served(cluster, door, OWN) == own.serial


def test_a_wildcard_by_dns(door: Gateway, authority: Authority, tmp_path: Path) -> None:
    text = (Path(os.environ["MOLECULE_SCENARIO_DIRECTORY"]) / "dns-hook").read_text()
    hook = tmp_path / "hook"
    hook.write_text(text.replace("AUTHORITY:", f"{authority.address}:"))
    run = ssl_playbook(WILD, f"*.{WILD}", certbot_dns_plugin="manual", certbot_dns_hook=str(hook))
    assert not run.failed, run.output
    assert_up(door, authority, WILD, f"any.{WILD}")


def wait_until_gone(door: Gateway, host: str) -> None:
    wait_until(lambda: door.serial(host) is None, f"{host} is served no longer")


def test_revoked_is_served_no_longer(door: Gateway, authority: Authority) -> None:
    serial = door.serial(WILD)
    assert serial
    run = run_playbook(
        "playbooks/ssl_revoke.yml", "-e", f"domain={WILD}", "-e", "reason=keycompromise"
    )
    assert not run.failed, run.output
    assert authority.is_revoked(serial)
    wait_until_gone(door, WILD)


def test_deleted_is_served_no_longer(cluster: Cluster, door: Gateway) -> None:
    for name, changed in ((LAB, 1), (LAB, 0), (OWN, 1)):
        assert served(cluster, door, OWN)
        run = run_playbook("playbooks/ssl_delete.yml", "-e", f"domain={name}")
        assert (run.failed, run.changed) == (False, changed), run.output
        wait_until_gone(door, name)


def test_a_name_is_added_though_the_authority_has_lost_the_account(
    cluster: Cluster, door: Gateway, authority: Authority, mailbox: Mailbox
) -> None:
    before = served(cluster, door)
    authority.issue_for(SHORT)
    run = ssl_playbook(HOST, FURTHER, **mailbox.settings)
    assert not run.failed, run.output
    assert served(cluster, door) != before
    assert served(cluster, door, FURTHER) == served(cluster, door)
    assert "accountDoesNotExist" in cluster.host.check_output(
        "cat /opt/freegpt4/logs/certbot/letsencrypt.log"
    )


def wait_until_due(door: Gateway) -> None:
    """Wait until what is served has had two thirds of its life."""
    wait_until(lambda: share_of_life(door) > 0.7, "it is due", SHORT)


def share_of_life(door: Gateway) -> float:
    certificate = door.certificate(HOST)
    life = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    return (datetime.now(UTC) - certificate.not_valid_before_utc) / life


def test_near_its_end_it_is_renewed(cluster: Cluster, door: Gateway, authority: Authority) -> None:
    assert by_cron(cluster).rc == 0
    wait_until_due(door)
    before = served(cluster, door)
    done = by_cron(cluster)
    assert done.rc == 0, done.stderr
    assert served(cluster, door) != before
    assert_up(door, authority, HOST, FURTHER)


@contextmanager
def silent_authority(cluster: Cluster, authority: Authority) -> Iterator[None]:
    rule = f"DOCKER-USER --destination {authority.address} --jump DROP"
    cluster.host.check_output(f"iptables --insert {rule}")
    try:
        yield
    finally:
        cluster.host.check_output(f"iptables --delete {rule}")


@contextmanager
def wrong_address(cluster: Cluster, authority: Authority) -> Iterator[None]:
    authority.resolve(HOST, authority.address)
    try:
        yield
    finally:
        authority.resolve(HOST, cluster.address)


@contextmanager
def failing_name_server(_: Cluster, authority: Authority) -> Iterator[None]:
    authority.servfail(HOST, on=True)
    try:
        yield
    finally:
        authority.servfail(HOST, on=False)


@contextmanager
def full_disk(cluster: Cluster, _: Authority) -> Iterator[None]:
    """Lay a disk that has no room left over the state, with what is there."""
    run = cluster.host.check_output
    run(f"cp --archive {STATE} {STATE}.kept")
    run(f"mount -t tmpfs -o size=1m,mode=0700,uid=65532,gid=65532 tmpfs {STATE}")
    run(f"cp --archive {STATE}.kept/. {STATE}/")
    run(f"dd if=/dev/zero of={STATE}/filling bs=4k 2>/dev/null || true")
    try:
        yield
    finally:
        run(f"umount {STATE}; rm --recursive {STATE}.kept")


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (wrong_address, "the authority gave no certificate"),
        (failing_name_server, "the authority gave no certificate"),
        (full_disk, "No space left on device"),
        (silent_authority, "the authority gave no certificate"),
    ],
)
def test_a_failed_renewal_leaves_the_last_good_certificate(
    cluster: Cluster,
    door: Gateway,
    authority: Authority,
    mailbox: Mailbox,
    *,
    fault: Any,
    said: str,
) -> None:
    before = served(cluster, door)
    wait_until_due(door)
    mailbox.empty()
    with fault(cluster, authority):
        done = by_cron(cluster)
        assert done.rc == 1, done
        assert HOST in done.stderr
        assert said in done.stderr, done.stderr
        assert metric(cluster, "renewal_ok") == 0
        assert served(cluster, door) == before
    assert said in json.loads(mailbox.webhook)["text"]
    assert f"To: {TO}" in mailbox.mail
    assert f"{HOST}: " in mailbox.mail
    assert "ERROR" in cluster.host.check_output("cat /opt/freegpt4/logs/certbot/certificates.log")


def test_expired_it_is_still_served_and_then_renewed(
    cluster: Cluster, door: Gateway, authority: Authority
) -> None:
    wait_until(lambda: share_of_life(door) > 1, "it has expired", SHORT)
    before = served(cluster, door)
    authority.issue_for(90 * 86400)
    done = by_cron(cluster)
    assert done.rc == 0, done.stderr
    assert served(cluster, door) != before
    assert_up(door, authority, HOST, FURTHER)
    assert metric(cluster, "renewal_ok") == 1


def test_a_junk_key_in_the_deployed_place(
    cluster: Cluster, door: Gateway, authority: Authority
) -> None:
    folder = cluster.host.check_output(f"ls -d {CERTIFICATES}/{HOST}/2* | tail -1")
    before = served(cluster, door)
    cluster.host.check_output(f"echo junk >{folder}/privkey.pem")
    assert served(cluster, door)
    done = by_cron(cluster)
    assert done.rc == 0, done.stderr
    assert served(cluster, door) == before
    assert_up(door, authority, HOST)


def test_all_of_it_cost_no_request(visitors: Visitors, capfd: pytest.CaptureFixture[str]) -> None:
    visitors.stop()
    with capfd.disabled():
        print(f"\n  {visitors.answered} requests, {len(visitors.failures)} lost", flush=True)
    assert visitors.failures == []
    assert visitors.answered > 500


def test_a_reboot_brings_it_all_back(
    cluster: Cluster, door: Gateway, authority: Authority, container_name: str
) -> None:
    before = served(cluster, door)
    client = docker.from_env()
    machine = client.containers.get(container_name)
    machine.restart(timeout=60)
    assert address_of(machine) == cluster.address
    client.close()
    wait_until(cluster.answers, "the gateway answers")
    assert served(cluster, door) == before
    # Those of the tests do not restart by themselves.
    cluster.docker("start", "api1", "api2")
    assert_up(door, authority, HOST, FURTHER)
    cluster.host.check_output("systemctl is-active cron")
    make_known(cluster, authority)


def test_a_timer_of_systemd_does_the_same(cluster: Cluster) -> None:
    run = ssl_playbook(HOST, FURTHER, certbot_renewal_timer="systemd")
    assert not run.failed, run.output
    assert not cluster.host.file("/etc/cron.d/freegpt4-certificates").exists
    cluster.host.check_output("systemctl is-active freegpt4-certificates.timer")
    cluster.host.check_output("systemctl start freegpt4-certificates.service")
    assert metric(cluster, "renewal_ok") == 1


def test_the_script_deploys_the_whole_cluster(
    cluster: Cluster, door: Gateway, authority: Authority, tmp_path: Path
) -> None:
    """What was there before are replicas that only answer."""
    before = served(cluster, door)
    cluster.docker("rm", "--force", "api1", "api2")
    root = tmp_path / "root.pem"
    root.write_bytes(authority.root().public_bytes(serialization.Encoding.PEM))
    run = run_script(
        "scripts/start-cluster-ssl.sh",
        f"{HOST},{FURTHER}",
        "admin@example.test",
        URL=cluster.url,
        REQUESTS_CA_BUNDLE=str(root),
        ARGS=f"-e '{json.dumps({'images_names': IMAGES})}'",
    )
    assert not run.failed, run.output
    assert "First token after" in run.output
    assert f"The cluster answers at https://{HOST}/v1" in run.output
    assert_up(door, authority, HOST, FURTHER)
    assert served(cluster, door) == before


def test_an_authority_that_knows_its_customers(
    cluster: Cluster, door: Gateway, authority: Authority
) -> None:
    authority.want_binding(KEY_ID, KEY)
    run = ssl_playbook(BOUND)
    assert run.failed
    assert "external account binding" in run.output.lower(), run.output
    run = ssl_playbook(BOUND, certbot_eab_key_id=KEY_ID, certbot_eab_hmac_key=KEY)
    assert not run.failed, run.output
    assert KEY not in run.output
    assert served(cluster, door, BOUND)
    assert_up(door, authority, BOUND)


def test_the_key_is_one_of_p_256(door: Gateway) -> None:
    key = door.certificate(HOST).public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert isinstance(key.curve, ec.SECP256R1)


def test_without_any_certificate_it_answers_by_http(cluster: Cluster, door: Gateway) -> None:
    for name in (HOST, BOUND):
        run = run_playbook("playbooks/ssl_delete.yml", "-e", f"domain={name}")
        assert (run.failed, run.changed) == (False, 1), run.output
    wait_until(
        lambda: httpx.get(f"{cluster.url}/v1/models").status_code == 200, "HTTP leads nowhere"
    )
    assert door.serial(HOST) is None
