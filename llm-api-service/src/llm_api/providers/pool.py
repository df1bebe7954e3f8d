"""The providers of this process: the chain that holds now, and the next when settings change."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager

from llm_api.allowed import EVERYTHING, Allowed
from llm_api.config import ProviderConfig
from llm_api.operations import Request
from llm_api.providers import g4f
from llm_api.providers.base import Routed, Way
from llm_api.providers.chain import Chain
from llm_api.providers.link import Link
from llm_api.providers.registry import Plan, check_default
from llm_api.providers.status import ProviderStatus
from llm_api.providers.way_out import WayOut

logger = logging.getLogger(__name__)


class Pool:
    """Owns the links, and makes chains from them.

    A link lives for as long as some chain has it, and a chain for as long as it is the newest or
    has answers under way. All of it happens on one event loop.
    """

    def __init__(self) -> None:
        """Begin without a provider."""
        self._way_out = WayOut(self._ways)
        self._links: dict[Link, tuple[object, ...]] = {}
        self._left_out: Mapping[ProviderConfig, str] = {}
        self._chain = Chain([], {}, self._way_out)
        self._leaving: set[asyncio.Task[None]] = set()

    async def adopt(self, plan: Plan) -> None:
        """Let the chain of `plan` hold from now on; answers under way go on with theirs.

        A provider that is the same as before keeps its connections, and what is known of it.

        Raises:
            ConfigError: no provider has the default model. Then nothing changes.
        """
        links: dict[Link, tuple[object, ...]] = {}
        weights = []
        for wanted in plan.providers:
            same = (link for link, made_of in self._links.items() if made_of == wanted.made_of)
            link = next(same, None) or Link(wanted.provider)
            links[link] = wanted.made_of
            weights.append((link, wanted.config.weight))
        chain = Chain(weights, plan.aliases, self._way_out)
        check_default(chain, plan.model)
        if plan.cookies is not None:
            g4f.put_cookies(plan.cookies)
        for link in links:
            link.chains += 1
        self._links |= links
        try:
            for link in links:
                await link.start()
        except BaseException:
            await self._leave(chain)
            raise
        before, self._chain, self._left_out = self._chain, chain, plan.left_out
        leaving = asyncio.create_task(self._leave(before))
        self._leaving.add(leaving)
        leaving.add_done_callback(self._leaving.discard)

    async def close(self) -> None:
        """Close all providers; answers that are under way break off."""
        await self._way_out.close()
        for leaving in self._leaving:
            leaving.cancel()
        for link in self._links:
            await link.close()
        self._links.clear()

    def open(
        self, request: Request, allowed: Allowed = EVERYTHING
    ) -> AbstractAsyncContextManager[Routed]:
        """Enter the answer to `request` by the chain that holds now: see `Chain.open`."""
        return self._chain.open(request, allowed)

    def models(self) -> list[tuple[str, str]]:
        """Return the models that can be asked for, each with its first provider, in order."""
        return self._chain.models()

    def models_of(self, provider: str) -> tuple[str, ...]:
        """Return the models that `provider` may be asked for; none if there is no such provider."""
        return self._chain.models_of(provider)

    async def statuses(self) -> list[ProviderStatus]:
        """Return how the providers do, in their order, and then those that are left out."""
        gone = self._way_out.gone
        return [
            *(link.status(offline=gone) for link in self._chain.links),
            *(_off(config, reason) for config, reason in self._left_out.items()),
        ]

    async def _leave(self, chain: Chain) -> None:
        """Close what only `chain` has once its last answer has ended."""
        await chain.unused()
        for link in chain.links:
            link.chains -= 1
            if not link.chains:
                del self._links[link]
                await link.close()

    def _ways(self) -> list[Way]:
        return [way for link in self._chain.links if (way := link.provider.way)]


def _off(config: ProviderConfig, reason: str) -> ProviderStatus:
    return ProviderStatus(
        name=config.name,
        adapter=config.adapter,
        state="off",
        models=config.models,
        under_way=0,
        requests=0,
        success_rate=None,
        first_byte_seconds=None,
        last_error=reason,
        last_error_at=None,
    )
