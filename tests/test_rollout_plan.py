"""What a rollout does to which replica, whatever state it finds them in."""

from __future__ import annotations

from typing import Any

import pytest

from roles.llm_api.filter_plugins.rollout_plan import (
    batch_size,
    canary_fault,
    forgotten,
    kept,
    rollout_plan,
    surplus,
    swap,
)

OLD, NEW = "01d01d00", "0e30e300"


def container(name: str, release: str = NEW, state: str = "running") -> dict[str, Any]:
    labels = {"freegpt4.release": release} if release else {}
    return {"Names": [f"/{name}"], "Labels": labels, "State": state}


def plan(*containers: dict[str, Any], replicas: int = 2, **options: Any) -> dict[str, Any]:
    defaults: dict[str, Any] = {
        "first": 1,
        "replicas": replicas,
        "most": 64,
        "release": NEW,
        "batch": "50%",
        "strategy": "surge",
    }
    return rollout_plan(containers, **defaults | options)


@pytest.mark.parametrize(
    ("batch", "replicas", "strategy", "size"),
    [
        ("50%", 1, "surge", 1),
        ("50%", 2, "surge", 1),
        ("50%", 5, "surge", 3),
        ("100%", 5, "rolling", 4),
        ("1%", 5, "surge", 1),
        (2, 5, "surge", 2),
        ("9", 5, "surge", 5),
        ("1", 1, "rolling", 1),
    ],
)
def test_batch_size(batch: str | int, replicas: int, strategy: str, size: int) -> None:
    assert batch_size(batch, replicas, strategy) == size


def test_first_deployment_starts_all() -> None:
    first = plan()
    assert (first["settled"], first["batches"], first["helpers"]) == ([1, 2], [], [])
    assert not first["gateway"]


def test_nothing_to_do() -> None:
    same = plan(container("api1"), container("api2"), container("gateway", ""))
    assert (same["settled"], same["batches"], same["helpers"]) == ([1, 2], [], [])
    assert same["running"] == [NEW]
    assert same["gateway"]


def test_another_release_replaces_all_with_helpers() -> None:
    new = plan(*(container(f"api{n}", OLD) for n in range(1, 6)), replicas=5)
    assert new["helpers"] == [6, 7, 8]
    assert new["batches"] == [[1, 2, 3], [4, 5]]
    assert new["running"] == [OLD]


def test_one_replica_has_a_helper() -> None:
    only = plan(container("api1", OLD), replicas=1)
    assert (only["helpers"], only["batches"]) == ([2], [[1]])


def test_without_helpers_the_first_proves_the_release() -> None:
    found = [container(f"api{n}", OLD) for n in range(1, 6)]
    rolling = plan(*found, replicas=5, strategy="rolling")
    assert (rolling["helpers"], rolling["batches"]) == ([], [[1], [2, 3, 4], [5]])
    full = plan(*found, replicas=5, most=5)
    assert (full["helpers"], full["batches"]) == ([], [[1], [2, 3, 4], [5]])


def test_a_batch_is_no_larger_than_the_help() -> None:
    found = [container(f"api{n}", OLD) for n in range(1, 6)]
    tight = plan(*found, replicas=5, most=6)
    assert (tight["helpers"], tight["batches"]) == ([6], [[1], [2], [3], [4], [5]])


def test_an_interrupted_rollout_goes_on() -> None:
    # api1 is replaced, api2 was stopped and kept, api3 is still the old one, api4 helps.
    left = plan(
        container("api1"),
        container(f"api2-{OLD}", OLD, "exited"),
        container("api3", OLD),
        container("api4"),
        replicas=3,
    )
    assert (left["settled"], left["batches"], left["helpers"]) == ([1, 2], [[3]], [4])


def test_helpers_of_yet_another_release_are_not_used() -> None:
    left = plan(container("api1", OLD), container("api2", "abcdef01"), replicas=1)
    assert left["helpers"] == [3]


