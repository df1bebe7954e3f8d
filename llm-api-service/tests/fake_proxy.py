"""A forward proxy that does as its test says, on a port of its own."""

from __future__ import annotations

import asyncio
import base64
import threading
from contextlib import suppress
from dataclasses import dataclass, field


@dataclass
class FakeProxy:
    """Connects to `port` whatever it is asked for, or answers with a status, or passes nothing."""

    port: int
    status: int = 200
    silent: bool = False
    user: str = ""
    """`name:password` that it wants."""
    asked: list[str] = field(default_factory=list)
    """Whom it was asked to connect to."""

    def start(self) -> None:
        """Start to serve, in a thread."""
        started = threading.Event()
        self._loop = asyncio.new_event_loop()

        async def serve() -> None:
            self._server = await asyncio.start_server(self._connect, "127.0.0.1", 0)
            self._port = self._server.sockets[0].getsockname()[1]
            started.set()

        def run() -> None:
            self._loop.run_until_complete(serve())
            self._loop.run_forever()

        self._thread = threading.Thread(target=run, daemon=True)
        self._thread.start()
        assert started.wait(10)

    def stop(self) -> None:
        """Stop to serve, dropping what is open."""

        def stop() -> None:
            self._server.close()
            for task in asyncio.all_tasks(self._loop):
                task.cancel()
            self._loop.call_later(0.1, self._loop.stop)

        self._loop.call_soon_threadsafe(stop)
        self._thread.join(10)

    @property
    def url(self) -> str:
        return f"http://{self.user}{'@' if self.user else ''}127.0.0.1:{self._port}"

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            method, place, _ = head.split(" ", 2)
            self.asked.append(place)
            if self.silent:
                await asyncio.sleep(60)
            status = self.status
            if self.user and f"Basic {base64.b64encode(self.user.encode()).decode()}" not in head:
                status = 407
            if status != 200:
                writer.write(f"HTTP/1.1 {status} As told\r\nContent-Length: 0\r\n\r\n".encode())
                writer.close()
                return
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.port)
            if method == "CONNECT":
                writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
            else:
                far_writer.write(head.encode())
            await asyncio.gather(self._pass(reader, far_writer), self._pass(far_reader, writer))

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            if self.silent:
                await asyncio.sleep(60)
            writer.write(data)
            await writer.drain()
        writer.close()
