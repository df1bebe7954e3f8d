"""Flask on an event loop: views that are coroutines run on it, the others in threads beside it."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Coroutine
from inspect import isawaitable, iscoroutinefunction
from typing import IO, Any, cast

from flask import Flask, Request, Response
from flask.ctx import RequestContext
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.routing import MapAdapter, Rule
from werkzeug.utils import cached_property
from werkzeug.wsgi import get_content_length

from llm_api.asgi import Environ

# Requests whose view is remembered, and the longest host that they may name.
MOST_REMEMBERED = 1024
LONGEST_HOST = 255


_Asked = tuple[str, str, str]
"""Host, path and method."""


class WholeRequest(Request):
    """A request whose body has come whole, and is not longer than it says."""

    @cached_property
    def stream(self) -> IO[bytes]:
        """The body, which needs no guard against reading past its end.

        Raises:
            RequestEntityTooLarge: it is larger than it may be.
        """
        most = self.max_content_length
        if most is not None and (get_content_length(self.environ) or 0) > most:
            raise RequestEntityTooLarge
        return cast(IO[bytes], self.environ["wsgi.input"])


class _Context(RequestContext):
    """The context of a request, whose view may be known already."""

    def match_request(self) -> None:
        """Find the view, unless it is known."""
        if self.request.url_rule is None:
            super().match_request()
            cast(LoopFlask, self.app).remember(self)


class LoopFlask(Flask):
    """Flask, except that `async def` is for what must not wait, and `def` for what may.

    An `async def` view runs on the event loop, where nothing may block: it awaits what takes a
    while. A `def` view may use the database or hash a password: it runs in a thread. Functions
    before a request are awaited where they are coroutines. Those after it, and handlers of errors,
    must not block.

    The context of a request is that of its task, so requests do not see each other's.
    """

    request_class = WholeRequest
    loop: asyncio.AbstractEventLoop
    """The loop that requests are answered on, from the first of them on."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Begin without a view."""
        super().__init__(*args, **kwargs)
        self._remembered: dict[_Asked, tuple[MapAdapter, Rule]] = {}

    def request_context(self, environ: Environ) -> RequestContext:
        """Return the context of a request."""
        return _Context(self, environ)

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """Return what finds the view of `request`; where both are remembered, it has been found."""
        known = self._remembered.get(asked) if request and (asked := _asked(request)) else None
        if not request or not known:
            return super().create_url_adapter(request)
        adapter, request.url_rule = known
        request.view_args = {}
        return adapter

    def remember(self, context: RequestContext) -> None:
        """Remember the view of a request for others that ask the same, to be found only once.

        Not where its path or its query says more than which view it is.
        """
        request, adapter, asked = context.request, context.url_adapter, _asked(context.request)
        says_more = request.view_args or request.query_string
        if asked and adapter and request.url_rule and not says_more:
            if len(self._remembered) >= MOST_REMEMBERED:
                self._remembered.clear()
            self._remembered[asked] = adapter, request.url_rule

    async def respond(self, environ: Environ) -> Response:
        """Return the response to a request; all that can go wrong is one, too."""
        with self.request_context(environ) as context:
            if self._runs_on_loop(context):
                return await self._respond(context)
            return await self._respond_in_thread()

    def _runs_on_loop(self, context: RequestContext) -> bool:
        request = context.request
        # What Flask answers by itself has no view.
        if request.routing_exception is not None or request.method == "OPTIONS":
            return False
        return iscoroutinefunction(self.view_functions[request.endpoint or ""])

    async def _respond(self, context: RequestContext) -> Response:
        request = context.request
        view: Any = self.view_functions[request.endpoint or ""]
        try:
            result = await self._before(context)
            if result is None:
                result = await view(**(request.view_args or {}))
        except Exception as error:  # the handlers of errors decide about it
            result = self.handle_user_exception(error)
        return self.finalize_request(result)

    async def _before(self, context: RequestContext) -> Any:
        """Return what some function before the request answers in place of its view."""
        for name in (None, *reversed(context.request.blueprints)):
            for function in self.before_request_funcs.get(name, ()):
                result: Any = function()
                if isawaitable(result):
                    result = await result
                if result is not None:
                    return result
        return None

    async def _respond_in_thread(self) -> Response:
        self.loop = asyncio.get_running_loop()
        run = contextvars.copy_context().run
        working = self.loop.run_in_executor(None, run, self._respond_whole)
        try:
            return await asyncio.shield(working)
        except asyncio.CancelledError:
            # The thread goes on, and needs the context of the request until then.
            await asyncio.wait([working])
            raise

    def _respond_whole(self) -> Response:
        response = self.full_dispatch_request()
        # Files are read here, too.
        response.make_sequence()
        return response

    def async_to_sync(self, func: Callable[..., Coroutine[Any, Any, Any]]) -> Callable[..., Any]:
        """Return a function by which a thread waits for what has to run on the loop."""

        def wait(*args: Any, **kwargs: Any) -> Any:
            return asyncio.run_coroutine_threadsafe(func(*args, **kwargs), self.loop).result()

        return wait


def _asked(request: Request) -> _Asked | None:
    """Return what the view of `request` depends on; None if there is more, or it is too long."""
    environ = request.environ
    host = environ.get("HTTP_HOST", "")
    if not 0 < len(host) <= LONGEST_HOST or "HTTP_UPGRADE" in environ:
        return None
    return host, environ["PATH_INFO"], request.method
