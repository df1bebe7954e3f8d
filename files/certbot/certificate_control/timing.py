# SPDX-License-Identifier: GPL-3.0-or-later
"""When to renew a certificate: when its authority says so, or after two thirds of its life."""

from __future__ import annotations

import json
import ssl
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from random import Random
from typing import Any
from urllib.request import urlopen

from cryptography import x509

from certificate_control.pair import Pair

TIMEOUT = 10.0


@dataclass(frozen=True)
class Window:
    """When an authority wants a certificate to be renewed (RFC 9773)."""

    start: datetime
    end: datetime


def renewal_time(pair: Pair, window: Window | None) -> datetime:
    """Return when `pair` is to be renewed.

    Within a window that is at a moment of its own for each certificate, so that they do not all
    come at once.
    """
    if window is None or window.end > pair.end:
        return pair.start + (pair.end - pair.start) * 2 / 3
    # S311: nothing is secret about it.
    share = Random(pair.leaf.serial_number).random()  # noqa: S311
    return window.start + (window.end - window.start) * share


def ask_for_window(directory: str, ca_bundle: Path | None, pair: Pair) -> Window | None:
    """Return when the authority at `directory` wants `pair` to be renewed, if it says so.

    Raises:
        OSError: the authority could not be asked.
        ValueError: its answer makes no sense.
    """
    context = ssl.create_default_context(cafile=str(ca_bundle) if ca_bundle else None)
    base = _get(directory, context).get("renewalInfo")
    identifier = _identifier(pair.leaf)
    if not base or not identifier:
        return None
    window = _get(f"{base}/{identifier}", context)["suggestedWindow"]
    return Window(datetime.fromisoformat(window["start"]), datetime.fromisoformat(window["end"]))


def _get(url: str, context: ssl.SSLContext) -> dict[str, Any]:
    # S310: the URL is the operator's, or the authority's own.
    with urlopen(url, timeout=TIMEOUT, context=context) as answer:  # noqa: S310
        content: dict[str, Any] = json.load(answer)
    return content


def _identifier(certificate: x509.Certificate) -> str:
    """Return what RFC 9773 calls the certificate."""
    try:
        extension = certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier)
    except x509.ExtensionNotFound:
        return ""
    number = certificate.serial_number
    serial = number.to_bytes(number.bit_length() // 8 + 1, "big")
    parts = (extension.value.key_identifier or b"", serial)
    return ".".join(urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)
