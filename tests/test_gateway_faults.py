"""Each setting of the gateway that cannot work is named, with the remedy."""

from __future__ import annotations

from typing import Any

import pytest

from roles.validate.filter_plugins.gateway_faults import gateway_faults

REPLICAS = ["api1", "api2"]
HOSTS = ["server1"]

REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"gateway_replicas": []}, "gateway_replicas is empty"),
    ({"gateway_replicas": ["api1", "api1"]}, "gateway_replicas has api1 more than once"),
    ({"gateway_replicas": ["api 1"]}, "gateway_replicas has 'api 1'"),
    ({"gateway_limit_rate": "10/s"}, "gateway_limit_rate has '10/s'"),
    ({"gateway_limit_rate": "0r/s"}, "gateway_limit_rate has '0r/s'"),
    ({"gateway_limit_settings_rate": "5r/h"}, "gateway_limit_settings_rate has '5r/h'"),
    ({"gateway_limit_burst": -1}, "gateway_limit_burst is -1"),
    ({"gateway_limit_exempt": ["10.0.0.0/33"]}, "gateway_limit_exempt has '10.0.0.0/33'"),
    ({"gateway_limit_exempt": ["10.0.0.1/8"]}, "has host bits set"),
    ({"gateway_trusted_proxies": ["balancer"]}, "gateway_trusted_proxies has 'balancer'"),
    ({"gateway_proxy_protocol": True}, "gateway_proxy_protocol needs gateway_trusted_proxies"),
    ({"gateway_cors_origins": ["chat.example.com"]}, "gateway_cors_origins has 'chat.example.com'"),
    ({"gateway_cors_origins": ["https://a.example/"]}, "without a path"),
    ({"gateway_cors_origin_patterns": ["https://("]}, "which is no regular expression"),
    ({"gateway_cors_origin_patterns": ['a" 1;']}, "without quotes and blanks"),
    ({"gateway_server_names": ["api_example"]}, "gateway_server_names has 'api_example'"),
    ({"gateway_fail_timeout": "soon"}, "gateway_fail_timeout has 'soon'"),
    ({"gateway_max_body_size": "16mb"}, "gateway_max_body_size has '16mb'"),
    ({"gateway_weights": {"api3": 2}}, "gateway_weights names api3"),
    ({"gateway_weights": {"10.0.0.7": 2}}, "nor a host of one: api1, api2"),
    ({"gateway_backups": ["api3"]}, "gateway_backups names api3"),
    ({"gateway_weights": {"api1": 0}}, "gateway_weights has 0 for api1"),
    ({"gateway_backups": ["api1", "api2"]}, "one must not be a backup"),
    ({"gateway_balancing": "sticky"}, "set gateway_sticky_key"),
    ({"gateway_sticky_key": "cookie:a"}, "has no effect without gateway_balancing"),
    (
        {
            "gateway_balancing": "sticky",
            "gateway_sticky_key": "cookie:a",
            "gateway_backups": ["api1"],
        },
        "gateway_backups has no effect",
    ),
    ({"gateway_balancing": "sticky", "gateway_sticky_key": "ip"}, "cookie:NAME or header:NAME"),
    ({"gateway_security_headers": {"X-A": 'b"; return 200'}}, "gateway_security_headers has"),
    ({"gateway_worker_connections": 20000, "gateway_open_files": 16384}, "gateway_open_files is"),
    ({"gateway_tls_hsts": -1}, "gateway_tls_hsts is -1"),
    ({"gateway_http_port": 443}, "gateway_http_port and gateway_https_port are both 443"),
    ({"gateway_worker_processes": "many"}, "gateway_worker_processes has 'many'"),
]

ACCEPTED: list[dict[str, Any]] = [
    {},
    {"gateway_replicas": ["api1", "10.0.0.7:5501"]},
    {"gateway_limit_rate": "", "gateway_limit_settings_rate": "1r/m"},
    {"gateway_limit_exempt": ["10.0.0.0/8", "2001:db8::/32", "192.0.2.1"]},
    {"gateway_cors_origins": ["*", "http://localhost:3000"]},
    {"gateway_cors_origin_patterns": [r"https://[a-z0-9-]+\.example\.com(:\d+)?"]},
    {"gateway_server_names": ["api.example.com", "*.example.com", "localhost"]},
    {"gateway_weights": {"api1": "3"}, "gateway_backups": ["api2"]},
    {"gateway_weights": {"server1": 2}},
    {
        "gateway_replicas": ["api1", "10.0.0.7:5501", "10.0.0.7:5502"],
        "gateway_weights": {"10.0.0.7": 2, "10.0.0.7:5502": 3},
    },
    {"gateway_balancing": "sticky", "gateway_sticky_key": "header:X-User"},
    {"gateway_proxy_protocol": "true", "gateway_trusted_proxies": ["192.0.2.1"]},
]


@pytest.mark.parametrize(("variables", "message"), REFUSED)
def test_faults_are_named(variables: dict[str, Any], message: str) -> None:
    faults = gateway_faults(variables, REPLICAS, HOSTS)
    assert message in " ".join(faults)


@pytest.mark.parametrize("variables", ACCEPTED)
def test_what_works_is_accepted(variables: dict[str, Any]) -> None:
    assert gateway_faults(variables, REPLICAS, HOSTS) == []