def test_replicas_from_before_there_were_releases_are_replaced() -> None:
    assert plan(container("api1", ""), replicas=1)["batches"] == [[1]]


def test_the_replicas_of_another_host_have_other_numbers() -> None:
    found = plan(container("api101", OLD), container("api102", OLD), first=101)
    assert found["batches"] == [[101], [102]]
    assert found["helpers"] == [103]


def test_surplus_and_kept() -> None:
    found = [
        container("api1"),
        container("api10", OLD),
        container("api3", OLD, "exited"),
        container(f"api1-{OLD}", OLD, "exited"),
        container("api1-0e30e300", NEW, "exited"),
        container("gateway", ""),
    ]
    assert surplus(found, ["api1", "api2"]) == ["api10", "api3"]
    assert kept(found, [NEW]) == ["api1-0e30e300"]


def test_names_are_given_to_a_release_that_was_never_there() -> None:
    containers = [container("api1", OLD), container("api2", OLD)]
    assert swap(containers, [1, 2], {"api1": OLD, "api2": OLD}, NEW) == {
        "removed": [],
        "renamed": [("api1", f"api1-{OLD}"), ("api2", f"api2-{OLD}")],
    }


def test_names_are_given_back_to_a_release_that_was_kept() -> None:
    containers = [container("api1", OLD), container(f"api1-{NEW}", NEW, "exited")]
    assert swap(containers, [1], {"api1": OLD}, NEW) == {
        "removed": [],
        "renamed": [("api1", f"api1-{OLD}"), (f"api1-{NEW}", "api1")],
    }


def test_what_was_kept_under_the_same_name_goes() -> None:
    containers = [container("api1", OLD), container(f"api1-{OLD}", OLD, "exited")]
    assert swap(containers, [1], {"api1": OLD}, NEW)["removed"] == [f"api1-{OLD}"]


def test_one_from_before_there_were_releases_is_not_kept() -> None:
    expected = {"removed": ["api1"], "renamed": []}
    assert swap([container("api1", "")], [1], {"api1": ""}, NEW) == expected


def test_releases_that_are_forgotten() -> None:
    recorded = ["failed", "third", "first", "runs", "second"]
    known = ["runs", "first", "second", "third"]
    assert forgotten(recorded, known, "runs", 2) == ["failed", "third"]
    assert forgotten(recorded, known, "runs", 0) == ["failed", "first", "second", "third"]


@pytest.mark.parametrize(
    ("tried", "others", "fault"),
    [
        ((100, 0), (100, 0), ""),
        ((0, 0), (100, 0), ""),
        ((100, 2), (100, 0), ""),
        ((100, 3), (100, 0), "api3 answered 3 of 100 requests with an error, the others 0%"),
        ((100, 60), (100, 60), ""),
        ((4, 4), (0, 0), "api3 answered 4 of 4"),
    ],
)
def test_canary(tried: tuple[int, int], others: tuple[int, int], fault: str) -> None:
    figures = {
        "replicas": {
            "api1": {"requests": others[0], "errors": others[1]},
            "api3": {"requests": tried[0], "errors": tried[1]},
        }
    }
    assert canary_fault([figures], "api3", 0.02).startswith(fault)
    assert bool(canary_fault([figures], "api3", 0.02)) == bool(fault)


def test_a_canary_that_was_not_asked() -> None:
    assert canary_fault([{"replicas": {}}], "api3", 0.0) == ""


def test_a_canary_is_judged_by_what_all_gateways_say() -> None:
    well = {"requests": 50, "errors": 0}
    ill = {"requests": 50, "errors": 10}
    first = {"replicas": {"api1:5500": well, "api3:5500": well}}
    second = {"replicas": {"api1:5500": well, "api3:5500": ill}}
    assert canary_fault([first], "api3:5500", 0.02) == ""
    assert "10 of 100 requests" in canary_fault([first, second], "api3:5500", 0.02)
