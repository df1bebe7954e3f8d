"""How neighbours in the chain that have a weight share the requests."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from llm_api.providers.link import Link


@dataclass
class Place:
    """A provider's place in the chain."""

    link: Link
    weight: int = 0
    neighbours: int = 0
    """The number of the group of neighbours that share their requests."""
    credit: int = 0
    """How much of its weight it has not had yet."""


def neighbourly(links: Sequence[tuple[Link, int]]) -> list[Place]:
    """Return the places of `links`, each with its weight: neighbours with one are a group."""
    places: list[Place] = []
    number = 0
    for link, weight in links:
        number += not (weight and places and places[-1].weight)
        places.append(Place(link, weight, number))
    return places


Candidate = tuple[Place, str]
"""A provider that may be asked, and the model to ask for."""


def in_turn(candidates: Sequence[Candidate], ready: Callable[[Link], bool]) -> Iterator[Candidate]:
    """Yield `candidates` in their order, but of a group first the one whose turn it is.

    Turns are given when they come, so that groups which are not reached lose none. Those who are
    not `ready` to be asked have none either.
    """
    for _, group in groupby(candidates, lambda candidate: candidate[0].neighbours):
        members = list(group)
        sharing = members if len(members) > 1 else []
        places = [place for place, _ in sharing if ready(place.link)]
        chosen = _choose(places) if places else None
        yield from sorted(members, key=lambda member: member[0] is not chosen)


def _choose(places: Sequence[Place]) -> Place:
    """Return whose turn it is: smooth weighted round robin."""
    for place in places:
        place.credit += place.weight
    chosen = max(places, key=lambda place: place.credit)
    chosen.credit -= sum(place.weight for place in places)
    return chosen
