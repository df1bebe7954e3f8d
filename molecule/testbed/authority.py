"""The certificate authority of the scenario `tls`: Pebble, and the name server that it asks."""

from __future__ import annotations

import json
import re
from typing import Any

import docker
import httpx
from cryptography import x509
from docker.models.containers import Container

from testbed.outside import address_of
from testbed.waiting import wait_until

CONFIGURATION = "/etc/pebble/config.json"


class Authority:
    """The authority in the test host `name`."""

    def __init__(self, name: str) -> None:
        client = docker.from_env()
        self._container: Container = client.containers.get(name)
        self.address = address_of(self._container)

    def run(self, *command: str) -> str:
        """Run `command` on its host and return what it printed."""
        code, output = self._container.exec_run(list(command))
        assert isinstance(output, bytes), "it was not asked for as a stream"
        assert code == 0, output
        return output.decode()

    def root(self) -> x509.Certificate:
        """Return the root of what it issues, which is another one after each restart."""
        # Its own certificate is nobody's business here.
        answer = httpx.get(f"https://{self.address}:15000/roots/0", verify=False)  # noqa: S501
        return x509.load_pem_x509_certificate(answer.content)

    def intermediate(self) -> x509.Certificate:
        """Return the certificate by which it issues."""
        answer = httpx.get(f"https://{self.address}:15000/intermediates/0", verify=False)  # noqa: S501
        return x509.load_pem_x509_certificate(answer.content)

    def issue_for(self, seconds: int) -> None:
        """Let what it issues be valid for `seconds`. Pebble forgets all accounts over this."""
        text = self.run("cat", CONFIGURATION)
        period = f'"certificateValidityPeriod": {seconds}'
        text = re.sub(r'"certificateValidityPeriod": \d+', period, text)
        self._configure(text)

    def want_binding(self, key_id: str, key: str) -> None:
        """Let it make accounts only for who has `key`. Pebble forgets all accounts over this."""
        settings = json.loads(self.run("cat", CONFIGURATION))
        settings["pebble"]["externalAccountBindingRequired"] = True
        settings["pebble"]["externalAccountMACKeys"] = {key_id: key}
        self._configure(json.dumps(settings, indent=2))

    def _configure(self, text: str) -> None:
        """Let it run by the configuration `text`."""
        self.run("sh", "-c", f"cat >{CONFIGURATION} <<'END'\n{text}\nEND")
        self.run("systemctl", "restart", "pebble")
        wait_until(self._answers, "Pebble answers")

    def _answers(self) -> bool:
        try:
            return bool(self.root())
        except httpx.HTTPError:
            return False

    def is_revoked(self, serial: int) -> bool:
        """Return whether it holds its certificate `serial` for revoked."""
        url = f"https://{self.address}:15000/cert-status-by-serial/{serial:x}"
        answer: dict[str, Any] = httpx.get(url, verify=False).json()  # noqa: S501
        return bool(answer["Status"] == "Revoked")

    def resolve(self, name: str, address: str) -> None:
        """Let `name` point to `address`, and nowhere else."""
        self._tell("clear-a", host=f"{name}.")
        self._tell("add-a", host=f"{name}.", addresses=[address])

    def servfail(self, name: str, *, on: bool) -> None:
        """Let the name servers of `name` fail, or no longer."""
        self._tell("set-servfail" if on else "clear-servfail", host=f"{name}.")

    def _tell(self, verb: str, **what: Any) -> None:
        url = f"http://{self.address}:8055/{verb}"
        httpx.post(url, content=json.dumps(what)).raise_for_status()
