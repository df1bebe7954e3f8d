"""A provider in the chain, and what is known about how it does."""

from __future__ import annotations

import time
from dataclasses import asdict
from types import TracebackType

from llm_api.operations import Operation
from llm_api.providers.base import Provider
from llm_api.providers.breaker import Breaker
from llm_api.providers.health import Health
from llm_api.providers.status import ProviderStatus


class Link:
    """A provider, its breaker, its health, and how many requests it has.

    It outlives the chains that it is in, for as long as its configuration stays the same.
    """

    def __init__(self, provider: Provider) -> None:
        """Begin with a provider of which nothing is known."""
        self.provider = provider
        self.name = provider.config.name
        self.outside = provider.config.outside
        self.breaker = Breaker()
        self.health = Health()
        self.under_way = 0
        self.chains = 0
        """In how many chains it is that have not been let go of."""
        self._started = False

    async def start(self) -> None:
        """Start the provider, unless it has been started."""
        if not self._started:
            await self.provider.start()
            self._started = True

    async def close(self) -> None:
        """Close the provider, if it has been started."""
        if self._started:
            self._started = False
            await self.provider.close()

    @property
    def full(self) -> bool:
        """Whether it has as many requests as it may."""
        limit = self.provider.config.max_concurrency
        return 0 < limit <= self.under_way

    @property
    def ready(self) -> bool:
        """Whether it can be asked now, as far as that depends on it alone."""
        return not self.full and self.breaker.state != "open"

    def model_for(self, wanted: str, operation: Operation = Operation.CHAT) -> str:
        """Return the model to ask for; empty if this provider does not have it for that."""
        if operation not in self.provider.operations:
            return ""
        models = self.provider.models_for(operation)
        model = wanted or self.provider.default_for(operation)
        return model if not models or model in models else ""

    def call(self) -> Call:
        """Return a context for one more request, which has to say how it went."""
        return Call(self)

    def status(self, *, offline: bool) -> ProviderStatus:
        """Return how it does. `offline` is whether the way out of the cluster is gone."""
        state = "available" if self.breaker.state == "closed" else "failing"
        return ProviderStatus(
            name=self.name,
            adapter=self.provider.config.adapter,
            state="offline" if offline and self.outside else state,
            models=self.provider.models,
            under_way=self.under_way,
            **asdict(self.health.figures()),
        )


class Call:
    """One request to a provider, from when it is asked to the end of its answer."""

    def __init__(self, link: Link) -> None:
        """Ask the provider of `link`."""
        self.link = link
        self._begun = time.monotonic()
        self._answered = False

    def __enter__(self) -> Call:
        """Count one more request that is under way."""
        self.link.under_way += 1
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Count one less."""
        self.link.under_way -= 1
        if self._answered:
            self.link.health.answered()

    def began(self) -> None:
        """Note that the answer began."""
        self._answered = True
        self.link.breaker.succeeded()
        self.link.health.began(time.monotonic() - self._begun)

    def refused(self) -> None:
        """Note that the provider rightly refused the request."""
        self._answered = True
        self.link.breaker.succeeded()

    def failed(self, reason: str) -> None:
        """Note that it did not answer, or broke off its answer."""
        self._answered = False
        self.link.breaker.failed()
        self.link.health.failed(reason)

    def abandoned(self) -> None:
        """Note that nothing was learnt: the client went, or the way to the provider."""
        self.link.breaker.abandoned()
