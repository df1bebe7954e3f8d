"""A way to a server that can be cut, as when the server's host goes down."""

from __future__ import annotations

import contextlib
import socket
import threading

ADDRESS = "127.0.0.1"


class Relay:
    """Hands connections on to a server, from a port of its own."""

    def __init__(self, host: str, port: int) -> None:
        """Lead to the server at `host` and `port`."""
        self._server = host, port
        self._open: list[socket.socket] = []
        self._waiting: list[socket.socket] = []
        self.port = 0
        self._listener = self._listen(100)
        self.port = self._listener.getsockname()[1]
        self._begin()

    def cut(self, *, silent: bool) -> None:
        """End all connections, and refuse others, or give them no answer at all if `silent`."""
        self.close()
        if silent:
            self._listener = self._listen(0)
            self._fill()

    def mend(self) -> None:
        """Let connections through again."""
        self.close()
        self._listener = self._listen(100)
        self._begin()

    def close(self) -> None:
        """End all connections, and refuse others."""
        # This wakes the thread that accepts; it is an error where that was done before.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        while self._waiting:
            self._waiting.pop().close()
        while self._open:
            _shut(self._open.pop())

    def _listen(self, backlog: int) -> socket.socket:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((ADDRESS, self.port))
        listener.listen(backlog)
        return listener

    def _begin(self) -> None:
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def _fill(self) -> None:
        """Fill the queue of those that wait to be accepted, so that the next ones get no answer."""
        while True:
            waiting = socket.socket()
            self._waiting.append(waiting)
            waiting.settimeout(0.2)
            try:
                waiting.connect((ADDRESS, self.port))
            except TimeoutError:
                return

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            server = socket.create_connection(self._server)
            self._open += client, server
            for ends in ((client, server), (server, client)):
                threading.Thread(target=_pass_on, args=ends, daemon=True).start()


def _pass_on(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65_536):
            sink.sendall(data)
    _shut(source)
    _shut(sink)


def _shut(end: socket.socket) -> None:
    # The server or the client may have been first.
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
