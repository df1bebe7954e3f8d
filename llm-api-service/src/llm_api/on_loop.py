"""Flask on an event loop: views that are coroutines run on it, the others in threads beside it."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Coroutine
from inspect import isawaitable, iscoroutinefunction
from typing import Any

from flask import Flask, Response
from flask.ctx import RequestContext

from llm_api.asgi import Environ


class LoopFlask(Flask):
    """Flask, except that `async def` is for what must not wait, and `def` for what may.

    An `async def` view runs on the event loop, where nothing may block: it awaits what takes a
    while. A `def` view may use the database or hash a password: it runs in a thread. Functions
    before a request are awaited where they are coroutines. Those after it, and handlers of errors,
    must not block.

    The context of a request is that of its task, so requests do not see each other's.
    """

    loop: asyncio.AbstractEventLoop
    """The loop that requests are answered on, from the first of them on."""

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
