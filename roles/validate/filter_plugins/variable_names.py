# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter that finds the misspelt among the variables of an inventory."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from difflib import get_close_matches
from typing import Any

# How alike two names must be, from 0 to 1, for one to be taken for a slip of the other.
SIMILARITY = 0.85


def unknown_variables(
    names: Iterable[str], known: Iterable[str], prefixes: Iterable[str]
) -> list[str]:
    """Return a sentence for each of `names` that is probably a slip.

    Those are the names outside `known` that begin with one of `prefixes`, or that are so
    like a known one that nothing else can be meant.
    """
    known = list(known)
    starts = tuple(f"{prefix}_" for prefix in prefixes)
    sentences = []
    for name in sorted(set(names) - set(known)):
        similar = get_close_matches(name, known, n=1, cutoff=SIMILARITY)
        if similar:
            sentences.append(f"{name} (did you mean {similar[0]}?)")
        elif name.startswith(starts):
            sentences.append(name)
    return sentences


class FilterModule:
    """The filter as Ansible finds them."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filter by name."""
        return {"unknown_variables": unknown_variables}
