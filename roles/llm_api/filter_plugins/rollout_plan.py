# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters that plan a rollout from the containers that a host has."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

# What the engine says of a container: Names (each with a slash before it), State and Labels.
Container = Mapping[str, Any]

REPLICA = re.compile(r"api(\d+)")
KEPT = re.compile(r"api(\d+)-([0-9a-f]{8})")


def batch_size(batch: str | int, replicas: int, strategy: str = "surge") -> int:
    """Return how many of `replicas` are replaced at a time.

    Args:
        batch: a number, or a share such as `50%`, of which the next whole number is taken.
        replicas: how many there are, at least 1.
        strategy: without helpers (`rolling`) one replica stays, whatever the batch.
    """
    text = str(batch)
    share = int(text.removesuffix("%"))
    size = math.ceil(replicas * share / 100) if text.endswith("%") else share
    most = replicas - 1 if strategy == "rolling" else replicas
    return max(1, min(size, most))


def rollout_plan(
    containers: Sequence[Container],
    first: int,
    replicas: int,
    most: int,
    release: str,
    *,
    batch: str | int,
    strategy: str,
) -> dict[str, Any]:
    """Return what has to be done so that all replicas of a host are of `release`.

    Args:
        containers: those of the cluster on the host, running or not.
        first: number of its first replica.
        replicas: how many there are to be.
        most: how many there can be, helpers among them.
        release: what they are to be.
        batch: as `batch_size` takes it.
        strategy: `surge` or `rolling`.

    Returns:
        `settled`: numbers of replicas that only have to be started, if they are not running yet.
        `batches`: lists of numbers of running replicas of another release, to be replaced in turn.
        `helpers`: numbers of further replicas that take requests meanwhile.
        `releases`: the release of each running replica by its name. One from before there were
            releases has "".
        `running`: the releases that run now.
        `gateway`: whether there is one to be told.
    """
    running = {name: of for name, of, state in _replicas(containers) if state == "running"}
    wanted = range(first, first + replicas)
    outdated = [n for n in wanted if running.get(f"api{n}", release) != release]
    size = batch_size(batch, replicas, strategy)
    helpers: list[int] = []
    if strategy == "surge":
        free = _free(containers, range(first + replicas, first + most), release)
        helpers = free[: min(size, len(outdated))]
    # Without a helper the first replica proves the release for all others.
    proof = 0 if helpers else 1
    batches = [outdated[:proof], *_batches(outdated[proof:], min(size, len(helpers) or size))]
    return {
        "settled": [n for n in wanted if n not in outdated],
        "batches": [slots for slots in batches if slots],
        "helpers": helpers,
        "releases": running,
        "running": sorted(set(running.values())),
        "gateway": any(c["State"] == "running" and "gateway" in _names(c) for c in containers),
    }


def surplus(containers: Sequence[Container], wanted: Collection[str]) -> list[str]:
    """Return the names of the replicas that are not among those `wanted`, running or not."""
    return sorted(name for name, _, _ in _replicas(containers) if name not in wanted)


def kept(containers: Sequence[Container], releases: Sequence[str]) -> list[str]:
    """Return the names of the stopped replicas that are kept of `releases`."""
    names = (name for container in containers for name in _names(container))
    matches = (KEPT.fullmatch(name) for name in names)
    return sorted(match[0] for match in matches if match and match[2] in releases)


def swap(
    containers: Sequence[Container],
    slots: Sequence[int],
    releases: Mapping[str, str],
    release: str,
) -> dict[str, list[Any]]:
    """Return what gives the names of the replicas `slots` to those of `release`.

    Args:
        containers: those of the cluster, running or not.
        slots: numbers of the replicas that are replaced.
        releases: what each replica is of, as `rollout_plan` returns it.
        release: what they are to be.

    Returns:
        `removed`: containers that are in the way: those kept under the same names before, and
            replicas from before there were releases, to which nobody can go back.
        `renamed`: pairs of a name and the next one, in this order. What had the name is kept under
            the name of its release, and one of the new release that was kept so gets it.
    """
    present = {name for container in containers for name in _names(container)}
    removed: list[str] = []
    renamed: list[tuple[str, str]] = []
    for name in (f"api{slot}" for slot in slots):
        old = f"{name}-{releases[name]}" if releases[name] else ""
        removed += [in_the_way for in_the_way in [old or name] if in_the_way in present]
        renamed += [(name, old)] if old else []
        new = f"{name}-{release}"
        renamed += [(new, name)] if new in present else []
    return {"removed": removed, "renamed": renamed}


def forgotten(
    recorded: Sequence[str], known: Sequence[str], release: str, number: int
) -> list[str]:
    """Return those of the releases `recorded` that nobody will go back to.

    Args:
        recorded: all that there are.
        known: those that were brought out, the last one first. The others have not proved
            themselves.
        release: the one that runs.
        number: how many are kept besides.
    """
    kept_ones = [name for name in known if name != release][:number]
    return sorted(set(recorded) - {release, *kept_ones})


def canary_fault(figures: Iterable[Mapping[str, Any]], canary: str, tolerance: float) -> str:
    """Return what speaks against the release of the replica `canary`: nothing if it does well.

    Args:
        figures: what each gateway says: `replicas` by name, each with its number of `requests` and
            of `errors` among them.
        canary: name of the replica that is tried.
        tolerance: by how much its share of errors may exceed that of all others together.
    """
    told = [pair for of in figures for pair in of["replicas"].items()]
    errors, requests = _sums(of for name, of in told if name == canary)
    usual = _share(*_sums(of for name, of in told if name != canary))
    if _share(errors, requests) <= usual + tolerance:
        return ""
    return (
        f"{canary} answered {errors} of {requests} requests with an error,"
        f" the others {usual:.0%} of theirs."
    )


def _sums(figures: Iterable[Mapping[str, Any]]) -> tuple[int, int]:
    """Return how many errors there were, and how many requests."""
    counts = [(of["errors"], of["requests"]) for of in figures]
    return sum(errors for errors, _ in counts), sum(requests for _, requests in counts)


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def _replicas(containers: Sequence[Container]) -> Iterator[tuple[str, str, str]]:
    """Yield name, release and state of each replica."""
    for container in containers:
        for name in _names(container):
            if REPLICA.fullmatch(name):
                labels = container.get("Labels") or {}
                yield name, labels.get("freegpt4.release", ""), container["State"]


def _free(containers: Sequence[Container], slots: Iterable[int], release: str) -> list[int]:
    """Return those of `slots` that nothing has, or a helper that an interrupted run left."""
    taken = {name for name, of, _ in _replicas(containers) if of != release}
    return [slot for slot in slots if f"api{slot}" not in taken]


def _batches(slots: Sequence[int], size: int) -> Iterator[list[int]]:
    for start in range(0, len(slots), size):
        yield list(slots[start : start + size])


def _names(container: Container) -> Iterable[str]:
    return [name.removeprefix("/") for name in container["Names"]]


class FilterModule:
    """The filters as Ansible finds them."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {
            "llm_api_canary_fault": canary_fault,
            "llm_api_rollout_plan": rollout_plan,
            "llm_api_surplus": surplus,
            "llm_api_forgotten": forgotten,
            "llm_api_kept": kept,
            "llm_api_swap": swap,
        }
