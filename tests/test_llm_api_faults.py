"""Each setting that a replica would not start with is named, and no secret is shown."""

from __future__ import annotations

from typing import Any

import pytest

from roles.validate.filter_plugins.llm_api_faults import llm_api_faults

REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"llm_api_max_streams": 0}, "llm_api_max_streams is 0: it must be from 1 to 10000"),
    ({"llm_api_max_body_bytes": 1}, "llm_api_max_body_bytes is 1"),
    ({"llm_api_stop_timeout": 0}, "llm_api_stop_timeout is 0"),
    ({"llm_api_database_url": "mysql://u:canary@h/n"}, "llm_api_database_url must be postgresql"),
    ({"llm_api_database_url": "postgresql://u:canary x@h/n"}, "llm_api_database_url must be"),
    ({"llm_api_secret_key": "canary"}, "llm_api_secret_key must have at least 32 characters"),
    ({"llm_api_admin_password": "canary"}, "llm_api_admin_password must have at least 8"),
    ({"llm_api_admin_password": "canary-canary "}, "llm_api_admin_password must have"),
    ({"llm_api_admin_password": "canary\ncanary"}, "in one line"),
    ({"llm_api_batch": "0"}, "llm_api_batch is 0: it must be a whole number, or a share from"),
    ({"llm_api_batch": "half"}, "llm_api_batch is half"),
    ({"llm_api_batch": "120%"}, "llm_api_batch is 120%"),
    ({"llm_api_strategy": "rolling", "llm_api_replicas": 1}, "use surge, or set llm_api_replicas"),
    ({"llm_api_releases_kept": -1}, "llm_api_releases_kept is -1"),
    ({"llm_api_egress_proxy": "socks5://egress:1080"}, "llm_api_egress_proxy must be http://"),
]

ACCEPTED: list[dict[str, Any]] = [
    {},
    {"llm_api_database_url": "", "llm_api_secret_key": "", "llm_api_admin_password": ""},
    {"llm_api_database_url": "postgresql://user:pass%20word@db.example:5432/name"},
    {"llm_api_database_url": "sqlite:////var/lib/llm-api/other.db"},
    {"llm_api_secret_key": "k" * 32, "llm_api_admin_password": "correct horse"},
    {"llm_api_egress_proxy": "http://10.213.0.4:3128"},
    {"llm_api_max_streams": "10000"},
    {"llm_api_batch": 2, "llm_api_strategy": "rolling", "llm_api_replicas": "2"},
    {"llm_api_batch": "100%", "llm_api_strategy": "surge", "llm_api_replicas": 1},
]


@pytest.mark.parametrize(("variables", "message"), REFUSED)
def test_faults_are_named(variables: dict[str, Any], message: str) -> None:
    faults = " ".join(llm_api_faults(variables))
    assert message in faults
    assert "canary" not in faults


@pytest.mark.parametrize("variables", ACCEPTED)
def test_what_works_is_accepted(variables: dict[str, Any]) -> None:
    assert llm_api_faults(variables) == []
