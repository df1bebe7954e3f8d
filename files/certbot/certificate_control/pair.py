# SPDX-License-Identifier: GPL-3.0-or-later
"""A chain of certificates with its key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from certificate_control.errors import CertificateError

SELF_SIGNED_LIFETIME = timedelta(days=90)


@dataclass(frozen=True)
class Pair:
    """A chain and a key as they were read, which nobody has checked."""

    chain: bytes
    key: bytes

    @classmethod
    def read(cls, folder: Path) -> Pair:
        """Read the pair in `folder`.

        Raises:
            CertificateError: there is none, or its chain is none.
        """
        try:
            pair = cls(
                (folder / "fullchain.pem").read_bytes(), (folder / "privkey.pem").read_bytes()
            )
        except OSError as error:
            raise CertificateError(f"{error.filename}: {error.strerror}") from error
        if not pair._certificates:
            raise CertificateError("the chain has no certificate")
        return pair

    @property
    def _certificates(self) -> list[x509.Certificate]:
        try:
            return x509.load_pem_x509_certificates(self.chain)
        except ValueError as error:
            raise CertificateError(f"the chain is no PEM of certificates: {error}") from error

    @property
    def leaf(self) -> x509.Certificate:
        """The certificate itself."""
        return self._certificates[0]

    @property
    def names(self) -> tuple[str, ...]:
        """The host names that it is for."""
        try:
            extension = self.leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        except x509.ExtensionNotFound:
            return ()
        return tuple(extension.value.get_values_for_type(x509.DNSName))

    @property
    def start(self) -> datetime:
        """When it begins to be valid."""
        return self.leaf.not_valid_before_utc

    @property
    def end(self) -> datetime:
        """When it ceases to be valid."""
        return self.leaf.not_valid_after_utc

    @property
    def key_type(self) -> str:
        """The kind of its key, as an order names it."""
        return "rsa" if isinstance(self.leaf.public_key(), rsa.RSAPublicKey) else "ecdsa"

    def check(self, names: Sequence[str], now: datetime) -> None:
        """See whether it can be served for `names`.

        Raises:
            CertificateError: it cannot.
        """
        try:
            key = serialization.load_pem_private_key(self.key, password=None)
        except (ValueError, TypeError) as error:
            raise CertificateError(
                f"the key is no PEM of a key without password: {error}"
            ) from error
        if key.public_key() != self.leaf.public_key():
            raise CertificateError("the key does not belong to the certificate")
        for certificate, issuer in pairwise(self._certificates):
            try:
                certificate.verify_directly_issued_by(issuer)
            except (ValueError, TypeError, InvalidSignature) as error:
                raise CertificateError(
                    "the chain has a certificate after it that did not issue it"
                ) from error
        missing = [name for name in names if not self._is_for(name)]
        if missing:
            raise CertificateError(f"the certificate is not for {', '.join(missing)}")
        if self.end <= now:
            raise CertificateError(f"the certificate has expired, at {self.end:%Y-%m-%d %H:%M} UTC")

    def _is_for(self, name: str) -> bool:
        return name in self.names or f"*.{name.partition('.')[2]}" in self.names


def self_signed(names: Sequence[str], now: datetime) -> Pair:
    """Return a certificate that nobody vouches for."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:64])])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + SELF_SIGNED_LIFETIME)
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName(n) for n in names]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    return Pair(
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    )


def utc_now() -> datetime:
    """Return the time."""
    return datetime.now(UTC)
