"""Any server that speaks OpenAI's protocol. Its bytes are relayed as they come."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus

import aiohttp

from llm_api.chat_request import ChatRequest
from llm_api.config import ProviderConfig
from llm_api.errors import error_body
from llm_api.providers import sse
from llm_api.providers.base import Answer, ProviderError, RefusedError, nothing

JSON = "application/json"
CONNECT_TIMEOUT = 5.0
# Seconds that an idle connection to a provider is kept.
KEEP_ALIVE = 30.0
# The provider's own trouble (our key, our quota, its load), which another provider may not have.
PROVIDERS_FAULT = frozenset({401, 402, 403, 407, 408, 429})
# Bytes of a refusal that are read.
LARGEST_REFUSAL = 64 * 1024


class OpenAIProvider:
    """A provider behind a base URL such as `http://model:8080/v1`."""

    def __init__(self, config: ProviderConfig, proxy: str) -> None:
        """Ask as `config` says, and through `proxy` where it says so."""
        self.config = config
        self._proxy = proxy if config.via_egress and proxy else None
        self._url = f"{config.base_url.rstrip('/')}/chat/completions"
        self._headers = {"Content-Type": JSON, "Accept-Encoding": "identity"}
        if config.api_key:
            self._headers["Authorization"] = f"Bearer {config.api_key}"
        self._session: aiohttp.ClientSession

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

    async def start(self) -> None:
        """Open a session without limits and without an overall timeout: the chain has both."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT),
        )

    async def close(self) -> None:
        """Close the session."""
        await self._session.close()

    @asynccontextmanager
    async def open(self, request: ChatRequest, model: str) -> AsyncIterator[Answer]:
        """Send `request` and enter the answer once its first bytes are here.

        Raises:
            ProviderError: no connection, no answer of the protocol, a status of 500 or above, or
                one that concerns our account there.
            RefusedError: any other status of 400 or above.
        """
        try:
            response = await self._session.post(
                self._url,
                data=request.for_model(model),
                headers=self._headers,
                proxy=self._proxy,
                # It would turn the request into a GET, and might lead anywhere.
                allow_redirects=False,
            )
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ProviderError(_reason(error)) from error
        try:
            yield await self._begin(response)
        finally:
            # A connection whose answer was read to the end has been kept for the next already.
            response.close()

    async def _begin(self, response: aiohttp.ClientResponse) -> Answer:
        try:
            if response.status != HTTPStatus.OK:
                await _raise_for(response)
            content_type = response.headers.get("Content-Type", JSON)
            if content_type.startswith(JSON):
                return Answer(content_type, await response.read(), nothing())
            if not content_type.startswith(sse.CONTENT_TYPE):
                raise ProviderError(f"an answer of type {content_type[:50]}")
            events = sse.WholeEvents()
            first = b""
            while not first:
                if not (chunk := await response.content.readany()):
                    raise ProviderError("an empty answer")
                first = events.take(chunk)
        except (aiohttp.ClientError, OSError) as error:
            raise ProviderError(_reason(error)) from error
        return Answer(content_type, first, _relay(response, events))


async def _relay(
    response: aiohttp.ClientResponse, events: sse.WholeEvents
) -> AsyncGenerator[bytes, None]:
    try:
        while chunk := await response.content.readany():
            if data := events.take(chunk):
                yield data
    except (aiohttp.ClientError, OSError) as error:
        raise ProviderError(_reason(error)) from error
    last = events.end()
    if last is None:
        raise ProviderError("an end without [DONE]")
    if last:
        yield last


async def _raise_for(response: aiohttp.ClientResponse) -> None:
    status = response.status
    refused = HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR
    if not refused or status in PROVIDERS_FAULT:
        raise ProviderError(f"status {status}", status)
    body = await response.content.read(LARGEST_REFUSAL)
    raise RefusedError(status, body if _has_error(body) else _error_of(status))


def _has_error(body: bytes) -> bool:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return False
    return isinstance(answer, dict) and isinstance(answer.get("error"), dict)


def _error_of(status: int) -> bytes:
    message = f"The provider refused the request with status {status}."
    return json.dumps(error_body(status, message, code="provider_refused")).encode()


def _reason(error: BaseException) -> str:
    if isinstance(error, aiohttp.ServerTimeoutError | TimeoutError):
        return "no connection in time"
    if isinstance(error, aiohttp.ClientConnectorError):
        return "no connection"
    return type(error).__name__
