"""A server that is asked again and again, and the connections to it."""

from __future__ import annotations

import asyncio
import socket
import ssl
from base64 import b64encode
from collections.abc import Mapping
from contextvars import Context
from http import HTTPStatus
from typing import Any

import aiohappyeyeballs
from aiohappyeyeballs import AddrInfoType
from yarl import URL

from llm_api.http_client.connection import Connection, ConnectionFailedError, HttpError, Response

# Seconds until a server must have taken a connection, and those that an idle one is kept.
CONNECT_TIMEOUT = 5.0
KEEP_ALIVE = 30.0
# Seconds after which the end of a kept connection has to do with the request on it.
CROSSING = 1.0
# Seconds that addresses are remembered, and after which the next of them is tried beside the first.
ADDRESSES_HOLD = 10.0
NEXT_ADDRESS = 0.25
AGENT = "llm-api-service"


class Origin:
    """A server, by its scheme, host and port. Its connections outlive the requests."""

    def __init__(self, url: URL, proxy: URL | None = None) -> None:
        """Ask the server of `url`, through the HTTP `proxy` if there is one.

        Raises:
            ValueError: one of them has no host.
        """
        self._url = url.origin()
        self._proxy = proxy
        self._secure = url.scheme == "https"
        self._credentials = _basic(url)
        self._proxy_credentials = _basic(proxy) if proxy else ""
        nearest = (proxy or url).origin()
        self._host, self._port = nearest.raw_host or "", nearest.port or 0
        self._context: ssl.SSLContext | None = None
        self._idle: dict[Connection, float] = {}
        self._all: set[Connection] = set()
        self._sweeping: asyncio.TimerHandle | None = None
        self._lookup: asyncio.Task[list[AddrInfoType]] | None = None
        self._looked_up = 0.0

    @property
    def connections(self) -> int:
        """How many there are, idle or not."""
        return len(self._all)

    def head(self, method: str, url: URL, headers: Mapping[str, str]) -> bytes:
        """Return what a request to `url`, which is of this server, begins with, up to a last line.

        Raises:
            ValueError: a header has a value that cannot be sent.
        """
        # A proxy that passes the request on, and no connection, has to be told where to.
        through_proxy = self._proxy and not self._secure
        target = f"{self._url}{url.raw_path_qs}" if through_proxy else url.raw_path_qs
        all_headers = {"Host": self._place(), "Accept": "*/*", "User-Agent": AGENT}
        if self._credentials:
            all_headers["Authorization"] = self._credentials
        if through_proxy and self._proxy_credentials:
            all_headers["Proxy-Authorization"] = self._proxy_credentials
        lines = [f"{name}: {value}" for name, value in (all_headers | dict(headers)).items()]
        if not all(line.isprintable() for line in lines):
            raise ValueError("a header cannot be sent: it has control characters")
        return "\r\n".join([f"{method} {target} HTTP/1.1", *lines, ""]).encode("latin-1")

    async def ask(self, head: bytes, body: bytes | None = None) -> Response:
        """Send a request, and return its answer once its status and headers are here.

        Args:
            head: as the method of that name returns it.
            body: what to send; None is no body, as with GET.

        Raises:
            ConnectionFailedError: there is no connection.
            HttpError: no answer came over it.
        """
        if body is None:
            request = head + b"\r\n"
        else:
            request = b"%bContent-Length: %d\r\n\r\n%b" % (head, len(body), body)
        if self._idle:
            connection, _ = self._idle.popitem()
            loop = asyncio.get_running_loop()
            asked = loop.time()
            response = connection.ask(request)
            try:
                return await _begun(response)
            except HttpError:
                # The server may just have closed it as one that nobody uses.
                if response.begun or loop.time() - asked > CROSSING:
                    raise
        return await _begun((await self._connect()).ask(request))

    def close(self) -> None:
        """Close all connections."""
        if self._sweeping:
            self._sweeping.cancel()
        for connection in list(self._all):
            connection.close()

    def _place(self) -> str:
        host, port = self._url.host_subcomponent, self._url.explicit_port
        return f"{host}:{port}" if port else f"{host}"

    def _keep(self, connection: Connection) -> None:
        self._idle[connection] = asyncio.get_running_loop().time()
        if self._sweeping is None:
            self._sweep()

    def _lose(self, connection: Connection) -> None:
        self._idle.pop(connection, None)
        self._all.discard(connection)

    def _sweep(self) -> None:
        """Close what nobody has used for long, and come again while there is something."""
        loop = asyncio.get_running_loop()
        old = loop.time() - KEEP_ALIVE
        for connection in [each for each, since in self._idle.items() if since <= old]:
            del self._idle[connection]
            connection.close()
        # Outside of the context of whichever request was answered last.
        self._sweeping = (
            loop.call_later(KEEP_ALIVE / 2, self._sweep, context=Context()) if self._idle else None
        )

    async def _connect(self) -> Connection:
        """Return a new connection.

        It keeps the context in which it was made, and must not keep that of the current request.
        """
        return await asyncio.get_running_loop().create_task(self._open(), context=Context())

    async def _open(self) -> Connection:
        loop = asyncio.get_running_loop()
        connection = Connection(self._keep, self._lose)
        try:
            if not self._secure:
                await self._reach(connection)
            elif self._proxy:
                tunnel = Connection(lambda _: None, lambda _: None)
                await self._reach(tunnel)
                secured = await loop.start_tls(
                    await self._tunnel(tunnel),
                    connection,
                    self._tls(),
                    server_hostname=self._url.raw_host,
                )
                if secured is None:
                    raise ConnectionFailedError("no connection")
                connection.connection_made(secured)
            else:
                await self._reach(connection, ssl=self._tls(), server_hostname=self._url.raw_host)
        except TimeoutError:
            raise ConnectionFailedError("no connection in time") from None
        except ssl.SSLCertVerificationError as error:
            raise ConnectionFailedError("a certificate that is not trusted") from error
        except OSError as error:
            raise ConnectionFailedError("no connection") from error
        if not connection.lost:
            self._all.add(connection)
        return connection

    async def _reach(self, connection: Connection, **tls: Any) -> None:
        """Connect to the server or the proxy, with what the loop is told of TLS."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(CONNECT_TIMEOUT):
            addresses = await self._addresses()
            if len(addresses) == 1:
                # As in the cluster. The loop does this in half the time.
                host, port = addresses[0][4][:2]
                await loop.create_connection(lambda: connection, str(host), int(port), **tls)
                return
            connected = await aiohappyeyeballs.start_connection(
                addresses, happy_eyeballs_delay=NEXT_ADDRESS, interleave=1
            )
            await loop.create_connection(lambda: connection, sock=connected, **tls)

    async def _tunnel(self, connection: Connection) -> asyncio.Transport:
        """Let the proxy connect to the server, and return what leads there."""
        place = f"{self._url.host_subcomponent}:{self._url.port}"
        lines = [f"CONNECT {place} HTTP/1.1", f"Host: {place}", f"User-Agent: {AGENT}"]
        if self._proxy_credentials:
            lines.append(f"Proxy-Authorization: {self._proxy_credentials}")
        try:
            response = await _begun(connection.ask("\r\n".join([*lines, "", ""]).encode("latin-1")))
        except HttpError as error:
            raise ConnectionFailedError(str(error)) from error
        if response.status != HTTPStatus.OK:
            response.close()
            raise ConnectionFailedError(f"no connection: the proxy answered {response.status}")
        return connection.detach()

    async def _addresses(self) -> list[AddrInfoType]:
        """Return those of the server or the proxy; all who wait for them wait for one answer."""
        loop = asyncio.get_running_loop()
        lookup = self._lookup
        if lookup is None or (lookup.done() and loop.time() - self._looked_up > ADDRESSES_HOLD):
            lookup = self._lookup = loop.create_task(self._look_up(), context=Context())
            lookup.add_done_callback(self._found)
        return await asyncio.shield(lookup)

    async def _look_up(self) -> list[AddrInfoType]:
        loop = asyncio.get_running_loop()
        # It is typed as what it may be for sockets of any kind.
        return await loop.getaddrinfo(  # type: ignore[return-value]
            self._host, self._port, type=socket.SOCK_STREAM
        )

    def _found(self, lookup: asyncio.Task[list[AddrInfoType]]) -> None:
        self._looked_up = asyncio.get_running_loop().time()
        if lookup.cancelled() or lookup.exception():
            self._lookup = None

    def _tls(self) -> ssl.SSLContext:
        if self._context is None:
            self._context = ssl.create_default_context()
            self._context.set_alpn_protocols(["http/1.1"])
        return self._context


async def _begun(response: Response) -> Response:
    """Return `response` once its head is here; without one, nothing is left of it."""
    try:
        await response.head()
    except BaseException:
        response.close()
        raise
    return response


def _basic(url: URL) -> str:
    """Return the header by which whoever is named in `url` proves it; empty if nobody is."""
    if not url.user:
        return ""
    return "Basic " + b64encode(f"{url.user}:{url.password or ''}".encode()).decode()
