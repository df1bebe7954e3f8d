"""The checkers of nginx configurations that others use find nothing in ours."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.lab.certificates import Authority
from tests.lab.checkers import checker
from tests.test_templates import CASES, rendered

# What each is not asked, and why. Both call themselves gixy, so each has its own environment.
WAIVERS: dict[str, dict[str, str]] = {
    "gixy-ng": {
        "ssl_ecdh_curve": "the question mark is there so that older versions do without the group",
    },
    "gixy-next": {
        "proxy_buffering_off": "a token that waits in a buffer is what a stream must not have",
        "stale_dns_cache": "replicas have fixed addresses, which nginx must know without any DNS",
    },
}


@pytest.mark.parametrize(("variant", "certificates"), CASES)
@pytest.mark.parametrize("name", WAIVERS)
def test_nothing_is_found(
    tmp_path: Path, authority: Authority, name: str, variant: str, certificates: str
) -> None:
    folder = rendered(tmp_path, authority, variant, certificates)
    skips = [f"--skips={','.join(WAIVERS[name])}"] if WAIVERS[name] else []
    command = [str(checker(name, "gixy")), *skips, str(folder / "nginx.conf")]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout
    assert "No issues found." in result.stdout, result.stdout + result.stderr
