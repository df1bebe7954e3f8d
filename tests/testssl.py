"""testssl.sh gives the gateway its best mark. `make testssl` runs this: it takes three minutes."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from tests.conftest import Start
from tests.lab.certificates import Authority
from tests.lab.gateway import docker

HOST = "api.example.com"

DOCKERFILE = """
FROM debian:trixie-slim
RUN apt-get update && apt-get install -y --no-install-recommends testssl.sh
"""

# What it finds in the laboratory and not in the gateway: certificates that nobody could revoke,
# a name without records, and an OpenSSL of its own without all old ciphers.
OF_THE_LABORATORY = {"cert_revocation", "DNS_CAArecord", "engine_problem"}


def test_testssl_gives_an_a_plus(start: Start, tmp_path: Path, authority: Authority) -> None:
    folder = tmp_path / "certificates" / HOST / "1"
    authority.issue([HOST]).write(folder, [HOST])
    door, _ = start(gateway_limit_rate="", gateway_limit_connections=0)
    (tmp_path / "root.pem").write_bytes(authority.root_pem)
    image = subprocess.run(
        ["docker", "build", "--quiet", "-"],
        input=DOCKERFILE,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    output = docker(
        *("run", "--rm", f"--add-host={HOST}:{door.address}"),
        *("--volume", f"{tmp_path}:/srv", image),
        *("testssl", "--quiet", "--color", "0", "--ip", door.address, "--warnings", "off"),
        *("--add-ca", "/srv/root.pem", "--jsonfile", "/srv/findings.json", f"https://{HOST}"),
    )
    findings = json.loads((tmp_path / "findings.json").read_text())
    grade = {finding["id"]: finding["finding"] for finding in findings}
    assert grade["overall_grade"] == "A+", output
    bad = [
        finding
        for finding in findings
        if finding["severity"] in ("MEDIUM", "HIGH", "CRITICAL", "WARN")
        and finding["id"] not in OF_THE_LABORATORY
    ]
    assert bad == []
