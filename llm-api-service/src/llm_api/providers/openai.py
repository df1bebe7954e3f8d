"""Any server that speaks OpenAI's protocol. Its bytes are relayed as they come."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from functools import partial
from http import HTTPStatus
from typing import Any, NoReturn

from yarl import URL

from llm_api.config import ProviderConfig
from llm_api.errors import error_body
from llm_api.http_client import HttpError, Origin, Response
from llm_api.operations import Operation, Request
from llm_api.providers import sse
from llm_api.providers.base import Answer, ProviderError, RefusedError, Way
from llm_api.providers.model_list import ModelList
from llm_api.sink import Sink

JSON = "application/json"
TEXTS = (Operation.CHAT, Operation.COMPLETIONS)
# The provider's own trouble (our key, our quota, its load), which another provider may not have.
PROVIDERS_FAULT = frozenset({401, 402, 403, 407, 408, 429})
# What an answer has that is one.
RESULTS: Mapping[Operation, str] = {
    Operation.CHAT: "choices",
    Operation.COMPLETIONS: "choices",
    Operation.EMBEDDINGS: "data",
    Operation.IMAGES: "data",
}
# What one that is none may have, and what an error's code may be.
ERROR = b'"error"'
_ERRORS = range(HTTPStatus.BAD_REQUEST, 600)
# Bytes of a refusal that are read, and those that an answer and an event of a stream may have.
LARGEST_REFUSAL = 64 * 1024
LARGEST_ANSWER = 64 * 1024 * 1024
LARGEST_EVENT = 4 * 1024 * 1024


class OpenAIProvider:
    """A provider behind a base URL such as `http://model:8080/v1`."""

    def __init__(self, config: ProviderConfig, proxy: str) -> None:
        """Ask as `config` says, and through `proxy` where it says so."""
        self.config = config
        proxy_url = URL(proxy) if config.via_egress and proxy else None
        base = URL(config.base_url)
        self.way = Way(base, proxy_url) if config.outside else None
        self.operations = frozenset(map(Operation, config.operations or [Operation.CHAT]))
        """What is configured, or else chats."""
        headers = {"Content-Type": JSON, "Accept-Encoding": "identity"}
        if config.api_key:
            headers["Authorization"] = f"Bearer {config.api_key}"
        self._origin = Origin(base, proxy_url)
        self._heads = {
            operation: self._origin.head("POST", base / operation.path, headers)
            for operation in self.operations
        }
        self._list = ModelList(config.name, self._origin, base / "models", headers)
        self._following: asyncio.Task[None] | None = None

    @property
    def models(self) -> tuple[str, ...]:
        """What is configured, or else what the server lists; empty means anything."""
        return self.config.models or self._list.models

    def models_for(self, operation: Operation) -> tuple[str, ...]:
        """Return all models; the server knows which of them does what."""
        del operation
        return self.models

    def default_for(self, operation: Operation) -> str:
        """Return what is configured, or else the first model, or the only one that is listed.

        A provider that does several things has a default for texts only.
        """
        if operation not in TEXTS and len(self.operations) > 1:
            return ""
        listed = self._list.models if len(self._list.models) == 1 else ()
        return self.config.default_model or next(iter(self.config.models or listed), "")

    def unsupported(self, request: Request) -> str | None:
        """Return nothing: the server says itself what it cannot do."""
        del request
        return None

    async def start(self) -> None:
        """Begin to follow the list of models, where none is configured."""
        if not self.config.models:
            self._following = asyncio.create_task(self._list.follow())

    async def close(self) -> None:
        """Close the connections."""
        if self._following:
            self._following.cancel()
        self._origin.close()

    def open(self, request: Request, model: str) -> AbstractAsyncContextManager[Answer]:
        """Send `request` and enter the answer once its first bytes are here.

        Raises:
            ProviderError: no connection, no answer of the protocol, a status of 500 or above, or
                one that concerns our account there.
            RefusedError: any other status of 400 or above.
        """
        return _Call(self, request, model)

    async def post(self, request: Request, model: str) -> Response:
        """Send `request`, and return the response once its head is here.

        Raises:
            ProviderError: no connection, or no response.
        """
        try:
            return await self._origin.ask(self._heads[request.operation], request.for_model(model))
        except HttpError as error:
            raise ProviderError(str(error)) from error


class _Call:
    """The context of one request to a provider: see `OpenAIProvider.open`."""

    def __init__(self, provider: OpenAIProvider, request: Request, model: str) -> None:
        self._provider = provider
        self._request = request
        self._model = model
        self._response: Response

    async def __aenter__(self) -> Answer:
        self._response = await self._provider.post(self._request, self._model)
        try:
            return await _begin(self._response, self._request)
        except BaseException:
            self._response.close()
            raise

    async def __aexit__(self, *_: object) -> None:
        # A connection whose answer was read to the end has been kept for the next already.
        self._response.close()


async def _begin(response: Response, request: Request) -> Answer:
    try:
        if response.status != HTTPStatus.OK:
            _raise_for(response.status, await response.read_up_to(LARGEST_REFUSAL))
        content_type = response.headers.get(b"content-type", JSON.encode()).decode("latin-1")
        if (coding := response.headers.get(b"content-encoding", b"identity")) != b"identity":
            raise ProviderError(f"an answer in the encoding {coding[:50].decode('latin-1')}")
        if not content_type.startswith(sse.CONTENT_TYPE if request.stream else JSON):
            raise ProviderError(f"an answer of type {content_type[:50]}")
        if not request.stream:
            body = await _read_whole(response)
            _check_whole(body, request.operation)
            return Answer(content_type, body)
        events = sse.WholeEvents()
        first = b""
        # Comments are no beginning: until there is more, another provider may be asked.
        while not any(sse.payloads(first)):
            if not (chunk := await response.read()):
                raise ProviderError("an empty answer")
            first += _take(events, chunk)
            if len(first) > LARGEST_EVENT:
                raise ProviderError("comments without end")
        # Whatever was good before an error in the same chunk: nobody has seen it yet.
        if ERROR in first and (error := _error_event(first)):
            _raise_for(_status_of(error), error)
    except HttpError as error:
        raise ProviderError(str(error)) from error
    return Answer(content_type, first, partial(_relay, response, events))


async def _read_whole(response: Response) -> bytes:
    body = await response.read_up_to(LARGEST_ANSWER)
    if len(body) > LARGEST_ANSWER:
        raise ProviderError("an answer that is too large")
    return body


def _take(events: sse.WholeEvents, chunk: bytes) -> bytes:
    data = events.take(chunk)
    if events.waiting > LARGEST_EVENT:
        raise ProviderError("an event that is too large")
    return data


async def _relay(response: Response, events: sse.WholeEvents, sink: Sink) -> None:
    def take(chunk: bytes) -> bool:
        data = _take(events, chunk)
        if ERROR in data and _error_event(data):
            raise ProviderError("an error instead of the rest")
        return not data or sink.take(data)

    try:
        while not await response.pour(take):
            await sink.ready()
    except HttpError as error:
        raise ProviderError(str(error)) from error
    last = events.end()
    if last is None:
        raise ProviderError("an end without [DONE]")
    if last:
        sink.take(last)


def _check_whole(body: bytes, operation: Operation) -> None:
    """Check that `body` is an answer, which servers send under 200 even where it is an error.

    Raises:
        ProviderError: it is none.
        RefusedError: it is the refusal of the request.
    """
    result = RESULTS[operation]
    # No answer's text holds these bytes, for it would have to escape the quotes.
    if f'"{result}"'.encode() in body and ERROR not in body:
        return
    answer = _read(body)
    if answer.get("error"):
        _raise_for(_status_of(body), body)
    if result not in answer:
        raise ProviderError(f"an answer without {result}")


def _error_event(events: bytes) -> bytes | None:
    """Return the data of the first of the whole `events` that is an error."""
    return next((data for data in sse.payloads(events) if _read(data).get("error")), None)


def _status_of(error: bytes) -> int:
    """Return the HTTP status that belongs to `error`, which came under the status 200."""
    told = _read(error)["error"]
    code = told.get("code") if isinstance(told, dict) else None
    return code if isinstance(code, int) and code in _ERRORS else HTTPStatus.BAD_GATEWAY


def _raise_for(status: int, body: bytes) -> NoReturn:
    refused = HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR
    if not refused or status in PROVIDERS_FAULT:
        raise ProviderError(f"status {status}", status)
    raise RefusedError(status, body if has_error(body) else _error_of(status))


def _read(body: bytes) -> dict[str, Any]:
    """Return the JSON object in `body`, and an empty one if there is none."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return answer if isinstance(answer, dict) else {}


def has_error(body: bytes) -> bool:
    """Return whether `body` is an error as OpenAI's protocol has it."""
    return isinstance(_read(body).get("error"), dict)


def _error_of(status: int) -> bytes:
    message = f"The provider refused the request with status {status}."
    return json.dumps(error_body(status, message, code="provider_refused")).encode()
