"""The gateway's configuration, rendered as Ansible does it and tested by nginx itself."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template

GATEWAY = Path(__file__).parent.parent / "roles/gateway"

VARIANTS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "one_replica": {"gateway_replicas": 1},
    "all_replicas": {"gateway_replicas": 64},
    "numbers_as_text": {"gateway_replicas": "3", "gateway_drain_timeout": "30"},
    "other_limits": {
        "gateway_max_fails": 1,
        "gateway_fail_timeout": "5s",
        "gateway_keepalive": 128,
        "gateway_read_timeout": "10m",
        "gateway_max_body_size": "1m",
    },
}


def render(folder: Path, variables: Mapping[str, Any]) -> None:
    """Render every template of the gateway into `folder`."""
    loader = DataLoader()
    defaults: dict[str, Any] = {
        "llm_api_replicas": 2,
        "ansible_managed": "managed",
        "images_tags": {},
    }
    for path in (GATEWAY / "defaults/main.yml", GATEWAY / "vars/main.yml"):
        defaults |= loader.load_from_file(str(path), trusted_as_template=True)
    templar = Templar(loader=loader, variables={**defaults, **variables})
    for template in sorted((GATEWAY / "templates").glob("*.j2")):
        text = templar.template(trust_as_template(template.read_text()))
        (folder / template.stem).write_text(text)


def nginx_test(image: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Let the nginx of `image` test the configuration in `folder`, with no network at all."""
    folder.chmod(0o755)
    hosts = [f"--add-host=api{slot}:192.0.2.{slot}" for slot in range(1, 65)]
    return subprocess.run(
        [
            *("docker", "run", "--rm", "--network=none", "--read-only", "--tmpfs=/tmp", *hosts),
            *("--volume", f"{folder}:/etc/gateway/live:ro", image),
            *("nginx", "-t", "-e", "stderr", "-c", "/etc/gateway/live/nginx.conf"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("variant", VARIANTS)
def test_nginx_accepts_what_is_rendered(variant: str, gateway_image: str, tmp_path: Path) -> None:
    render(tmp_path, VARIANTS[variant])
    result = nginx_test(gateway_image, tmp_path)
    assert result.returncode == 0, result.stderr
    assert "[warn]" not in result.stderr


def test_nginx_refuses_a_time_that_is_none(gateway_image: str, tmp_path: Path) -> None:
    render(tmp_path, {"gateway_fail_timeout": "soon"})
    result = nginx_test(gateway_image, tmp_path)
    assert result.returncode != 0
    assert "fail_timeout=soon" in result.stderr


def test_the_upstream_is_the_one_of_the_architecture(tmp_path: Path) -> None:
    render(tmp_path, {})
    lines = [line.strip() for line in (tmp_path / "upstream.conf").read_text().splitlines()]
    assert lines[0] == "upstream freegpt4_api {"
    assert [line for line in lines if line.startswith("server ")] == [
        "server api1:5500 max_fails=3 fail_timeout=30s;",
        "server api2:5500 max_fails=3 fail_timeout=30s;",
    ]
    assert "keepalive 32;" in lines


def test_every_template_is_installed_and_included(tmp_path: Path) -> None:
    render(tmp_path, {})
    installed = yaml.safe_load((GATEWAY / "vars/main.yml").read_text())["__gateway_files"]
    rendered = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert sorted(installed) == sorted(rendered)
    whole = "".join(rendered.values())
    assert [n for n in rendered if n != "nginx.conf" and f"include {n};" not in whole] == []


def test_the_log_shows_no_query(tmp_path: Path) -> None:
    render(tmp_path, {})
    log_format = (tmp_path / "log.conf").read_text().split("log_format")[1]
    assert "$gateway_path" in log_format
    for variable in ("$request_uri", "$args", "$query_string", "$request ", '"$request"'):
        assert variable not in log_format
