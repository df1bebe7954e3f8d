"""Flask on an event loop."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest
from flask import Response, g, request, url_for
from flask.testing import FlaskClient
from in_process import InProcess

from llm_api import on_loop
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


def test_a_view_is_found_by_all_that_it_depends_on(app: LoopFlask) -> None:
    app.add_url_rule("/loop", "posted", lambda: "", methods=["POST"])
    app.add_url_rule("/of/<name>", "of", lambda name: name)
    asked = [
        ("GET", "/loop?name=a", "on_loop", {}),
        ("GET", "/loop", "on_loop", {}),
        ("GET", "/loop?name=b", "on_loop", {}),
        ("POST", "/loop", "posted", {}),
        ("GET", "/of/a", "of", {"name": "a"}),
        ("GET", "/of/b", "of", {"name": "b"}),
    ]
    # The second time some of them are remembered.
    for method, path, endpoint, args in asked * 2:
        with app.test_request_context(path, method=method) as context:
            assert (context.request.endpoint, context.request.view_args) == (endpoint, args)
            assert url_for("of", name="c", _external=True) == "http://localhost/of/c"
    with app.test_request_context("/loop", headers={"Host": "elsewhere"}):
        assert url_for("of", name="c", _external=True) == "http://elsewhere/of/c"


@pytest.mark.parametrize(
    ("headers", "status"),
    [({"Connection": "Upgrade", "Upgrade": "websocket"}, 400), ({"Host": "a..b"}, 400)],
)
def test_what_is_remembered_lets_nothing_else_pass(
    app: LoopFlask, headers: dict[str, str], status: int
) -> None:
    for _ in range(2):
        with app.test_request_context("/loop") as context:
            assert context.request.routing_exception is None
        with app.test_request_context("/loop", headers=headers) as context:
            assert context.request.routing_exception
            assert context.request.routing_exception.code == status


def test_what_is_remembered_does_not_grow_for_ever(
    app: LoopFlask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(on_loop, "MOST_REMEMBERED", 3)
    for number in range(10):
        with app.test_request_context("/loop", headers={"Host": f"host{number}"}) as context:
            assert context.request.endpoint == "on_loop"
            assert len(app._remembered) <= 3
    with app.test_request_context("/loop", headers={"Host": "a" * 60 + ".b" * 100}):
        assert len(app._remembered) == 1
