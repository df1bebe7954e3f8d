# SPDX-License-Identifier: GPL-3.0-or-later
"""The certificates that there are to serve: for each the newest version that is sound.

A folder has one folder per certificate, named after it, and in that one folder per version,
whose names sort by age:

    api.example.com/20261125T120000Z/{fullchain.pem,privkey.pem,names}

Who adds a version gives the folder its name only when it is whole. Versions never change.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

CHAIN = "fullchain.pem"
KEY = "privkey.pem"
NAMES = "names"


@dataclass(frozen=True)
class Certificate:
    """A certificate with the folder that it is served from.

    Attributes:
        name: what its folder is called.
        hosts: the host names that it is for.
        folder: where its chain and its key are; None if none of its versions is sound.
    """

    name: str
    hosts: tuple[str, ...]
    folder: Path | None


def versions(folder: Path) -> dict[str, tuple[str, ...]]:
    """Return the names of the versions of each certificate in `folder`, the newest first."""
    if not folder.is_dir():
        return {}
    found = {path.name: tuple(_versions(path)) for path in sorted(folder.iterdir())}
    return {name: names for name, names in found.items() if names}


def choose(folder: Path, fallback: Path) -> list[Certificate]:
    """Return the certificates in `folder`, each in its newest version whose key fits its chain.

    Args:
        folder: all certificates in all versions.
        fallback: what is served so far, of which a certificate that is not sound anywhere else is
            taken.
    """
    chosen = []
    for name, names in versions(folder).items():
        candidates = [*(folder / name / version for version in names), fallback / name]
        sound = next((path for path in candidates if is_sound(path)), None)
        hosts = ((sound or candidates[0]) / NAMES).read_text().split()
        chosen.append(Certificate(name, tuple(hosts), sound))
    return chosen


def is_sound(folder: Path) -> bool:
    """Return whether `folder` has a chain with the key to it."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(folder / CHAIN, folder / KEY)
    except (OSError, ValueError):
        return False
    return True


def contents(folder: Path) -> Mapping[str, bytes]:
    """Return the files of a version by name."""
    return {name: (folder / name).read_bytes() for name in (CHAIN, KEY, NAMES)}


def _versions(path: Path) -> Iterator[str]:
    if path.is_dir():
        for version in sorted(path.iterdir(), reverse=True):
            # One that begins with a dot is still being written.
            if version.is_dir() and not version.name.startswith("."):
                yield version.name
