# SPDX-License-Identifier: GPL-3.0-or-later
"""What certificates are wanted: the role writes an order for each, into a folder of its own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

# What may lie beside an order.
CA_BUNDLE = "ca.pem"
DNS_CREDENTIALS = "credentials.ini"
DNS_HOOK = "hook"

Source = Literal["acme", "files", "self_signed"]


@dataclass(frozen=True)
class Order:
    """A certificate that is wanted.

    Attributes:
        folder: where the order lies, and the files that belong to it.
        names: the host names, the first of which is the name of the certificate.
        source: who issues it: an ACME server, whoever made the files, or nobody.
        key_type: `ecdsa` or `rsa`.
        directory: the URL of the ACME server.
        email: whom that server may write to; may be empty.
        eab: the account's `key_id` and `hmac_key` at the authority, if it wants one beforehand.
        dns_plugin: certbot's plugin for challenges by DNS; `manual` is the hook beside the order,
            and nothing means challenges by HTTP.
        dns_propagation: seconds until the name servers of the world know a challenge.
    """

    folder: Path
    names: tuple[str, ...]
    source: Source
    key_type: Literal["ecdsa", "rsa"]
    directory: str
    email: str
    eab: Mapping[str, str]
    dns_plugin: str
    dns_propagation: int

    @property
    def name(self) -> str:
        """What the certificate is called."""
        return self.folder.name

    def file(self, name: str) -> Path | None:
        """Return the file `name` beside the order, if there is one."""
        path = self.folder / name
        return path if path.exists() else None


def read_order(folder: Path) -> Order:
    """Read the order in `folder`."""
    content: dict[str, Any] = json.loads((folder / "order.json").read_text())
    return Order(folder=folder, **{**content, "names": tuple(content["names"])})


def read_orders(folder: Path) -> list[Order]:
    """Read all orders in `folder`, by name."""
    return [read_order(path.parent) for path in sorted(folder.glob("*/order.json"))]
