"""Proxies with their passwords covered: the browser never gets them back."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from llm_api.pages.forms import InputError

COVER = "••••"
# A user's name has no colon: what comes after the first one is the password.
USER = re.compile(r"^([^:]+://[^:@/]+:)[^@/]*@")


def cover(proxies: Iterable[str]) -> list[str]:
    """Return `proxies` without their passwords."""
    return [USER.sub(rf"\g<1>{COVER}@", proxy) for proxy in proxies]


def uncover(typed: Sequence[str], kept: Sequence[str]) -> list[str]:
    """Return what was `typed`, with the passwords of the proxies that are `kept`.

    Raises:
        InputError: a covered password was none of theirs.
    """
    left = list(zip(cover(kept), kept, strict=True))
    proxies = []
    for text in typed:
        found = next((pair for pair in left if pair[0] == text), None)
        if found:
            left.remove(found)
        elif COVER in text:
            raise InputError(f"must have its password typed again in {text[:100]}")
        proxies.append(found[1] if found else text)
    return proxies
