# SPDX-License-Identifier: GPL-3.0-or-later
"""The folder from which the gateway serves certificates, each in several versions.

The gateway serves the newest version that is sound, so that a version is deployed by adding it
and taken back by removing it.
"""

from __future__ import annotations

import shutil
from datetime import datetime
from pathlib import Path

from certificate_control import folders
from certificate_control.errors import CertificateError
from certificate_control.pair import Pair

# Versions of a certificate that are kept.
KEPT = 3


class Store:
    """The certificates that the gateway serves."""

    def __init__(self, folder: Path) -> None:
        """Use `folder`, whatever there is in it."""
        self._folder = folder

    def newest(self, name: str) -> Pair | None:
        """Return what is deployed as `name`, if it is one at all."""
        versions = self._versions(name)
        try:
            return Pair.read(versions[-1]) if versions else None
        except CertificateError:
            return None

    def add(self, name: str, pair: Pair, now: datetime) -> Path:
        """Add `pair` as the newest version of `name`, whole or not at all.

        Raises:
            CertificateError: the disk is full, for instance.
        """
        version = self._folder / name / f"{now:%Y%m%dT%H%M%S.%fZ}"
        hidden = version.with_name(f".{version.name}")
        names = "".join(f"{host}\n" for host in pair.names)
        files = {"fullchain.pem": pair.chain, "privkey.pem": pair.key, "names": names.encode()}
        try:
            hidden.mkdir(parents=True, mode=0o700)
            for file, content in files.items():
                (hidden / file).touch(mode=0o600)
                (hidden / file).write_bytes(content)
            hidden.rename(version)
        except OSError as error:
            shutil.rmtree(hidden, ignore_errors=True)
            raise CertificateError(f"it could not be written: {error.strerror}") from error
        return version

    def withdraw(self, version: Path) -> None:
        """Take back a version, so that the one before is served."""
        shutil.rmtree(version)

    def prune(self, name: str) -> None:
        """Remove the versions of `name` that are too old to be gone back to."""
        for version in self._versions(name)[:-KEPT]:
            shutil.rmtree(version)

    def remove(self, name: str) -> None:
        """Remove all versions of `name`.

        Raises:
            OSError: one cannot be removed, and may still be served.
        """
        folders.remove(self._folder / name)

    def _versions(self, name: str) -> list[Path]:
        found = (self._folder / name).glob("[!.]*")
        return sorted(path for path in found if path.is_dir())
