"""Any server that speaks OpenAI's protocol. Its bytes are relayed as they come."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import aiohttp

from llm_api.chat_request import ChatRequest
from llm_api.config import ProviderConfig
from llm_api.providers import sse
from llm_api.providers.base import Answer, ProviderError, RefusedError, nothing

CONNECT_TIMEOUT = 5.0
# The provider's own trouble (our key, our quota, its load), which another provider may not have.
PROVIDERS_FAULT = frozenset({401, 402, 403, 407, 408, 429})
# How much of an event stream's end is kept to see whether it was the end.
TAIL = 64


class OpenAIProvider:
    """A provider behind a base URL such as `http://model:8080/v1`."""

    def __init__(self, config: ProviderConfig, session: aiohttp.ClientSession, proxy: str) -> None:
        """Ask through `session`, and through `proxy` where the configuration says so."""
        self.config = config
        self._session = session
        self._proxy = proxy if config.via_egress and proxy else None
        self._url = f"{config.base_url.rstrip('/')}/chat/completions"
        self._headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
        if config.api_key:
            self._headers["Authorization"] = f"Bearer {config.api_key}"

    @property
    def models(self) -> tuple[str, ...]:
        """What is configured; empty means anything."""
        return self.config.models

    @property
    def default_model(self) -> str:
        """What is configured, or else the first model."""
        return self.config.default_model or next(iter(self.config.models), "")

    def unsupported(self, request: ChatRequest) -> str | None:
        """Return nothing: the server says itself what it cannot do."""
        del request
        return None

    async def open(self, request: ChatRequest, model: str) -> Answer:
        """Send `request` and return the answer once its first bytes are here.

        Raises:
            ProviderError: no connection, an empty answer, a status of 500 or above, or one
                that concerns our account there.
            RefusedError: any other status of 400 or above.
        """
        try:
            response = await self._session.post(
                self._url,
                data=request.for_model(model),
                headers=self._headers,
                proxy=self._proxy,
            )
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ProviderError(_reason(error)) from error
        try:
            return await self._begin(response)
        except BaseException:
            response.close()
            raise

    async def _begin(self, response: aiohttp.ClientResponse) -> Answer:
        content_type = response.headers.get("Content-Type", "application/json")
        try:
            if response.status != 200:  # noqa: PLR2004 (HTTP)
                body = await response.read()
                if response.status >= 500 or response.status in PROVIDERS_FAULT:  # noqa: PLR2004
                    raise ProviderError(f"status {response.status}", response.status)
                raise RefusedError(response.status, body, content_type)
            if not content_type.startswith(sse.CONTENT_TYPE):
                return Answer(content_type, await response.read(), nothing())
            first = await response.content.readany()
        except aiohttp.ClientError as error:
            raise ProviderError(_reason(error)) from error
        if not first:
            raise ProviderError("an empty answer")
        return Answer(content_type, first, self._relay(response, first[-TAIL:]))

    async def _relay(
        self, response: aiohttp.ClientResponse, tail: bytes
    ) -> AsyncGenerator[bytes, None]:
        try:
            while chunk := await response.content.readany():
                tail = (tail + chunk)[-TAIL:]
                yield chunk
            complete = b"[DONE]" in tail
        except (aiohttp.ClientError, OSError):
            complete = False
        finally:
            # Kept for the next request if it was read to its end, and closed if not.
            response.release()
        if not complete:
            yield sse.broken(f"The provider {self.config.name} broke off its answer.")

    async def close(self) -> None:
        """Do nothing: the session is shared, and closed by whoever made it."""


def new_session() -> aiohttp.ClientSession:
    """Return a session without limits and without an overall timeout: the chain has both."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=30),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT),
        trust_env=False,
    )


def _reason(error: BaseException) -> str:
    if isinstance(error, aiohttp.ServerTimeoutError | TimeoutError):
        return "no connection in time"
    if isinstance(error, aiohttp.ClientConnectorError):
        return "no connection"
    return type(error).__name__
