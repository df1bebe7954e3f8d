"""A certificate authority of the tests' own."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

DAY = timedelta(days=1)


@dataclass(frozen=True)
class Issued:
    """A certificate with its key, both as PEM."""

    chain: bytes
    key: bytes

    @property
    def serial(self) -> int:
        """The serial number of the certificate."""
        return x509.load_pem_x509_certificate(self.chain).serial_number

    def write(self, folder: Path, names: Sequence[str]) -> None:
        """Write it as a version that a gateway can serve."""
        folder.mkdir(parents=True)
        (folder / "fullchain.pem").write_bytes(self.chain)
        (folder / "privkey.pem").write_bytes(self.key)
        (folder / "names").write_text("\n".join(names) + "\n")


@dataclass(frozen=True)
class Authority:
    """Issues certificates by an intermediate authority, as public ones do."""

    root: x509.Certificate = field(init=False)
    _intermediate: x509.Certificate = field(init=False)
    _key: ec.EllipticCurvePrivateKey = field(
        init=False, default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )

    def __post_init__(self) -> None:
        """Make the authority's own certificates."""
        root_key = ec.generate_private_key(ec.SECP256R1())
        root = _authority("Root", root_key.public_key(), "Root", root_key)
        object.__setattr__(self, "root", root)
        intermediate = _authority("Intermediate", self._key.public_key(), "Root", root_key)
        object.__setattr__(self, "_intermediate", intermediate)

    @property
    def root_pem(self) -> bytes:
        """The root as a client needs it."""
        return _pem(self.root)

    def issue(
        self,
        names: Sequence[str],
        *,
        lifetime: timedelta = 90 * DAY,
        age: timedelta = DAY,
        rsa_key: bool = False,
    ) -> Issued:
        """Issue a certificate for `names` that is `age` old."""
        key: PrivateKey = (
            rsa.generate_private_key(65537, 2048)
            if rsa_key
            else ec.generate_private_key(ec.SECP256R1())
        )
        start = datetime.now(UTC) - age
        certificate = (
            x509.CertificateBuilder()
            .subject_name(_name(names[0]))
            .issuer_name(self._intermediate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(start + lifetime)
            .add_extension(x509.SubjectAlternativeName(list(map(_general, names))), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()),
                critical=False,
            )
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
            )
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        return Issued(_pem(certificate) + _pem(self._intermediate), _private(key))


def _authority(
    name: str,
    public: ec.EllipticCurvePublicKey,
    issuer: str,
    key: ec.EllipticCurvePrivateKey,
) -> x509.Certificate:
    start = datetime.now(UTC) - 365 * DAY
    return (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .issuer_name(_name(issuer))
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + 3650 * DAY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False
        )
        .add_extension(
            x509.KeyUsage(
                digital_signature=True,
                content_commitment=False,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                key_cert_sign=True,
                crl_sign=True,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
        .sign(key, hashes.SHA256())
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _private(key: PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
