"""A client of HTTP/3."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Self

from aioquic.asyncio.client import connect
from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.h3.events import DataReceived, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import ConnectionTerminated, QuicEvent


@dataclass
class Answer:
    """What has come of an answer so far; `ended` is set when no more will."""

    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    whole: bool = False
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def status(self) -> int:
        """The status code, or 0 before it is known."""
        return int(self.headers.get(":status", 0))


class Client(QuicConnectionProtocol):
    """One connection."""

    @classmethod
    @asynccontextmanager
    async def to(cls, address: str, host: str, root: bytes) -> AsyncIterator[Self]:
        """Connect to `host` at `address`, which must show a certificate of `root`."""
        configuration = QuicConfiguration(
            is_client=True, alpn_protocols=H3_ALPN, server_name=host, verify_mode=ssl.CERT_REQUIRED
        )
        configuration.load_verify_locations(cadata=root)
        async with connect(
            address, 443, configuration=configuration, create_protocol=cls
        ) as client:
            assert isinstance(client, cls)
            client.start(host)
            yield client

    def start(self, host: str) -> None:
        """Speak HTTP/3 with `host`."""
        self._host = host
        self._http = H3Connection(self._quic)
        self._answers: dict[int, Answer] = {}

    def ask(self, path: str, method: str = "GET") -> Answer:
        """Send a request, and return the answer before there is any of it."""
        stream = self._quic.get_next_available_stream_id()
        self._answers[stream] = Answer()
        fields = {":method": method, ":scheme": "https", ":authority": self._host, ":path": path}
        headers = [(name.encode(), value.encode()) for name, value in fields.items()]
        self._http.send_headers(stream, headers, end_stream=True)
        self.transmit()
        return self._answers[stream]

    def quic_event_received(self, event: QuicEvent) -> None:
        """Take in what has arrived."""
        if isinstance(event, ConnectionTerminated):
            for answer in self._answers.values():
                answer.ended.set()
        for part in self._http.handle_event(event):
            if isinstance(part, HeadersReceived | DataReceived):
                answer = self._answers[part.stream_id]
                if isinstance(part, HeadersReceived):
                    answer.headers |= {k.decode(): v.decode() for k, v in part.headers}
                else:
                    answer.body += part.data
                if part.stream_ended:
                    answer.whole = True
                    answer.ended.set()
