"""Neighbours with a weight share the requests."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import MakeClient, provider
from fake_upstream import FakeUpstream
from test_openai import chat
from test_pool import change

from llm_api.providers.link import Link
from llm_api.providers.turns import in_turn, neighbourly


def links(names: str) -> list[Link]:
    config: Any = [
        SimpleNamespace(name=n, outside=False, max_concurrency=0, adapter="openai") for n in names
    ]
    return [Link(SimpleNamespace(config=each)) for each in config]


def ready(link: Link) -> bool:
    return link.ready


def orders(weights: dict[str, int], times: int) -> list[str]:
    places = neighbourly(list(zip(links("".join(weights)), weights.values(), strict=True)))
    candidates = [(place, "m") for place in places]
    return [
        "".join(place.link.name for place, _ in in_turn(candidates, ready)) for _ in range(times)
    ]


def test_turns_are_smooth_and_in_proportion() -> None:
    firsts = [order[0] for order in orders({"a": 5, "b": 1, "c": 1}, 14)]
    assert "".join(firsts) == "aabacaaaabacaa"


def test_the_others_of_the_group_follow_and_then_the_list_goes_on() -> None:
    assert orders({"x": 0, "a": 1, "b": 1, "y": 0, "z": 0}, 2) == ["xabyz", "xbayz"]


def test_providers_without_a_weight_keep_their_order() -> None:
    assert orders({"a": 0, "b": 0, "c": 2, "d": 0, "e": 1}, 3) == ["abcde"] * 3


def test_two_groups_have_turns_of_their_own() -> None:
    assert orders({"a": 1, "b": 1, "x": 0, "c": 1, "d": 1}, 2) == ["abxcd", "baxdc"]


def test_who_cannot_be_asked_has_no_turn() -> None:
    first, *others = links("abc")
    places = neighbourly([(link, 1) for link in (first, *others)])
    first.breaker._opened = first.breaker._clock()
    candidates = [(place, "m") for place in places]
    turns = Counter(next(in_turn(candidates, ready))[0].link.name for _ in range(10))
    assert turns == {"b": 5, "c": 5}


@pytest.mark.parametrize(("weights", "shares"), [((3, 1), (30, 10)), ((0, 0), (40, 0))])
def test_requests_are_shared_by_weight(
    make_client: MakeClient,
    upstream: FakeUpstream,
    second: FakeUpstream,
    weights: tuple[int, int],
    shares: tuple[int, int],
) -> None:
    client = make_client(
        provider("first", upstream, weight=weights[0]),
        provider("other", second, weight=weights[1]),
    )
    for _ in range(40):
        assert chat(client).status_code == 200
    assert (len(upstream.requests), len(second.requests)) == shares


def test_the_other_of_a_group_answers_for_a_dead_one(
    make_client: MakeClient, upstream: FakeUpstream, second: FakeUpstream
) -> None:
    client = make_client(provider("first", upstream, weight=1), provider("other", second))
    change(
        client, providers=[provider(n, u, weight=1) for n, u in (("a", upstream), ("b", second))]
    )
    upstream.status = 500
    assert {chat(client).headers["X-Provider"] for _ in range(10)} == {"b"}
