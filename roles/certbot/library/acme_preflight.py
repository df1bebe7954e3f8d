#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module that sees whether an ACME server could issue a certificate, before it is asked to."""

from __future__ import annotations

import contextlib
import http.client
import json
import secrets
import socket
import ssl
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: acme_preflight
short_description: Sees whether an ACME server could issue a certificate
description:
  - Changes nothing and asks for nothing. It fails with one sentence for each fault.
options:
  names:
    description: Host names of the certificate.
    type: list
    elements: str
    required: true
  directory:
    description: URL of the ACME server's directory.
    type: str
    required: true
  ca:
    description: CA certificates by which the server is known, as PEM. Empty means the host's.
    type: str
    default: ""
  webroot:
    description: Folder in which challenges by HTTP are laid. Empty where they are not by HTTP.
    type: str
    default: ""
"""

TIMEOUT = 5.0
CHALLENGES = Path(".well-known/acme-challenge")
RESOLVERS = Path("/etc/resolv.conf")

# Of DNS.
CAA = 257
INTERNET = 1
POINTER = 0xC0
ISSUE = {False: b"issue", True: b"issuewild"}


def faults(names: list[str], directory: str, ca: str, webroot: str) -> list[str]:
    """Return a sentence for each thing that would keep a certificate from being issued."""
    found = []
    identities: list[str] = []
    try:
        context = ssl.create_default_context(cadata=ca or None)
        # S310: the URL is the operator's.
        with urlopen(directory, timeout=TIMEOUT, context=context) as answer:  # noqa: S310
            identities = json.load(answer).get("meta", {}).get("caaIdentities", [])
    except (OSError, ValueError) as error:
        found.append(f"The certificate authority's {directory} cannot be used: {error}.")
    for name in names:
        if webroot:
            found.extend(_faults_of_address(name, Path(webroot)))
        if identities:
            found.extend(_faults_of_caa(name, identities, nameservers()))
    return found


def _faults_of_address(name: str, webroot: Path) -> Iterator[str]:
    try:
        found = socket.getaddrinfo(name, 80, type=socket.SOCK_STREAM)
    except OSError as error:
        yield (
            f"{name} does not resolve ({error.strerror}): give it an A or AAAA record that is"
            " the address of this host, and wait until it is known."
        )
        return
    for address in sorted({str(item[4][0]) for item in found}):
        fault = probe(name, address, webroot)
        if fault:
            yield (
                f"{name} points to {address}, where the challenge of a certificate authority would"
                f" not be found: {fault}. Let it point to this host, and let port 80 through to it."
            )


def probe(name: str, address: str, webroot: Path, port: int = 80) -> str:
    """Lay a challenge into `webroot`, and return why it is not found at `address`, or nothing."""
    token = f"preflight-{secrets.token_hex(16)}"
    path = webroot / CHALLENGES / token
    made = [folder for folder in (path.parent, path.parent.parent) if not folder.exists()]
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        for folder in (path.parent.parent, path.parent):
            if folder in made:
                folder.chmod(0o755)
        path.write_text(token)
        path.chmod(0o644)
        connection = http.client.HTTPConnection(address, port, timeout=TIMEOUT)
        with contextlib.closing(connection):
            connection.request("GET", f"/{CHALLENGES}/{token}", headers={"Host": name})
            answer = connection.getresponse()
            if answer.read(1000).decode(errors="replace") == token:
                return ""
            return f"another server answers there, with status {answer.status}"
    except (OSError, http.client.HTTPException) as error:
        return f"no answer ({error})"
    finally:
        path.unlink(missing_ok=True)
        for folder in made:
            folder.rmdir()


def _faults_of_caa(name: str, identities: list[str], servers: list[str]) -> Iterator[str]:
    wildcard = name.startswith("*.")
    labels = name.removeprefix("*.").split(".")
    for number in range(len(labels)):
        domain = ".".join(labels[number:])
        records = caa(domain, servers)
        if records:
            allowed = allowed_by(records, wildcard=wildcard)
            if allowed is not None and not set(allowed) & set(identities):
                yield (
                    f"The CAA records of {domain} let {' and '.join(allowed) or 'nobody'} issue for"
                    f" {name}, and not {identities[0]}: add a record that allows it."
                )
            return


def allowed_by(records: list[tuple[bytes, bytes]], *, wildcard: bool) -> list[str] | None:
    """Return which authorities CAA `records` allow, or None if they restrict nobody."""
    for tag in dict.fromkeys((ISSUE[wildcard], ISSUE[False])):
        values = [value for found, value in records if found.lower() == tag]
        if values:
            names = (value.partition(b";")[0].strip().decode() for value in values)
            return [authority for authority in names if authority]
    return None


def caa(domain: str, servers: list[str], port: int = 53) -> list[tuple[bytes, bytes]]:
    """Return the CAA records of `domain` as tags and values; none if no server tells."""
    query = secrets.token_bytes(2) + struct.pack("!5H", 0x0100, 1, 0, 0, 0)
    for label in domain.split("."):
        query += bytes([len(label)]) + label.encode("ascii")
    query += b"\0" + struct.pack("!2H", CAA, INTERNET)
    for server in servers:
        family = socket.AF_INET6 if ":" in server else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as connection:
            connection.settimeout(TIMEOUT)
            try:
                connection.sendto(query, (server, port))
                answer = connection.recv(4096)
            except OSError:
                continue
        if answer[:2] == query[:2]:
            return list(_records(answer, len(query)))
    return []


def _records(answer: bytes, offset: int) -> Iterator[tuple[bytes, bytes]]:
    """Yield the CAA records of a DNS answer whose question ends at `offset`."""
    for _ in range(struct.unpack_from("!H", answer, 6)[0]):
        offset = _after_name(answer, offset)
        kind, _, _, size = struct.unpack_from("!HHIH", answer, offset)
        offset += 10
        data = answer[offset : offset + size]
        offset += size
        if kind == CAA:
            end = 2 + data[1]
            yield data[2:end], data[end:]


def _after_name(answer: bytes, offset: int) -> int:
    while answer[offset]:
        if answer[offset] >= POINTER:  # which ends the name
            return offset + 2
        offset += answer[offset] + 1
    return offset + 1


def nameservers() -> list[str]:
    """Return the addresses of the host's name servers."""
    words = (line.split() for line in RESOLVERS.read_text().splitlines())
    return [line[1] for line in words if len(line) > 1 and line[0] == "nameserver"]


def main() -> None:
    """Run the module."""
    options: dict[str, Any] = {
        "names": {"type": "list", "elements": "str", "required": True},
        "directory": {"type": "str", "required": True},
        "ca": {"type": "str", "default": ""},
        "webroot": {"type": "str", "default": ""},
    }
    module = AnsibleModule(options, supports_check_mode=True)
    found = faults(**module.params)
    if found:
        module.fail_json(msg=f"{' '.join(found)} Nothing was changed.")
    module.exit_json(changed=False)


if __name__ == "__main__":
    main()
