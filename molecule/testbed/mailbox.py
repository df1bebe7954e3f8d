"""Who wants to be told: a mail server and a webhook on the machine beside the test host."""

from __future__ import annotations

from functools import partial
from typing import Any

from testbed.outside import Neighbour
from testbed.waiting import wait_until

MAIL_PORT = 25
WEBHOOK_PORT = 8080
MAIL = "/srv/mail"
WEBHOOK = "/srv/webhook"
TO = "admin@example.test"

_SCRIPT = f"""
import socketserver, threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

class Mail(socketserver.StreamRequestHandler):
    def handle(self):
        self.wfile.write(b"220 mailbox\\r\\n")
        for line in self.rfile:
            word = line.split()[0].upper()
            if word == b"DATA":
                self.wfile.write(b"354 go on\\r\\n")
                letter = iter(self.rfile.readline, b".\\r\\n")
                Path("{MAIL}").write_bytes(b"".join(letter))
            self.wfile.write(b"250 done\\r\\n")
            if word == b"QUIT":
                break

class Webhook(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        Path("{WEBHOOK}").write_bytes(body)
        self.send_response(204)
        self.end_headers()

mail = socketserver.TCPServer(("", {MAIL_PORT}), Mail)
threading.Thread(target=mail.serve_forever).start()
HTTPServer(("", {WEBHOOK_PORT}), Webhook).serve_forever()
"""


class Mailbox:
    """Keeps the last of what came by mail and by webhook."""

    def __init__(self, machine: Neighbour) -> None:
        """Open it on `machine`."""
        self._machine = machine
        machine.start(["python3", "-c", _SCRIPT])
        for port in (MAIL_PORT, WEBHOOK_PORT):
            wait_until(partial(machine.probe.reaches, "127.0.0.1", port), "it is open")

    @property
    def settings(self) -> dict[str, Any]:
        """The variables of the role `certbot` by which it is told."""
        return {
            "certbot_webhook": f"http://{self._machine.address}:{WEBHOOK_PORT}/",
            "certbot_mail_to": TO,
            "certbot_mail_from": "cluster@example.test",
            "certbot_mail_server": f"{self._machine.address}:{MAIL_PORT}",
        }

    def empty(self) -> None:
        """Throw away what has come."""
        self._machine.run(["rm", "-f", MAIL, WEBHOOK])

    @property
    def mail(self) -> str:
        """The last mail, with its head."""
        return self._machine.run(["cat", MAIL])

    @property
    def webhook(self) -> str:
        """The body of the last request."""
        return self._machine.run(["cat", WEBHOOK])
