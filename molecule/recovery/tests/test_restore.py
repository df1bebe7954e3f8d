"""A cluster is backed up under writes, destroyed, and restored on another host.

The tests are a story, in the order in which they stand here, and its end is that there is no
cluster on the first host any more: this file comes last.
"""

from __future__ import annotations

import json
import os
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

import docker
import pytest
import testinfra
from testbed.cluster import Cluster
from testbed.lock import HOLDER, LOCK, hold_lock
from testbed.outside import address_of
from testbed.playbook import PlaybookRun, run_playbook
from testbed.waiting import wait_until
from testbed.writers import Writers, digests_of, tokens_in_database

from tests.lab.certificates import Authority
from tests.lab.gateway import Gateway

SPARE = "molecule-recovery-spare"
PASSPHRASE = "canary with blanks, and more"
HOST = "api.example.test"
CERTIFICATES = f"/opt/freegpt4/certificates/{HOST}"
PASSWORD = "/opt/freegpt4/secrets/llm-api/admin_password"
BACKUP = "/opt/freegpt4/bin/backup"
ARCHIVE = "/srv/archive"
ELSEWHERE = "/srv/elsewhere"

# A program that makes backups of a format that is yet to come.
NEWER = """
import sys
from cluster_backup import manifest
from cluster_backup.__main__ import main
manifest.FORMAT += 1
sys.exit(main())
"""


@dataclass(frozen=True)
class Made:
    """A backup.

    Attributes:
        path: the archive on the control node.
        serial: number of the certificate that was served.
        secrets: of the tokens that were there before it was made.
        password: the administrator's first.
    """

    path: Path
    serial: int
    secrets: list[str]
    password: str


def restore(*arguments: str, passphrase: str = PASSPHRASE) -> PlaybookRun:
    """Restore on the spare host, as a user does."""
    scenario = Path(os.environ["MOLECULE_SCENARIO_DIRECTORY"])
    variables = json.dumps({"backup_passphrase": passphrase})
    return run_playbook(
        "playbooks/restore.yml",
        f"--inventory={scenario / 'spare/hosts.yml'}",
        f"--limit={SPARE}",
        "--extra-vars",
        variables,
        *arguments,
    )


@pytest.fixture(scope="module")
def authority() -> Authority:
    """Issues the certificate."""
    return Authority()


@pytest.fixture(scope="module")
def spare() -> Cluster:
    """The host on which the cluster is restored."""
    client = docker.from_env()
    address = address_of(client.containers.get(SPARE))
    client.close()
    return Cluster(testinfra.get_host(f"docker://{SPARE}"), address)


@pytest.fixture(scope="module")
def made(
    cluster: Cluster,
    container_name: str,
    authority: Authority,
    tmp_path_factory: pytest.TempPathFactory,
) -> Made:
    """A backup of the cluster with a certificate, made while tokens are."""
    folder = tmp_path_factory.mktemp("backup")
    issued = authority.issue([HOST])
    issued.write(folder / "version", [HOST])
    cluster.host.check_output(f"mkdir --parents {CERTIFICATES}")
    target = f"{container_name}:{CERTIFICATES}/20261125T120000Z"
    subprocess.run(["docker", "cp", str(folder / "version"), target], check=True)
    cluster.host.check_output("chown --recursive 65532:65532 /opt/freegpt4/certificates")
    with Writers(container_name, ["api1", "api2"]) as writers:
        wait_until(lambda: len(writers.acknowledged) > 1, "tokens are made")
        secrets = list(writers.acknowledged)
        run = run_playbook(
            "playbooks/backup.yml",
            "--extra-vars",
            json.dumps({"backup_passphrase": PASSPHRASE, "backup_fetch_directory": str(folder)}),
        )
        assert len(writers.acknowledged) > len(secrets)
    assert not run.failed, run.output
    assert "canary" not in run.output
    [path] = folder.glob("freegpt4-molecule-recovery-*.tar.gz.gpg")
    return Made(path, issued.serial, secrets, cluster.host.check_output(f"cat {PASSWORD}"))


def test_the_archive_is_nobody_elses(cluster: Cluster, made: Made) -> None:
    assert made.path.stat().st_mode & 0o777 == 0o600
    kept = cluster.host.file(f"/var/backups/freegpt4/{made.path.name}")
    assert (kept.mode, kept.user) == (0o600, "root")
    metrics = cluster.host.file("/opt/freegpt4/metrics/freegpt4_backup.prom").content_string
    assert "freegpt4_backup_ok 1" in metrics
    assert f"freegpt4_backup_size_bytes {made.path.stat().st_size}" in metrics


def test_the_schedule_makes_one_too(cluster: Cluster) -> None:
    cluster.host.check_output(f"mkdir {ELSEWHERE}")
    copy = {"backup_copy_command": ["cp", "{archive}", ELSEWHERE]}
    schedule = {"backup_passphrase": PASSPHRASE, "backup_hours": [3], "backup_keep": 1}
    variables = json.dumps(schedule | copy)
    run = run_playbook("site.yml", "--tags", "backup", "--extra-vars", variables)
    assert not run.failed, run.output
    again = run_playbook("site.yml", "--tags", "backup", "--extra-vars", variables)
    assert again.changed == 0, again.output
    assert "canary" not in again.output
    [line] = cluster.host.check_output("grep '^[0-9]' /etc/cron.d/freegpt4-backup").splitlines()
    minute, hours, *_, command = line.split(" ", 6)
    assert (0 <= int(minute) < 60, hours) == (True, "3")
    before = cluster.host.check_output("ls /var/backups/freegpt4")
    cluster.host.run_expect([0], "/bin/sh -c %s", command)
    after = cluster.host.check_output("ls /var/backups/freegpt4")
    # One is kept.
    assert len(after.split()) == 1
    assert after != before
    assert cluster.host.check_output(f"ls {ELSEWHERE}") == after


