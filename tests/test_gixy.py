"""The checkers of nginx configurations that others use find nothing in ours."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.lab.gateway import render
from tests.test_templates import VARIANTS

ROOT = Path(__file__).parent.parent
UV = ROOT / ".cache/uv/bin/uv"

# What each is not asked, and why. Both call themselves gixy, so each has its own environment.
WAIVERS: dict[str, dict[str, str]] = {
    "gixy-ng": {},
    "gixy-next": {
        "proxy_buffering_off": "a token that waits in a buffer is what a stream must not have",
        "stale_dns_cache": "replicas have fixed addresses, which nginx must know without any DNS",
    },
}


@pytest.fixture(scope="session")
def checker() -> Callable[[str], Path]:
    """Installs a checker where it is missing, and returns its command."""

    def checker(name: str) -> Path:
        lock = ROOT / f"tests/checkers/{name}.lock"
        environment = ROOT / ".cache" / name
        stamp = environment / lock.name
        if not stamp.exists() or stamp.read_bytes() != lock.read_bytes():
            uv("venv", "--quiet", "--clear", str(environment))
            python = environment / "bin/python"
            uv("pip", "sync", "--quiet", "--require-hashes", "--python", str(python), str(lock))
            stamp.write_bytes(lock.read_bytes())
        return environment / "bin/gixy"

    return checker


def uv(*arguments: str) -> None:
    subprocess.run([UV, *arguments], check=True)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("name", WAIVERS)
def test_nothing_is_found(
    checker: Callable[[str], Path], tmp_path: Path, name: str, variant: str
) -> None:
    render(tmp_path, VARIANTS[variant])
    skips = [f"--skips={','.join(WAIVERS[name])}"] if WAIVERS[name] else []
    command = [str(checker(name)), *skips, str(tmp_path / "nginx.conf")]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout
    assert "No issues found." in result.stdout, result.stdout + result.stderr
