"""The gateway's configuration, rendered as Ansible does it and tested by nginx itself."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from roles.cluster.filter_plugins.members import replica_addresses
from tests.lab.certificates import Authority
from tests.lab.gateway import complete, render

GATEWAY = Path(__file__).parent.parent / "roles/gateway"

VARIANTS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "one_replica": {"llm_api_replicas": 1},
    "all_replicas": {"llm_api_replicas": 64},
    "numbers_as_text": {"llm_api_replicas": "3", "gateway_drain_timeout": "30"},
    "other_limits": {
        "gateway_max_fails": 1,
        "gateway_fail_timeout": "5s",
        "gateway_keepalive": 128,
        "gateway_read_timeout": "10m",
        "gateway_max_body_size": "1m",
    },
    "least_conn": {
        "gateway_balancing": "least_conn",
        "gateway_weights": {"api1": 3},
        "gateway_backups": ["api2"],
    },
    "hosts_with_weights": {
        "gateway_replicas": ["api1", "10.0.0.7:5501"],
        "gateway_weights": {"10.0.0.7": 2},
    },
    "several_hosts": {
        "groups": {"freegpt4": ["server1", "server2"]},
        "hostvars": {"server1": {}, "server2": {"llm_api_replicas": 3, "cluster_host_number": 7}},
        "gateway_weights": {"server2": 3},
    },
    "sticky_cookie": {"gateway_balancing": "sticky", "gateway_sticky_key": "cookie:session"},
    "sticky_header": {
        "gateway_balancing": "sticky",
        "gateway_sticky_key": "header:X-User",
        "gateway_weights": {"api2": 2},
    },
    "no_limits": {
        "gateway_limit_rate": "",
        "gateway_limit_settings_rate": "",
        "gateway_limit_connections": 0,
    },
    "limits_with_exemptions": {
        "gateway_limit_rate": "120r/m",
        "gateway_limit_exempt": ["10.0.0.0/8", "2001:db8::/32"],
    },
    "behind_a_load_balancer": {"gateway_trusted_proxies": ["192.0.2.0/24", "2001:db8::1"]},
    "proxy_protocol": {
        "gateway_trusted_proxies": ["192.0.2.1"],
        "gateway_proxy_protocol": True,
        "gateway_server_names": ["api.example.com"],
    },
    "names": {"gateway_server_names": ["api.example.com", "*.example.org"]},
    "many_origins": {
        "gateway_cors_origins": ["https://a.example", "http://localhost:3000"],
        "gateway_cors_origin_patterns": [r"https://[a-z0-9-]{1,63}\.example\.com(:\d+)?"],
    },
    "any_origin": {"gateway_cors_origins": ["*"]},
    "no_security_headers": {"gateway_security_headers": {}},
    "no_gzip": {"gateway_gzip": False},
    "private": {"gateway_privacy": True},
    "no_checks": {"gateway_health_interval": 0},
    "modern_tls": {"gateway_tls_policy": "modern", "gateway_https_port": 8443},
    "names_beside_certificates": {"gateway_server_names": ["api.example.com", "plain.example.com"]},
    "no_redirect": {"gateway_tls_redirect": False, "gateway_server_names": ["api.example.com"]},
    "plain_tls": {"gateway_http2": False, "gateway_http3": False},
    "ipv6": {"gateway_ipv6": True},
}

# For which hosts there are certificates. Their names must be different for nginx.
CERTIFICATES: dict[str, dict[str, list[str]]] = {
    "no_certificate": {},
    "certificates": {
        "api.example.com": ["api.example.com", "www.example.com"],
        "example.org": ["*.example.org", "api.example.com"],
    },
}

# Each variant, and what there is before the first certificate.
CASES = [*((variant, "certificates") for variant in VARIANTS), ("defaults", "no_certificate")]


def rendered(tmp_path: Path, authority: Authority, variant: str, certificates: str) -> Path:
    """Return a folder with the configuration of `variant` with `certificates`."""
    folder, store = tmp_path / "live", tmp_path / "certificates"
    folder.mkdir()
    for name, hosts in CERTIFICATES[certificates].items():
        authority.issue(hosts).write(store / name / "1", hosts)
    render(folder, VARIANTS[variant])
    complete(folder, store)
    for path in [tmp_path, *folder.rglob("*")]:
        path.chmod(0o755)
    return folder


def nginx_test(image: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Let the nginx of `image` test the configuration in `folder`, with no network at all."""
    folder.chmod(0o755)
    hosts = [
        f"--add-host={name}:{at}" for name, at in replica_addresses("10.213.0.0/21", 64).items()
    ]
    return subprocess.run(
        [
            *(
                "docker",
                "run",
                "--rm",
                "--network=none",
                "--read-only",
                "--tmpfs=/tmp",
                "--tmpfs=/var/log/gateway",
                *hosts,
            ),
            *("--volume", f"{folder}:/etc/gateway/live:ro", image),
            *("nginx", "-t", "-e", "stderr", "-c", "/etc/gateway/live/nginx.conf"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(("variant", "certificates"), CASES)
def test_nginx_accepts_what_is_rendered(
    variant: str, certificates: str, gateway_image: str, authority: Authority, tmp_path: Path
) -> None:
    folder = rendered(tmp_path, authority, variant, certificates)
    result = nginx_test(gateway_image, folder)
    assert result.returncode == 0, result.stderr
    assert "[warn]" not in result.stderr


def test_nginx_refuses_a_time_that_is_none(gateway_image: str, tmp_path: Path) -> None:
    render(tmp_path, {"gateway_fail_timeout": "soon"})
    complete(tmp_path, tmp_path / "none")
    result = nginx_test(gateway_image, tmp_path)
    assert result.returncode != 0
    assert "fail_timeout=soon" in result.stderr


@pytest.mark.parametrize("addresses", [[], ["2001:db8::1"]])
def test_ipv6_where_the_host_has_it(tmp_path: Path, addresses: list[str]) -> None:
    render(tmp_path, {"ansible_facts": {"all_ipv6_addresses": addresses}})
    for name in ("server.conf", "http.conf", "https.conf"):
        lines = re.findall(r"listen (\S+)", (tmp_path / name).read_text())
        assert [line for line in lines if not line.startswith("[::]:")]
        v6 = [line.removeprefix("[::]:") for line in lines if line.startswith("[::]:")]
        assert v6 == ([line for line in lines if "[" not in line] if addresses else [])


def test_the_upstream_is_the_one_of_the_architecture(tmp_path: Path) -> None:
    render(tmp_path, {})
    text, _, _ = (tmp_path / "upstream.conf").read_text().partition("\n}")
    lines = [line.strip() for line in text.splitlines()]
    assert lines[0] == "upstream freegpt4_api {"
    assert [line for line in lines if line.startswith("server ")] == [
        "server api1:5500 max_fails=3 fail_timeout=30s;",
        "server api2:5500 max_fails=3 fail_timeout=30s;",
    ]
    assert "keepalive 32;" in lines


def test_weights_are_those_of_replicas_and_hosts(tmp_path: Path) -> None:
    variables = {
        "gateway_replicas": ["api1", "api2", "10.0.0.7:5501", "10.0.0.7:5502", "10.0.0.8"],
        "gateway_weights": {"api2": 3, "10.0.0.7": 2, "10.0.0.7:5502": "5", "10.0.0.8": 4},
    }
    render(tmp_path, variables)
    text, _, _ = (tmp_path / "upstream.conf").read_text().partition("\n}")
    weights = re.findall(r"server (\S+) [^;]*?(?:weight=(\d+))?;", text)
    assert weights == [
        ("api1:5500", ""),
        ("api2:5500", "3"),
        ("10.0.0.7:5501", "2"),
        ("10.0.0.7:5502", "10"),
        ("10.0.0.8:5500", "4"),
    ]


def test_the_replicas_of_all_hosts_share_the_requests(tmp_path: Path) -> None:
    render(tmp_path, VARIANTS["several_hosts"])
    upstream = re.findall(r"server (\S+) ", (tmp_path / "upstream.conf").read_text())
    assert upstream[:5] == [f"api{slot}:5500" for slot in (1, 2, 601, 602, 603)]
    weights = re.findall(
        r"server (\S+) [^;]*weight=(\d+);", (tmp_path / "upstream.conf").read_text()
    )
    assert weights == [("api601:5500", "3"), ("api602:5500", "3"), ("api603:5500", "3")]
    assert "server 10.213.7.2:8081 " in (tmp_path / "gateways.conf").read_text()


def test_every_template_is_installed_and_included(tmp_path: Path, authority: Authority) -> None:
    render(tmp_path, {})
    installed = yaml.safe_load((GATEWAY / "vars/main.yml").read_text())["__gateway_files"]
    files = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert sorted(installed) == sorted(files)
    (tmp_path / "store").mkdir()
    authority.issue(["a.example"]).write(tmp_path / "store/a.example/1", ["a.example"])
    complete(tmp_path, tmp_path / "store")
    files |= {path.name: path.read_text() for path in tmp_path.glob("*.conf")}
    whole = "".join(files.values())
    included = [name for name in files if name.endswith(".conf") and name != "nginx.conf"]
    assert [name for name in included if f"include {name};" not in whole] == []


def test_the_log_shows_no_query(tmp_path: Path) -> None:
    render(tmp_path, {})
    log_format = (tmp_path / "log.conf").read_text().split("log_format")[1]
    assert "$gateway_path" in log_format
    for variable in ("$request_uri", "$args", "$query_string", "$request ", '"$request"'):
        assert variable not in log_format
