"""Clients that ask all the time and note what fails, while the certificates of a cluster change."""

from __future__ import annotations

import time

import httpx

from testbed.background import Background
from tests.lab.gateway import At

# Seconds between a client's requests.
PAUSE = 0.1


class Visitors(Background):
    """Clients of a host that ask by HTTP, and go where they are led.

    Whom they trust does not matter to them: a certificate that has expired is served, too.

    Attributes:
        answered: how many requests had an answer.
        failures: what became of the others.
    """

    def __init__(self, address: str, host: str) -> None:
        """Plan for three clients of `host`, which is found at `address`."""
        self.address = address
        self.host = host
        self.answered = 0
        self.failures: list[str] = []
        # Making one takes longer than a request.
        self._trust = httpx.create_ssl_context(verify=False)
        super().__init__(*[self._ask] * 3)

    def _ask(self) -> None:
        """Ask, by a new connection each time, until the end."""
        while not self.stopped:
            try:
                transport = At(self.address, verify=self._trust)
                with httpx.Client(transport=transport, follow_redirects=True, timeout=15) as client:
                    answer = client.post(f"http://{self.host}/v1/models", json={})
                    answer.raise_for_status()
                self.answered += 1
            except httpx.HTTPError as error:
                now = time.strftime("%H:%M:%S")
                self.failures.append(f"{now} {type(error).__name__}: {error}")
            time.sleep(PAUSE)
