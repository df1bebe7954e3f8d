"""Two hosts are one cluster: any of them answers for all, and one that goes takes nothing along.

The tests build upon one another, as what happens to a cluster does.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import docker
import httpx
import pytest
import testinfra
from testbed.cluster import Cluster
from testbed.load import Load
from testbed.machine import machine
from testbed.outside import Neighbour, address_of, neighbour
from testbed.playbook import PlaybookRun, run_playbook
from testbed.releases import running
from testbed.traffic import Traffic
from testbed.waiting import wait_until

HOSTS = ["molecule-hosts-1", "molecule-hosts-2"]

# What the inventory of the scenario gets, and both hosts are a cluster.
BOTH = f"--inventory={os.environ['MOLECULE_SCENARIO_DIRECTORY']}/both/hosts.yml"

# Of each host, as their inventory has it: the second has twice the weight of the first.
TURN = {"api1": 1, "api2": 1, "api101": 2, "api102": 2}

# Seconds within which a setting or a token of one replica has reached all others.
SECONDS_TO_SPREAD = 2

# Seconds within which a gateway leaves out the replicas of a host that has gone.
SECONDS_TO_LEAVE_OUT = 11

CABLE_PORT = 51821


@pytest.fixture(scope="module")
def clusters() -> list[Cluster]:
    """The cluster, as it is seen from each host."""
    client = docker.from_env()
    return [
        Cluster(testinfra.get_host(f"docker://{name}"), address_of(client.containers.get(name)))
        for name in HOSTS
    ]


@pytest.fixture(scope="module")
def stranger() -> Iterator[Neighbour]:
    """A machine beside the hosts."""
    with neighbour(HOSTS[0]) as machine:
        yield machine


def run(playbook: str, *arguments: str) -> PlaybookRun:
    """Run `playbook` on both hosts."""
    return run_playbook(playbook, BOTH, *arguments)


def create_token(cluster: Cluster, replica: str, name: str) -> str:
    """Let `replica` make a token, and return its secret."""
    return cluster.docker("exec", replica, "python", "-m", "llm_api.tokens", "create", name)


def names_of_tokens(cluster: Cluster, replica: str) -> set[str]:
    """Return the names of the tokens that `replica` knows."""
    listed = cluster.docker("exec", replica, "python", "-m", "llm_api.tokens", "list")
    return {json.loads(line)["name"] for line in listed.splitlines()}


def test_a_second_host_costs_nothing_and_knows_all(clusters: list[Cluster], report: Any) -> None:
    first, second = clusters
    create_token(first, "api1", "from-before")
    start = time.monotonic()
    with Traffic(first.url, gets=2, chats=1, pause=0.4) as traffic:
        grown = run("site.yml")
    assert not grown.failed, grown.output
    report(f"a second host: {time.monotonic() - start:.0f} s, {dict(traffic.succeeded)} answered")
    assert traffic.failures == []
    assert traffic.succeeded["get"] > 20
    for cluster, replica in ((first, "api1"), (second, "api101")):
        assert "from-before" in names_of_tokens(cluster, replica)


def test_every_gateway_asks_the_replicas_of_all_hosts_by_their_weights(
    clusters: list[Cluster],
) -> None:
    for cluster in clusters:
        assert cluster.get_models(12) == {name: 2 * weight for name, weight in TURN.items()}


def test_containers_reach_those_of_other_hosts_and_nothing_else(clusters: list[Cluster]) -> None:
    first, second = clusters
    assert first.probe("api1").reaches("10.213.2.3", 8080), "the model of the other host"
    assert second.probe("api101").reaches("10.213.1.5", 5432), "the database"
    for address in (second.address, first.address, "10.214.0.2", "10.213.2.1"):
        assert not first.probe("api1").reaches(address, 80)


def test_nobody_else_gets_into_the_internal_network(
    clusters: list[Cluster], stranger: Neighbour
) -> None:
    first, _ = clusters
    chain = "iptables --table raw --list-rules PREROUTING --verbose"

    def dropped() -> int:
        (rule,) = [line for line in first.host.check_output(chain).splitlines() if "DROP" in line]
        return int(rule.split()[rule.split().index("-c") + 1])

    before = dropped()
    send = "import socket; socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', {!r})"
    stranger.run(["python3", "-c", send.format((first.address, CABLE_PORT))])
    assert dropped() == before + 1


def test_a_host_talks_to_another_one_in_ciphers_only(clusters: list[Cluster]) -> None:
    for cluster in clusters:
        shown = cluster.host.check_output("wg show freegpt4 transfer").split("\t")
        assert all(int(number) > 10_000 for number in shown[1:])
        # The cable has no other way than by WireGuard.
        cable = cluster.host.check_output("ip -details link show freegpt4-l2")
        assert " dev freegpt4 " in cable


def test_what_one_host_is_told_the_others_know(clusters: list[Cluster]) -> None:
    first, second = clusters
    token = create_token(first, "api1", "anywhere")
    time.sleep(SECONDS_TO_SPREAD)
    assert second.get_models(6, token) == TURN
    assert "anywhere" in names_of_tokens(second, "api101")
    password = "/opt/freegpt4/secrets/llm-api/admin_password"
    assert first.host.file(password).content == second.host.file(password).content


def test_an_authority_finds_a_challenge_at_any_host(clusters: list[Cluster]) -> None:
    _, second = clusters
    folder = "/opt/freegpt4/acme/.well-known/acme-challenge"
    second.host.check_output(
        f"install -d -o 65532 {folder} && echo proof >{folder}/token && chown 65532 {folder}/token"
    )
    for cluster in clusters:
        path = f"{cluster.url}/.well-known/acme-challenge"
        assert httpx.get(f"{path}/token", timeout=10).text == "proof\n"
        assert httpx.get(f"{path}/other", timeout=10).status_code == 404
    second.host.check_output(f"rm {folder}/token")


def test_a_second_run_changes_nothing() -> None:
    again = run("site.yml")
    assert not again.failed, again.output
    assert again.changed == 0, again.output


def test_a_release_goes_from_host_to_host_and_costs_nothing(clusters: list[Cluster]) -> None:
    before = [running(cluster) for cluster in clusters]
    with ExitStack() as stack:
        everywhere = [
            stack.enter_context(Traffic(cluster.url, gets=1, chats=1, pause=0.4))
            for cluster in clusters
        ]
        changed = run("playbooks/deploy.yml", "--extra-vars", "llm_api_log_level=WARNING")
    assert not changed.failed, changed.output
    for traffic in everywhere:
        assert traffic.failures == []
        assert traffic.succeeded["get"] > 20
    after = [running(cluster) for cluster in clusters]
    assert [list(of) for of in after] == [["api1", "api2"], ["api101", "api102"]]
    assert set(after[0].values()).isdisjoint(before[0].values())
    for cluster in clusters:
        assert "admit" not in cluster.docker("exec", "gateway", "cat", "/tmp/gateway.steering")
        assert cluster.get_models(6) == TURN


def test_a_backup_of_the_first_host_brings_back_what_all_of_them_knew(
    clusters: list[Cluster], tmp_path: Path, report: Any
) -> None:
    first, second = clusters
    secret = ["--extra-vars", json.dumps({"backup_passphrase": "a canary in a coal mine"})]
    folder = ["--extra-vars", json.dumps({"backup_fetch_directory": str(tmp_path)})]
    create_token(first, "api1", "before-the-backup")
    made = run("playbooks/backup.yml", *secret, *folder)
    assert not made.failed, made.output
    (archive,) = tmp_path.glob(f"freegpt4-{HOSTS[0]}-*.tar.gz.gpg")
    (_other,) = tmp_path.glob(f"freegpt4-{HOSTS[1]}-*.tar.gz.gpg")
    create_token(second, "api101", "after-the-backup")
    start = time.monotonic()
    chosen = [f"--limit={HOSTS[0]}", "--extra-vars", f"backup_archive={archive}"]
    # Those of the other host serve meanwhile, on each host.
    with Traffic(second.url, gets=2, chats=1, pause=0.4) as traffic:
        restored = run(
            "playbooks/restore.yml", *chosen, *secret, "--extra-vars", "restore_confirm=true"
        )
    assert not restored.failed, restored.output
    report(f"restored: {time.monotonic() - start:.0f} s, {dict(traffic.succeeded)} answered")
    assert traffic.failures == []
    for cluster, replica in ((first, "api1"), (second, "api101")):
        names = names_of_tokens(cluster, replica)
        assert "before-the-backup" in names
        assert "after-the-backup" not in names
        assert cluster.get_models(6) == TURN


@pytest.mark.parametrize("lost", [1, 0], ids=["the second host", "the host of the database"])
def test_a_host_that_goes_is_left_out_and_comes_back(
    clusters: list[Cluster], report: Any, lost: int
) -> None:
    stays, name = clusters[1 - lost], HOSTS[lost]
    with machine(name) as gone:
        with Load(stays.address, posts=2, streams=0) as load:
            time.sleep(3)
            gone.cut_power()
            cut = time.monotonic()
            time.sleep(SECONDS_TO_LEAVE_OUT + 5)
        report(load.report(f"{name} lost"))
        # Each client may have one request on the host that has gone, and no more than that.
        assert load.failures(since=cut + SECONDS_TO_LEAVE_OUT) == []
        assert len(load.failures()) <= 2
        mine = {f"api{100 * (1 - lost) + place}" for place in (1, 2)}
        assert set(stays.get_models(6)) == mine
        gone.turn_on()
    wait_until(lambda: all(c.serves() for c in clusters), "its gateway answers", 120)
    wait_until(lambda: all(c.get_models(6) == TURN for c in clusters), "all are asked again", 60)


def test_one_host_that_is_left_keeps_the_state(clusters: list[Cluster], report: Any) -> None:
    first, _ = clusters
    token = create_token(first, "api1", "for-later")
    refused = run_playbook("site.yml")
    assert refused.failed
    assert refused.changed == 0
    assert "Set cluster_postgres to true" in refused.output
    start = time.monotonic()
    with Traffic(first.url, gets=2, chats=1, pause=0.4) as traffic:
        shrunk = run_playbook("site.yml", "--extra-vars", "cluster_postgres=true")
    assert not shrunk.failed, shrunk.output
    report(f"one host again: {time.monotonic() - start:.0f} s, {dict(traffic.succeeded)} answered")
    assert traffic.failures == []
    assert first.get_models(4, token) == {"api1": 2, "api2": 2}
    assert not first.host.file("/etc/wireguard/freegpt4.conf").exists
