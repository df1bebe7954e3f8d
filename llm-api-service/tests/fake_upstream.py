"""An OpenAI-compatible server that does as its test says, on a port of its own."""

from __future__ import annotations

import asyncio
import json
import math
import threading
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

PART = (
    '{"id":"x","object":"chat.completion.chunk",'
    '"choices":[{"index":0,"delta":%s,"finish_reason":%s}]}'
)
EVENTS = [
    b"data: " + (PART % ('{"role":"assistant","content":"He"}', "null")).encode() + b"\n\n",
    b"data: " + (PART % ('{"content":"llo"}', "null")).encode() + b"\n\n",
    b"data: " + (PART % ("{}", '"stop"')).encode() + b"\n\n",
    b"data: [DONE]\n\n",
]
TEXT_PART = b'data: {"id":"x","object":"text_completion","choices":[{"index":0,"text":"Hello"}]}'
TEXT_EVENTS = [TEXT_PART + b"\n\n", b"data: [DONE]\n\n"]


@dataclass
class FakeUpstream:
    """What it does, and what it saw."""

    status: int = 200
    body: bytes | None = None
    """Answer with this instead."""
    silence: float = 0.0
    """Seconds before the answer begins."""
    gap: float = 0.0
    """Seconds between two events."""
    split: int | None = None
    """Send the events in pieces of so many bytes."""
    content_type: str = "text/event-stream"
    break_after: int | None = None
    """Drop the connection after so many events."""
    events: list[bytes] | None = None
    """Stream these instead."""
    longest: float = math.inf
    """Refuse conversations of more messages."""
    text: str = "Hello"
    repeat: int = 1
    models: list[Any] | None = None
    """What it lists; None is nothing to be found."""
    lists: int = 0
    """How often it was asked for them."""
    requests: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    open_streams: int = 0
    sent: int = 0
    """Events of all streams."""
    port: int = 0

    def start(self) -> None:
        """Start to serve, in a thread."""
        started = threading.Event()
        self._loop = asyncio.new_event_loop()

        async def serve() -> None:
            app = web.Application()
            for path in ("chat/completions", "completions", "embeddings", "images/generations"):
                app.router.add_post(f"/v1/{path}", self._answer_to)
            app.router.add_get("/v1/pictures/1", self._answer_to)
            app.router.add_get("/v1/models", self._list)
            self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
            await self._runner.setup()
            site = web.TCPSite(self._runner, "127.0.0.1", 0)
            await site.start()
            self.port = self._runner.addresses[0][1]
            started.set()

        def run() -> None:
            self._loop.run_until_complete(serve())
            self._loop.run_forever()

        self._thread = threading.Thread(target=run, daemon=True)
        self._thread.start()
        assert started.wait(10)

    def stop(self) -> None:
        """Stop to serve, dropping what is open."""
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    async def _answer_to(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        self.requests.append(raw)
        self.headers.append(dict(request.headers))
        self.paths.append(request.path)
        if self.silence:
            await asyncio.sleep(self.silence)
        if len(json.loads(raw or b"{}").get("messages", ())) > self.longest:
            error = {"error": {"message": "too long", "code": "context_length_exceeded"}}
            return web.json_response(error, status=400)
        if self.status != 200 or self.body is not None:
            body = self.body or b'{"error":{"message":"as told"}}'
            headers = {"Content-Type": "application/json", "Location": "/elsewhere"}
            return web.Response(status=self.status, body=body, headers=headers)
        if not json.loads(raw).get("stream"):
            return web.json_response(self._answer(request.path, json.loads(raw)))
        response = web.StreamResponse(headers={"Content-Type": self.content_type})
        await response.prepare(request)
        self.open_streams += 1
        try:
            usual = TEXT_EVENTS if request.path == "/v1/completions" else EVENTS
            events = self.events or usual[:1] * self.repeat + usual[1:]
            for number, event in enumerate(events):
                if number == self.break_after:
                    assert request.transport
                    request.transport.abort()
                    return response
                await self._write(response, event)
                self.sent += 1
                await asyncio.sleep(self.gap)
        finally:
            self.open_streams -= 1
        return response

    async def _list(self, request: web.Request) -> web.Response:
        del request
        self.lists += 1
        if self.models is None:
            raise web.HTTPNotFound
        return web.json_response({"object": "list", "data": [{"id": m} for m in self.models]})

    async def _write(self, response: web.StreamResponse, event: bytes) -> None:
        size = self.split or len(event)
        for start in range(0, len(event), size):
            await response.write(event[start : start + size])

    def _answer(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        if path.endswith("/embeddings"):
            vector = {"object": "embedding", "index": 0, "embedding": [0.5, -0.5]}
            return {"object": "list", "data": [vector], "model": body["model"], "usage": usage}
        if path.endswith("/images/generations"):
            return {"created": 1, "data": [{"url": "https://images.example/1.png"}]}
        answer = {"id": "x", "created": 1, "model": body["model"], "usage": usage}
        choice: dict[str, Any] = {"index": 0, "finish_reason": "stop"}
        if path.endswith("/chat/completions"):
            message = {"role": "assistant", "content": self.text}
            return {
                **answer,
                "object": "chat.completion",
                "choices": [choice | {"message": message}],
            }
        completion = choice | {"text": self.text, "logprobs": None}
        return {**answer, "object": "text_completion", "choices": [completion]}
