# SPDX-License-Identifier: GPL-3.0-or-later
"""What the gateway really serves."""

from __future__ import annotations

import socket
import ssl
import time

from cryptography import x509

from certificate_control.errors import CertificateError
from certificate_control.pair import Pair

# Seconds. The gateway looks for new certificates every few, and nginx takes a moment.
PATIENCE = 60.0
PAUSE = 0.5
TIMEOUT = 5.0

# What precedes the handshake where the gateway is used to a load balancer that speaks thus.
PROXY_PROTOCOL = b"PROXY UNKNOWN\r\n"


def wait_until_served(
    address: tuple[str, int], pair: Pair, *, proxy_protocol: bool, patience: float = PATIENCE
) -> None:
    """Return as soon as the gateway at `address` serves `pair` for all of its names.

    Raises:
        CertificateError: it did not in time.
    """
    deadline = time.monotonic() + patience
    left = set(pair.names)
    while left:
        left = {name for name in left if _serial(address, name, proxy_protocol) != _number(pair)}
        if left and time.monotonic() > deadline:
            raise CertificateError(
                f"the gateway does not serve it for {', '.join(sorted(left))}:"
                " `docker logs gateway` says why"
            )
        if left:
            time.sleep(PAUSE)


def _number(pair: Pair) -> int:
    return pair.leaf.serial_number


def _serial(address: tuple[str, int], name: str, proxy_protocol: bool) -> int | None:
    """Return the serial number of the certificate that is served for `name`, if one is."""
    context = ssl.create_default_context()
    context.check_hostname = False
    # Whether it is trusted is for clients to say: here it matters whether it is the right one.
    context.verify_mode = ssl.CERT_NONE
    try:
        with socket.create_connection(address, timeout=TIMEOUT) as connection:
            if proxy_protocol:
                connection.sendall(PROXY_PROTOCOL)
            host = name.replace("*", "any")
            with context.wrap_socket(connection, server_hostname=host) as wrapped:
                certificate = wrapped.getpeercert(binary_form=True)
    except OSError:
        return None
    return x509.load_der_x509_certificate(certificate).serial_number if certificate else None