def test_what_cannot_be_restored_changes_nothing(
    cluster: Cluster, spare: Cluster, container_name: str, made: Made
) -> None:
    wrong = restore("-e", f"backup_archive={made.path}", passphrase="canary of another")
    assert wrong.failed
    assert "the passphrase is not the one that the archive was made with" in wrong.output
    assert "canary" not in wrong.output
    damaged = bytearray(made.path.read_bytes())
    damaged[len(damaged) // 2] ^= 0xFF
    assert_refused(spare, bytes(damaged), "the archive is damaged")
    cluster.host.check_output("mkdir --parents /srv/newer")
    settings = json.loads(
        cluster.host.check_output("cat /opt/freegpt4/lib/backup/settings.json")
    ) | {"directory": "/srv/newer"}
    cluster.host.check_output("echo %s > /srv/newer.json", json.dumps(settings))
    newer = cluster.host.check_output(
        "echo %s | PYTHONPATH=/opt/freegpt4/lib/backup python3 -c %s"
        " --settings /srv/newer.json create",
        PASSPHRASE,
        NEWER,
    )
    copied = made.path.with_name("newer")
    subprocess.run(["docker", "cp", f"{container_name}:{newer}", str(copied)], check=True)
    assert_refused(spare, copied.read_bytes(), "of a newer version: its format is 2")
    for folder in ("data", "secrets", "certificates"):
        assert not spare.host.file(f"/opt/freegpt4/{folder}").exists


def test_nothing_is_restored_while_somebody_deploys(spare: Cluster, made: Made) -> None:
    hold_lock(spare)
    run = restore("-e", f"backup_archive={made.path}")
    assert run.failed
    assert f"{HOLDER} has been deploying" in run.output
    assert HOLDER in spare.host.file(LOCK).content_string
    assert not spare.host.file("/opt/freegpt4/data").exists
    spare.host.check_output(f"rm {LOCK}")


def assert_refused(spare: Cluster, content: bytes, reason: str) -> None:
    """Expect the spare host to refuse an archive, with the command that the playbook runs."""
    subprocess.run(
        ["docker", "exec", "-i", SPARE, "sh", "-c", f"cat > {ARCHIVE}"], input=content, check=True
    )
    result = spare.host.run(
        f"echo %s | {BACKUP} restore --schema 0001 --confirm {ARCHIVE}", PASSPHRASE
    )
    assert result.rc == 1
    assert reason in result.stderr


def test_the_cluster_is_restored_on_another_host(
    cluster: Cluster, spare: Cluster, made: Made, authority: Authority
) -> None:
    destroyed = run_playbook(
        "playbooks/teardown.yml", "-e", "teardown_confirm=true", "-e", "teardown_data=true"
    )
    assert not destroyed.failed, destroyed.output
    assert not cluster.host.file("/opt/freegpt4").exists
    assert not cluster.host.file("/etc/cron.d/freegpt4-autoheal").exists
    assert not cluster.host.file("/etc/cron.d/freegpt4-backup").exists
    run = restore("-e", f"backup_archive={made.path}")
    assert not run.failed, run.output
    assert digests_of(made.secrets) <= tokens_in_database(spare)
    assert spare.host.check_output(f"cat {PASSWORD}") == made.password
    door = Gateway("gateway", spare.address)
    assert door.serial(HOST) == made.serial
    trust = ssl.create_default_context(cadata=authority.root_pem.decode())
    with door.client(trust) as client:
        who = {"Authorization": f"Bearer {made.secrets[0]}"}
        assert client.get(f"https://{HOST}/v1/models", headers=who).status_code == 200


def test_nothing_is_replaced_without_a_word(spare: Cluster, made: Made) -> None:
    later = spare.docker("exec", "api1", "python", "-m", "llm_api.tokens", "create", "later")
    run = restore("-e", f"backup_archive={made.path}")
    assert run.failed
    kept = [f"/opt/freegpt4/{part}" for part in ("certificates", "data/llm-api", "secrets/llm-api")]
    assert f"this would replace {', '.join(kept)}" in run.output
    assert "restore_confirm=true" in run.output
    assert digests_of([later]) <= tokens_in_database(spare)


def test_what_is_replaced_is_kept_aside(spare: Cluster, made: Made) -> None:
    run = restore("-e", f"backup_archive={made.path}", "-e", "restore_confirm=true")
    assert not run.failed, run.output
    assert "what was there before is in /opt/freegpt4/restore/replaced-" in run.output
    assert digests_of(made.secrets) <= tokens_in_database(spare)
    assert spare.host.check_output("ls /opt/freegpt4/restore/replaced-*/data/llm-api")
    assert {"api1", "api2"} <= set(spare.docker("ps", "--format", "{{.Names}}").split())
