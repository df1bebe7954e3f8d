"""Clients that go on and on, to see whether a change of the cluster costs them anything."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable

import httpx
from openai import AsyncOpenAI, OpenAIError

from testbed.background import Background

# A connection for each request: on a kept one, a client may always meet the moment in which
# the other end closes it.
HEADERS = {"Connection": "close"}

# Seconds between a client's requests: enough to catch any gap, and little enough to leave
# a small machine time for what the requests are to be disturbed by.
PAUSE = 0.1


class Traffic(Background):
    """GETs and streamed chats for as long as the `with` block lasts; those under way are finished.

    Nothing is repeated: each failure that a client would see is in `failures`.
    """

    def __init__(self, url: str, *, gets: int = 1, chats: int = 0, pause: float = PAUSE) -> None:
        """Plan for `gets` clients that get the models of `url` and `chats` that chat.

        Each of them makes a `pause` of so many seconds after each answer.
        """
        self.succeeded: Counter[str] = Counter()
        self.failures: list[str] = []
        self._url = url
        self._clients = {"get": gets, "chat": chats}
        self._pause = pause
        super().__init__(lambda: asyncio.run(self._run()))

    async def _run(self) -> None:
        async with (
            httpx.AsyncClient(base_url=self._url, timeout=60, headers=HEADERS) as http,
            AsyncOpenAI(
                base_url=f"{self._url}/v1",
                api_key="none",
                max_retries=0,
                timeout=120,
                default_headers=HEADERS,
            ) as openai,
        ):

            async def get() -> None:
                (await http.get("/v1/models")).raise_for_status()

            async def chat() -> None:
                stream = await openai.chat.completions.create(
                    model="smollm2-135m",
                    messages=[{"role": "user", "content": "Count from one to five."}],
                    max_tokens=8,
                    stream=True,
                )
                reasons = [choice.finish_reason async for part in stream for choice in part.choices]
                if not any(reasons):
                    raise OpenAIError("the stream broke off")

            await asyncio.gather(
                *(self._repeat("get", get) for _ in range(self._clients["get"])),
                *(self._repeat("chat", chat) for _ in range(self._clients["chat"])),
            )

    async def _repeat(self, name: str, request: Callable[[], Awaitable[None]]) -> None:
        while not self.stopped:
            try:
                await request()
            except (httpx.HTTPError, OpenAIError) as error:
                self.failures.append(f"{name}: {type(error).__name__}: {error}")
            else:
                self.succeeded[name] += 1
            await asyncio.sleep(self._pause)
