# SPDX-License-Identifier: GPL-3.0-or-later
"""Sees to it that each certificate that is wanted is there, fresh, and served."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from certificate_control.certbot import Certbot
from certificate_control.errors import CertificateError
from certificate_control.orders import CA_BUNDLE, Order
from certificate_control.pair import Pair, self_signed
from certificate_control.report import Outcome
from certificate_control.store import Store
from certificate_control.timing import Window, ask_for_window, renewal_time


@dataclass(frozen=True)
class Keeper:
    """Keeps certificates.

    Attributes:
        certbot: gets them from authorities.
        store: where the gateway finds them.
        wait_until_served: returns when the gateway serves a pair.
        now: tells the time.
    """

    certbot: Certbot
    store: Store
    wait_until_served: Callable[[Pair], None]
    now: Callable[[], datetime]

    def keep(self, order: Order) -> Outcome:
        """Do what is to be done for `order`. What is served stays served whatever happens."""
        done, failures = [], []
        for step in (self._renew, self._deploy):
            try:
                done.append(step(order))
            except CertificateError as error:
                failures.append(str(error))
            except OSError as error:
                failures.append(f"{error.strerror}: {error.filename}")
        deployed = self.store.newest(order.name)
        return Outcome(
            order.name,
            done=", ".join(filter(None, done)),
            failure="; ".join(dict.fromkeys(failures)),
            end=deployed.end if deployed else None,
        )

    def _renew(self, order: Order) -> str:
        """Get a new certificate if one is due, and return why."""
        if order.source == "files":
            return ""
        reason = self._due(order)
        if not reason:
            return ""
        if order.source == "acme":
            self.certbot.obtain(order)
        else:
            pair = self_signed(order.names, self.now())
            for name, content in {"fullchain.pem": pair.chain, "privkey.pem": pair.key}.items():
                path = order.folder / name
                path.touch(mode=0o600)
                path.write_bytes(content)
        return f"issued because {reason}"

    def _due(self, order: Order) -> str:
        """Return why a new certificate is needed, or nothing."""
        try:
            pair = self._current(order)
        except CertificateError:
            return "there was none"
        if set(pair.names) != set(order.names):
            return "the names are others"
        if order.source == "acme":
            if pair.key_type != order.key_type:
                return "the kind of key is another"
            if self.certbot.directory(order.name) != order.directory:
                return "the authority is another"
        window = _window(order, pair) if order.source == "acme" else None
        if renewal_time(pair, window) <= self.now():
            return "the one before had to be renewed"
        return ""

    def _current(self, order: Order) -> Pair:
        acme = order.source == "acme"
        return Pair.read(self.certbot.lineage(order.name) if acme else order.folder)

    def _deploy(self, order: Order) -> str:
        """Let the gateway serve the newest certificate, unless it does."""
        pair = self._current(order)
        if pair == self.store.newest(order.name):
            self.wait_until_served(pair)
            return ""
        pair.check(order.names, self.now())
        version = self.store.add(order.name, pair, self.now())
        try:
            self.wait_until_served(pair)
        except CertificateError:
            self.store.withdraw(version)
            raise
        self.store.prune(order.name)
        return "deployed"


def _window(order: Order, pair: Pair) -> Window | None:
    try:
        return ask_for_window(order.directory, order.file(CA_BUNDLE), pair)
    except (OSError, ValueError, KeyError) as error:
        logging.info("%s: the authority does not say when to renew it: %s", order.name, error)
        return None
