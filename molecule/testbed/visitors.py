"""Clients that ask all the time and note what fails, while the certificates of a cluster change."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import httpx

from tests.lab.gateway import At

# Seconds between a client's requests.
PAUSE = 0.1


@dataclass
class Visitors:
    """Clients of `host` at `address` that ask by HTTP, and go where they are led.

    Whom they trust does not matter to them: a certificate that has expired is served, too.

    Attributes:
        answered: how many requests had an answer.
        failures: what became of the others.
    """

    address: str
    host: str
    answered: int = 0
    failures: list[str] = field(default_factory=list)
    _end: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> Self:
        """Start them."""
        self._threads.extend(threading.Thread(target=self._ask, daemon=True) for _ in range(3))
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop, once what is under way has ended."""
        self.stop()

    @property
    def stopped(self) -> bool:
        """Whether they ask no more."""
        return self._end.is_set()

    def stop(self) -> None:
        """Stop, once what is under way has ended."""
        self._end.set()
        for thread in self._threads:
            thread.join()

    def _ask(self) -> None:
        """Ask, by a new connection each time, until the end."""
        while not self.stopped:
            try:
                transport = At(self.address, verify=False)
                with httpx.Client(transport=transport, follow_redirects=True, timeout=15) as client:
                    answer = client.post(f"http://{self.host}/v1/models", json={})
                    answer.raise_for_status()
                self.answered += 1
            except httpx.HTTPError as error:
                now = time.strftime("%H:%M:%S")
                self.failures.append(f"{now} {type(error).__name__}: {error}")
            time.sleep(PAUSE)
