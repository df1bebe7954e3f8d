"""What a change of the replicas costs those who ask meanwhile: nothing, also when it goes wrong.

The tests build upon one another, as the changes of a cluster do.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from testbed.cluster import Cluster
from testbed.lock import HOLDER, LOCK, WHY, hold_lock
from testbed.playbook import PlaybookRun, kill_playbook, run_playbook
from testbed.releases import WORDS_OF_BROKEN, build_faulty, record, running
from testbed.traffic import Traffic

DEPLOY = "playbooks/deploy.yml"
ROLLBACK = "playbooks/rollback.yml"

# Seconds between a client's requests: the model that answers them takes a core of the host.
PAUSE = 0.4


@contextmanager
def undisturbed(cluster: Cluster, report: Any, event: str) -> Iterator[Traffic]:
    """Let clients ask while the block runs, and see that none of them has lost anything."""
    start = time.monotonic()
    with Traffic(cluster.url, gets=2, chats=1, pause=PAUSE) as traffic:
        yield traffic
    report(f"{event}: {time.monotonic() - start:.0f} s, {dict(traffic.succeeded)} answered")
    assert traffic.failures == []
    assert traffic.succeeded["get"] > 20
    assert traffic.succeeded["chat"] > 5


@pytest.fixture(scope="module")
def images(cluster: Cluster) -> dict[str, str]:
    """Images of releases that are no good, by what is wrong with them."""
    return build_faulty(cluster)


def variables(**values: Any) -> list[str]:
    return ["--extra-vars", json.dumps(values)]


def test_a_changed_setting(cluster: Cluster, report: Any) -> None:
    before = running(cluster)
    with undisturbed(cluster, report, "a setting changed"):
        run = run_playbook(DEPLOY, *variables(llm_api_log_level="WARNING"))
    assert not run.failed, run.output
    after = running(cluster)
    assert list(after) == ["api1", "api2"]
    assert len(set(after.values())) == 1
    assert set(after.values()).isdisjoint(before.values())
    for name, release in before.items():
        assert cluster.inspect(f"{name}-{release}")["State"]["Status"] == "exited"
    last = record(cluster)[-1]
    assert (last["playbook"], last["result"]) == ("deploy", "ok")
    assert (last["from"], last["to"]) == (before["api1"], after["api1"])


@pytest.mark.parametrize("fault", ["broken", "sick"])
def test_a_release_that_is_no_good(
    cluster: Cluster, images: dict[str, str], report: Any, fault: str
) -> None:
    before = running(cluster)
    with undisturbed(cluster, report, f"a {fault} release"):
        run = run_playbook(
            DEPLOY, *variables(llm_api_log_level="WARNING", llm_api_image=images[fault])
        )
    refused(run)
    assert (WORDS_OF_BROKEN in run.output) == (fault == "broken")
    assert running(cluster) == before
    assert "api3" not in cluster.containers()


def test_a_release_that_errs_under_way(
    cluster: Cluster, images: dict[str, str], report: Any
) -> None:
    before = running(cluster)
    with Traffic(cluster.url, gets=2, chats=1) as traffic:
        run = run_playbook(
            DEPLOY,
            *variables(
                llm_api_log_level="WARNING",
                llm_api_image=images["sickly"],
                llm_api_canary_seconds=8,
                # The second helper starts while the first is watched.
                llm_api_batch="100%",
            ),
        )
        refused(run)
        lost = len(traffic.failures)
        time.sleep(5)
    report(f"a release that errs at every chat: {lost} chats lost while it was watched")
    assert "requests with an error" in run.output
    assert running(cluster) == before
    # None after it was given up.
    assert len(traffic.failures) == lost


def test_a_release_that_does_not_take_over_is_undone(
    cluster: Cluster, images: dict[str, str], report: Any
) -> None:
    """Where no helper proves a release, the first replica that it replaces does."""
    before = running(cluster)
    with undisturbed(cluster, report, "a sick release without helpers"):
        run = run_playbook(
            DEPLOY,
            *variables(
                llm_api_log_level="WARNING",
                llm_api_image=images["sick"],
                llm_api_strategy="rolling",
            ),
        )
    assert run.failed
    assert "did not come up as api1, so the old ones run again there" in run.output
    assert running(cluster) == before
    assert cluster.get_models(10) == dict.fromkeys(before, 5)


def refused(run: PlaybookRun) -> None:
    assert run.failed
    assert "has not proved itself, so nothing was replaced" in run.output


def test_an_interrupted_rollout_is_completed(cluster: Cluster, report: Any) -> None:
    before = running(cluster)

    def half_way() -> bool:
        return f"api1-{before['api1']}" in cluster.containers()

    with undisturbed(cluster, report, "a rollout interrupted, and completed with three more"):
        kill_playbook(half_way, DEPLOY, *variables(llm_api_log_level="ERROR"))
        assert cluster.host.file(LOCK).exists
        run = run_playbook(DEPLOY, *variables(llm_api_log_level="ERROR", llm_api_replicas=5))
    assert not run.failed, run.output
    assert not cluster.host.file(LOCK).exists
    after = running(cluster)
    assert list(after) == ["api1", "api2", "api3", "api4", "api5"]
    assert set(after.values()).isdisjoint(before.values())
    assert len(set(after.values())) == 1
    assert cluster.get_models(15) == dict.fromkeys(after, 3)


def test_a_rollback_needs_no_registry(cluster: Cluster, report: Any) -> None:
    changed = [e for e in record(cluster) if (e["playbook"], e["result"]) == ("deploy", "ok")][-2]
    with undisturbed(cluster, report, "a rollback of five"):
        run = run_playbook(ROLLBACK, *variables(llm_api_replicas=5))
    assert not run.failed, run.output
    # The interrupted release has replaced the one of the first test.
    assert list(running(cluster).values()) == [changed["to"]] * 5


def test_down_to_one(cluster: Cluster, report: Any) -> None:
    with undisturbed(cluster, report, "five to one"):
        run = run_playbook(DEPLOY, *variables(llm_api_replicas=1))
    assert not run.failed, run.output
    assert list(running(cluster)) == ["api1"]


def test_the_only_replica_is_replaced(cluster: Cluster, report: Any) -> None:
    before = running(cluster)
    with undisturbed(cluster, report, "a setting of the only one changed"):
        run = run_playbook(DEPLOY, *variables(llm_api_replicas=1, llm_api_log_level="DEBUG"))
    assert not run.failed, run.output
    assert list(running(cluster)) == ["api1"]
    assert running(cluster) != before
    again = run_playbook(DEPLOY, *variables(llm_api_replicas=1, llm_api_log_level="DEBUG"))
    assert (again.failed, again.changed) == (False, 0), again.output


def test_a_release_that_there_is_not(cluster: Cluster) -> None:
    before = running(cluster)
    run = run_playbook(ROLLBACK, *variables(release="01234567", llm_api_replicas=1))
    assert run.failed
    assert "There is no release 01234567" in run.output
    assert running(cluster) == before


def test_a_lock_that_somebody_holds(cluster: Cluster) -> None:
    hold_lock(cluster)
    run = run_playbook(DEPLOY, *variables(llm_api_replicas=1))
    assert run.failed
    assert f"{HOLDER} has been deploying" in run.output
    assert f"because: {WHY}" in run.output
    assert "deployment_break_lock=true" in run.output
    assert HOLDER in cluster.host.file(LOCK).content_string
    # Whether it is broken can be seen without deploying anything.
    broken = run_playbook(ROLLBACK, *variables(release="01234567", deployment_break_lock=True))
    assert "There is no release" in broken.output
    assert not cluster.host.file(LOCK).exists
