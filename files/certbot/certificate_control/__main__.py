# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands: `renew` certificates, `remove` one, and `list` them."""

from __future__ import annotations

import argparse
import fcntl
import json
import logging
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from certificate_control.certbot import Certbot
from certificate_control.errors import CertificateError
from certificate_control.gateway import wait_until_served
from certificate_control.keeper import Keeper
from certificate_control.orders import read_order, read_orders
from certificate_control.pair import utc_now
from certificate_control.report import forget, notify, write_metrics
from certificate_control.store import Store

STATE = Path("/etc/letsencrypt")
WANTED = STATE / "wanted"
STORE = Path("/srv/certificates")
WEBROOT = Path("/srv/acme")
METRICS = Path("/srv/metrics/freegpt4_certificates.prom")
LOGS = Path("/var/log/certbot")
GATEWAY = ("gateway", 443)

# Seconds that a run waits for another one to end.
PATIENCE = 600.0

REASONS = [
    "unspecified",
    "keycompromise",
    "affiliationchanged",
    "superseded",
    "cessationofoperation",
]


def main() -> int:
    """Run a command and return 1 if something failed."""
    parser = argparse.ArgumentParser(prog="certbot", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    renew = commands.add_parser("renew", help="get, renew and deploy what is wanted, where needed")
    renew.add_argument("names", nargs="*", help="certificates; by default all")
    remove = commands.add_parser("remove", help="stop serving a certificate, and forget it")
    remove.add_argument("name")
    remove.add_argument("--revoke", choices=REASONS, help="tell the authority too, for this reason")
    commands.add_parser("list", help="show what is wanted, and until when it is valid")
    arguments = parser.parse_args()
    logging.basicConfig(
        level=logging.INFO,
        format="%(asctime)s %(levelname)s %(message)s",
        handlers=[logging.FileHandler(LOGS / "certificates.log")],
    )
    try:
        with _lock(STATE / "lock"):
            if arguments.command == "renew":
                return _renew(arguments.names)
            if arguments.command == "remove":
                return _remove(arguments.name, arguments.revoke)
            return _list()
    except CertificateError as error:
        return _fail(str(error))
    except OSError as error:
        return _fail(f"{error.strerror}: {error.filename}")


def _renew(names: Sequence[str]) -> int:
    settings: dict[str, Any] = json.loads((STATE / "settings.json").read_text())
    orders = [order for order in read_orders(WANTED) if not names or order.name in names]
    keeper = Keeper(
        Certbot(STATE, WEBROOT, LOGS),
        Store(STORE),
        partial(wait_until_served, GATEWAY, proxy_protocol=settings["proxy_protocol"]),
        utc_now,
    )
    outcomes = [keeper.keep(order) for order in orders]
    status = 0
    for outcome in outcomes:
        print(f"{outcome.name}: {outcome.done or 'unchanged'}")
        logging.info("%s: %s", outcome.name, outcome.done or "unchanged")
        if outcome.failure:
            status = _fail(f"{outcome.name}: {outcome.failure}")
    try:
        write_metrics(METRICS, outcomes, utc_now())
    except OSError as error:
        status = _fail(f"{METRICS}: {error.strerror}")
    notify(settings["notify"], settings["host"], outcomes)
    return status


def _remove(name: str, reason: str | None) -> int:
    folder = WANTED / name
    certbot = Certbot(STATE, WEBROOT, LOGS)
    if not (folder / "order.json").exists():
        print(f"{name}: unchanged")
        return 0
    order = read_order(folder)
    if reason and order.source == "acme":
        certbot.revoke(order, reason)
    Store(STORE).remove(name)
    certbot.delete(name)
    shutil.rmtree(folder)
    forget(METRICS, name)
    done = "revoked and removed" if reason else "removed"
    print(f"{name}: {done}")
    logging.info("%s: %s", name, done)
    return 0


def _list() -> int:
    store = Store(STORE)
    for order in read_orders(WANTED):
        deployed = store.newest(order.name)
        until = f"until {deployed.end:%Y-%m-%d %H:%M} UTC" if deployed else "not deployed"
        print(f"{order.name}: {' '.join(order.names)} ({order.source}) {until}")
    return 0


def _fail(message: str) -> int:
    print(message, file=sys.stderr)
    logging.error(message)
    return 1


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Keep other runs out."""
    deadline = time.monotonic() + PATIENCE
    with path.open("a") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise CertificateError("another run has not ended for ten minutes") from None
                time.sleep(1)
        yield


if __name__ == "__main__":
    sys.exit(main())
