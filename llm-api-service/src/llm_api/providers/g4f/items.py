"""The items of an answer, as g4f's classes yield them: texts, and objects that say something."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any, Protocol

Take = Callable[[Sequence[Any]], bool]
"""Takes some items, and returns whether there is room for more."""


class Items(Protocol):
    """What gives the items of one answer."""

    async def pour(self, take: Take) -> bool:
        """Give items to `take` as they come, and return whether those were all.

        It may be less where `take` returns that it has no room for more.

        Raises:
            Exception: the answer broke off. The classes of g4f fail in many ways.
        """


class Generated:
    """The items that a class yields."""

    def __init__(self, generator: AsyncGenerator[Any, None]) -> None:
        """Take them from `generator`."""
        self._generator = generator

    async def pour(self, take: Take) -> bool:
        """Give one item after the other."""
        async for item in self._generator:
            if not take((item,)):
                return False
        return True
