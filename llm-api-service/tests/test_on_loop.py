"""Flask on an event loop."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest
from flask import Response, g, request
from flask.testing import FlaskClient
from in_process import InProcess

from llm_api.asgi import Asgi
from llm_api.on_loop import LoopFlask


@pytest.fixture
def app() -> LoopFlask:
    app = LoopFlask(__name__)

    @app.before_request
    async def note() -> Response | None:
        await asyncio.sleep(0)
        g.name = request.args.get("name")
        return Response("refused", 403) if g.name == "nobody" else None

    @app.get("/loop")
    async def on_loop() -> str:
        before = threading.get_ident()
        await asyncio.sleep(0.05)
        # Others have been here meanwhile.
        assert request.args["name"] == g.name
        assert before == threading.get_ident()
        return f"{g.name} {before}"

    @app.get("/thread")
    def in_thread() -> str:
        time.sleep(0.05)
        return f"{g.name} {threading.get_ident()}"

    @app.get("/fails")
    async def fails() -> str:
        raise LookupError

    @app.errorhandler(LookupError)
    def failed(_: LookupError) -> Response:
        return Response(f"{g.name} failed", 500)

    return app


def test_views_and_their_contexts(app: LoopFlask) -> None:
    running = InProcess(Asgi(app.respond, 1000))
    app.wsgi_app = running  # type: ignore[method-assign]
    loop_thread = running.run(_thread())
    told: dict[str, set[str]] = {"/loop": set(), "/thread": set()}

    def ask(client: FlaskClient, path: str, name: str) -> None:
        answer, thread = client.get(f"{path}?name={name}").text.split()
        assert answer == name
        told[path].add(thread)

    askers = [
        threading.Thread(target=ask, args=(app.test_client(), path, f"{path[1:]}{i}"))
        for i in range(20)
        for path in told
    ]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    assert told["/loop"] == {str(loop_thread)}
    assert str(loop_thread) not in told["/thread"]
    assert len(told["/thread"]) > 1
    client = app.test_client()
    for path in ("/loop", "/thread", "/fails"):
        refused = client.get(f"{path}?name=nobody")
        assert (refused.status_code, refused.text) == (403, "refused")
    assert client.get("/fails?name=x").text == "x failed"
    assert client.get("/nowhere").status_code == 404
    assert client.post("/loop").status_code == 405
    assert "GET" in client.options("/loop").headers["Allow"]
    assert client.head("/loop?name=x").data == b""
    running.stop()


async def _thread() -> int:
    return threading.get_ident()
