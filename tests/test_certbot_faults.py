"""Each setting for which no certificate can be had is named, with the remedy."""

from __future__ import annotations

from typing import Any

import pytest

from roles.validate.filter_plugins.certbot_faults import certbot_faults

PAIR = {"chain": "chain", "key": "key"}


def several(*certificates: dict[str, Any]) -> dict[str, Any]:
    return {"certbot_certificates": list(certificates)}


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"certbot_domains": "192.0.2.1"}, "domain has '192.0.2.1', which is an IP address"),
    ({"certbot_domains": ["2001:db8::1"]}, "which is an IP address"),
    ({"certbot_domains": "api.example.com,*.example.com"}, "a wildcard needs challenges by DNS"),
    (
        {"certbot_domains": "*.example.com", "certbot_dns_plugin": "rfc2136"},
        "put a name without an asterisk before it",
    ),
    ({"certbot_domains": "api example.com"}, "domain has 'api example.com', which is no host name"),
    ({"certbot_domains": "api_1.example.com"}, "which is no host name"),
    ({"certbot_domains": "https://api.example.com/"}, "which is no host name"),
    ({"certbot_domains": "a..example.com"}, "which is no host name"),
    ({"certbot_domains": "api.example.com,"}, "domain has ''"),
    ({"certbot_domains": "localhost"}, "no authority issues for a name without a dot"),
    ({"certbot_domains": "a.example,A.example"}, "domain has a.example more than once"),
    ({"certbot_domains": [f"a{n}.example" for n in range(101)]}, "100 are allowed"),
    (several({"domains": []}), "certbot_certificates has a certificate without a name"),
    (
        several({"domains": ["a.example"]}, {"domains": ["b.example", "a.example"]}),
        "certbot_certificates has a.example more than once",
    ),
    (several({"domains": ["a.example"], "source": "files"}), "with chain and key, as PEM"),
    (several({"domains": ["a.example"], **PAIR}), "it needs source: files"),
    ({"certbot_domains": "a.example", "certbot_source": "files"}, "from files: it needs an entry"),
    ({"certbot_email": "admin"}, "email has 'admin', which is no address"),
    ({"certbot_email": "a@b@c.example"}, "which is no address"),
    ({"certbot_email": "admin@example"}, "which is no address"),
    ({"certbot_acme_directory": "acme.example"}, "certbot_acme_directory has 'acme.example'"),
    (
        {"certbot_acme_directory": "https://a.example/d", "certbot_staging": "true"},
        "certbot_staging has no effect",
    ),
    ({"certbot_eab_key_id": "id"}, "certbot_eab_key_id and certbot_eab_hmac_key need one another"),
    ({"certbot_dns_plugin": "rfc 2136"}, "which is no plugin such as rfc2136"),
    ({"certbot_dns_plugin": "manual"}, "set certbot_dns_hook"),
    ({"certbot_dns_hook": "hook"}, "has no effect without certbot_dns_plugin: manual"),
    ({"certbot_dns_credentials": {"a": "b\nc"}}, "has a line break in a"),
    ({"certbot_renewal_hours": [3, 24]}, "certbot_renewal_hours has 24"),
    ({"certbot_renewal_hours": []}, "nothing would ever be renewed"),
    ({"certbot_renewal_delay": -1}, "certbot_renewal_delay has -1"),
    ({"certbot_webhook": "chat"}, "certbot_webhook is no URL"),
    ({"certbot_mail_to": "a@b.example"}, "certbot_mail_to alone has no effect"),
]

ACCEPTED: list[dict[str, Any]] = [
    {},
    {"certbot_domains": "api.example.com, www.example.com", "certbot_email": "a+b@example.com"},
    {"certbot_domains": ["API.example.com"]},
    {"certbot_domains": "example.com,*.example.com", "certbot_dns_plugin": "rfc2136"},
    {"certbot_domains": "lab,*.lab", "certbot_source": "self_signed"},
    several({"domains": ["a.example"], "source": "files", **PAIR}, {"domains": "b.example"}),
    {"certbot_dns_plugin": "manual", "certbot_dns_hook": "hook"},
    {"certbot_eab_key_id": "id", "certbot_eab_hmac_key": "key"},
    {
        "certbot_mail_to": "a@b.example",
        "certbot_mail_from": "a@b.example",
        "certbot_mail_server": "mail.example:587",
    },
]


@pytest.mark.parametrize(("variables", "message"), REFUSED)
def test_faults_are_named(variables: dict[str, Any], message: str) -> None:
    assert message in " ".join(certbot_faults(variables))


@pytest.mark.parametrize("variables", ACCEPTED)
def test_what_works_is_accepted(variables: dict[str, Any]) -> None:
    assert certbot_faults(variables) == []
