# SPDX-License-Identifier: GPL-3.0-or-later
"""certbot, as it is run for an order."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from certificate_control import folders
from certificate_control.errors import CertificateError
from certificate_control.orders import CA_BUNDLE, DNS_CREDENTIALS, DNS_HOOK, Order

RSA_BITS = 2048

# What an authority answers that no longer knows the account.
ACCOUNT_LOST = "accountDoesNotExist"

# certbot's last lines that say nothing about the fault.
_NOISE = re.compile(r"^(Ask for help|See the logfile|Saving debug log|Some challenges have failed)")


class Certbot:
    """certbot with its state."""

    def __init__(self, state: Path, webroot: Path, logs: Path) -> None:
        """Run it with these folders.

        Args:
            state: its configuration.
            webroot: what the gateway shows under `/.well-known/acme-challenge/`.
            logs: where it writes its log.
        """
        self._state = state
        self._webroot = webroot
        self._logs = logs

    def lineage(self, name: str) -> Path:
        """Return the folder in which certbot keeps the newest certificate `name`."""
        return self._state / "live" / name

    def directory(self, name: str) -> str:
        """Return the ACME server that the certificate `name` is from, if it is from one."""
        path = self._state / "renewal" / f"{name}.conf"
        found = re.search(r"^server = (.*)$", path.read_text(), re.M) if path.exists() else None
        return found[1] if found else ""

    def obtain(self, order: Order) -> None:
        """Get a new certificate for `order`, whatever there is.

        Raises:
            CertificateError: the authority refused, or could not be reached.
            OSError: what is left of an old one cannot be removed.
        """
        if not self.lineage(order.name).exists():
            # Or certbot gives the new one another name, because of what is left of the old one.
            self.delete(order.name)
        before = self._logged()
        output, succeeded = self._run("certonly", *_certonly(order, self._webroot), order=order)
        # certbot prints what the authority says in words, and logs by what code.
        if not succeeded and ACCOUNT_LOST in self._logged()[len(before) :]:
            server = urlsplit(order.directory)
            folders.remove(self._state / "accounts" / server.netloc)
            output, succeeded = self._run("certonly", *_certonly(order, self._webroot), order=order)
        if not succeeded:
            raise CertificateError(f"the authority gave no certificate: {_fault(output)}")

    def revoke(self, order: Order, reason: str) -> None:
        """Tell the authority that the certificate is not to be trusted any longer.

        Raises:
            CertificateError: the authority refused, or could not be reached.
        """
        path = self.lineage(order.name) / "cert.pem"
        arguments = ["--cert-path", str(path), "--reason", reason, "--no-delete-after-revoke"]
        output, succeeded = self._run(
            "revoke", "--server", order.directory, *arguments, order=order
        )
        if not succeeded:
            raise CertificateError(f"the authority did not revoke it: {_fault(output)}")

    def delete(self, name: str) -> None:
        """Forget the certificate `name`.

        Raises:
            OSError: a folder of it cannot be removed.
        """
        for path in ("live", "archive"):
            folders.remove(self._state / path / name)
        (self._state / "renewal" / f"{name}.conf").unlink(missing_ok=True)

    def _logged(self) -> str:
        """Return what certbot has logged so far."""
        path = self._logs / "letsencrypt.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def _run(self, verb: str, *arguments: str, order: Order) -> tuple[str, bool]:
        """Run certbot, and return what it wrote and whether it succeeded."""
        bundle = order.file(CA_BUNDLE)
        environment = {"REQUESTS_CA_BUNDLE": str(bundle)} if bundle else {}
        with tempfile.TemporaryDirectory() as folder:
            # By a file, because the arguments of a process are for all to see.
            configuration = Path(folder) / "cli.ini"
            configuration.touch(mode=0o600)
            configuration.write_text("".join(_secrets(order)))
            command = [
                *("certbot", verb, "--non-interactive", "--config", str(configuration)),
                *("--config-dir", str(self._state), "--work-dir", folder),
                *("--logs-dir", str(self._logs), "--max-log-backups", "0"),
                *arguments,
            ]
            # S603: the arguments are the operator's, checked by the role.
            result = subprocess.run(  # noqa: S603
                command,
                env=os.environ | environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )
        return result.stdout, result.returncode == 0


def _certonly(order: Order, webroot: Path) -> Iterator[str]:
    yield from ("--agree-tos", "--force-renewal", "--renew-with-new-domains")
    yield from ("--cert-name", order.name, "--server", order.directory)
    for name in order.names:
        yield from ("--domain", name)
    if order.email:
        yield from ("--email", order.email, "--no-eff-email")
    else:
        yield "--register-unsafely-without-email"
    if order.key_type == "rsa":
        yield from ("--key-type", "rsa", "--rsa-key-size", str(RSA_BITS))
    else:
        yield from ("--key-type", "ecdsa", "--elliptic-curve", "secp256r1")
    if not order.dns_plugin:
        yield from ("--webroot", "--webroot-path", str(webroot))
    elif order.dns_plugin == "manual":
        hook = str(order.folder / DNS_HOOK)
        yield from ("--manual", "--preferred-challenges", "dns")
        yield from ("--manual-auth-hook", f"{hook} add", "--manual-cleanup-hook", f"{hook} remove")
    else:
        plugin = f"--dns-{order.dns_plugin}"
        yield from ("--authenticator", plugin.removeprefix("--"))
        yield from (f"{plugin}-propagation-seconds", str(order.dns_propagation))
        if credentials := order.file(DNS_CREDENTIALS):
            yield from (f"{plugin}-credentials", str(credentials))


def _secrets(order: Order) -> Iterator[str]:
    if order.eab:
        yield f"eab-kid = {order.eab['key_id']}\n"
        yield f"eab-hmac-key = {order.eab['hmac_key']}\n"


def _fault(output: str) -> str:
    """Return what certbot's output says about a fault, in one line."""
    lines = [line.strip() for line in output.splitlines()]
    return " ".join(line for line in lines[-12:] if line and not _NOISE.match(line))
