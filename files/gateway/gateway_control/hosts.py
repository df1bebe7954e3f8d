# SPDX-License-Identifier: GPL-3.0-or-later
"""Which host names are answered how: by TLS where there is a certificate for them.

The role renders what the servers have in common, each kind in a file of its own; here they are
given their names, because certificates come and go without the role.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from gateway_control.certificates import CHAIN, KEY, Certificate

HTTPS = 443


@dataclass(frozen=True)
class Wishes:
    """What the role wants of the hosts.

    Attributes:
        names: the host names that are answered without TLS where there is no certificate for
            them. None means any name.
        redirect: whether HTTP leads to HTTPS where there is a certificate.
        https_port: where clients find HTTPS.
    """

    names: Sequence[str]
    redirect: bool
    https_port: int

    @classmethod
    def read(cls, path: Path) -> Wishes:
        """Read what the role wrote to `path`."""
        return cls(**json.loads(path.read_text()))


def secure(certificates: Sequence[Certificate]) -> list[str]:
    """Return the names that there are certificates for."""
    return list(dict.fromkeys(host for c in certificates for host in c.hosts))


def named(wishes: Wishes, certificates: Sequence[Certificate], redirected: Collection[str]) -> str:
    """Return the servers of all hosts with a name.

    Args:
        wishes: of the role.
        certificates: those that there are.
        redirected: the names for which HTTP may lead to HTTPS.
    """
    if not wishes.redirect:
        redirected = []
    servers = []
    plain = [name for name in _plain(wishes, certificates) if name not in redirected]
    if plain:
        servers.append(_server(plain, ["include http.conf;", "include site.conf;"]))
    if redirected:
        location = f"https://$host{_port(wishes)}"
        lines = ["include http.conf;", *_redirect(location)]
        servers.append(_server(list(redirected), lines))
    left = set(secure(certificates))
    for certificate in certificates:
        # nginx takes a name once: from the first certificate that has it.
        hosts = [host for host in certificate.hosts if host in left]
        left.difference_update(hosts)
        if hosts:
            keys = _keys(certificate)
            servers.append(_server(hosts, ["include https.conf;", *keys, "include site.conf;"]))
    return "\n".join(servers)


def others(wishes: Wishes, redirected: Collection[str]) -> str:
    """Return what a host that has no name of ours gets without TLS."""
    if wishes.names:
        return _text(["include common.conf;", "location / {", "    return 421;", "}"])
    canonical = next((host for host in redirected if "*" not in host), None)
    if canonical and wishes.redirect:
        return _text(_redirect(f"https://{canonical}{_port(wishes)}"))
    return _text(["include site.conf;"])


def _plain(wishes: Wishes, certificates: Sequence[Certificate]) -> list[str]:
    """Return the names that have to be known where not every name is."""
    return list(dict.fromkeys([*wishes.names, *secure(certificates)])) if wishes.names else []


def _server(names: Sequence[str], lines: Sequence[str]) -> str:
    inner = [f"server_name {' '.join(names)};", *lines]
    return _text(["server {", *(f"    {line}" for line in inner), "}"])


def _keys(certificate: Certificate) -> list[str]:
    if not certificate.folder:
        return ["ssl_reject_handshake on;"]
    return [
        f"ssl_certificate certificates/{certificate.name}/{CHAIN};",
        f"ssl_certificate_key certificates/{certificate.name}/{KEY};",
    ]


def _redirect(location: str) -> list[str]:
    """Return what leads all requests to `location`, with their method and their body."""
    answer = f"    return 308 {location}$request_uri;"
    return ["include common.conf;", "location / {", answer, "}"]


def _port(wishes: Wishes) -> str:
    return "" if wishes.https_port == HTTPS else f":{wishes.https_port}"


def _text(lines: Sequence[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
