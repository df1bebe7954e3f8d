"""What the routes of all protocols share: reading a request's body, and sending an answer."""

from __future__ import annotations

import json

from flask import Response, after_this_request, g, request

from llm_api.asgi import Body, Streamed
from llm_api.errors import ApiError
from llm_api.operations import Request
from llm_api.providers.base import RefusedError, Routed
from llm_api.service import current_service
from llm_api.stream import Stream


def read_body() -> bytes:
    """Return the body of the current request.

    Raises:
        RequestEntityTooLarge: it is larger than it may be.
    """
    return request.get_data(cache=False)


async def ask(asked: Request) -> Stream:
    """Return the answer to `asked`, which has begun. It must be closed.

    Raises:
        ApiError: nobody answered, or too many answers are under way.
        RefusedError: a provider refused the request.
    """
    try:
        stream = await current_service().chat(asked)
    except RefusedError as refusal:
        _name(refusal.provider)
        raise
    # For the log and whoever else asks who answered.
    g.routed = stream.routed
    _name(stream.routed.provider)
    return stream


def _name(provider: str) -> None:
    """Name in the response to the current request, whatever becomes of it, who was asked."""

    @after_this_request
    def tell(response: Response) -> Response:
        response.headers["X-Provider"] = provider
        return response


def error_of(refusal: RefusedError) -> ApiError:
    """Return what the provider says about the request that it refused."""
    error = json.loads(refusal.body)["error"]
    said = {name: value for name, value in error.items() if isinstance(value, str)}
    message = said.get("message", "The provider refused the request.")
    return ApiError(refusal.status, message, code=said.get("code"), param=said.get("param"))


async def relay(asked: Request) -> Response:
    """Return the response to `asked`, whole or as a stream, as a provider gives it.

    Raises:
        ApiError: nobody answered, or too many answers are under way.
    """
    try:
        return await respond(await ask(asked))
    except RefusedError as refusal:
        return Response(refusal.body, refusal.status, content_type="application/json")


async def respond(stream: Stream) -> Response:
    """Return the response that is `stream`, and close that once it has been sent.

    An answer that is no stream of events is read first, so that it has a length.
    """
    answer = stream.routed.answer
    if answer.rest is not None:
        return respond_events(stream, stream.routed)
    async with stream:
        return Response(await stream.read(), content_type=answer.content_type)


def respond_events(events: Body, routed: Routed) -> Response:
    """Return the response that streams `events`, made from the answer of `routed`.

    They are closed once they are sent or the client has gone.
    """
    response = Streamed(events, content_type=routed.answer.content_type)
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Accel-Buffering"] = "no"
    return response
