"""Bad input stops before anything is changed, with a message that names it and the remedy."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# Each -e argument, and what the message must contain.
REFUSED = {
    "llm_api_replicas=0": ["llm_api_replicas is 0", "from 1 to 64"],
    "llm_api_replicas=-1": ["llm_api_replicas is -1", "from 1 to 64"],
    "llm_api_replicas=300": ["llm_api_replicas is 300", "from 1 to 64"],
    "llm_api_replicas=two": ["llm_api_replicas is two", "from 1 to 64"],
    "llm_api_replcas=3": ["llm_api_replcas", "did you mean llm_api_replicas?"],
    "lm_api_replicas=3": ["lm_api_replicas", "did you mean llm_api_replicas?"],
    "gateway_frobnicate=1": ["Unknown variable: gateway_frobnicate", "README.md"],
    "LOG_LEVEL=DEBUG": ["LOG_LEVEL", "set llm_api_log_level instead"],
    "llm_api_log_level=LOUD": ["llm_api_log_level must be one of", "LOUD"],
    "gateway_keepalive=many": ["gateway_keepalive", "unable to convert to int"],
    "gateway_http_port=0": ["gateway_http_port is 0", "from 1 to 65535"],
    "gateway_https_port=70000": ["gateway_https_port is 70000", "from 1 to 65535"],
    "cluster_name=CHANGE_ME": ["cluster_name still has a placeholder"],
    "cluster_internal_subnet=10.213.0.0/28": ["cluster_internal_subnet", "room for"],
    "cluster_internal_subnet=somewhere": ["cluster_internal_subnet somewhere", "IPv4 network"],
    '{"gateway_replicas": []}': ["gateway_replicas is empty"],
    '{"gateway_replicas": ["api1", "api1"]}': ["gateway_replicas has api1 more than once"],
    '{"egress_allowed": [{"to": "192.168.1.300", "ports": [11434]}]}': [
        "egress_allowed has '192.168.1.300'",
        "ollama.lan",
    ],
    '{"egress_allowed": [{"to": "ollama.lan", "ports": [0]}]}': ["egress_allowed has 0 for"],
    "egress_dns_timeout=0": ["egress_dns_timeout is 0", "from 1 to 60"],
    "PRIVATE_MODE=true": ["PRIVATE_MODE", "set llm_api_private_mode instead"],
    "llm_api_max_streams=0": ["llm_api_max_streams is 0", "from 1 to 10000"],
    "llm_api_admin_password=wagtail": ["llm_api_admin_password must have at least 8"],
    "llm_api_database_url=mysql://u:nightingale@h/n": [
        "llm_api_database_url must be postgresql://"
    ],
    "status_seconds=0": ["status_seconds is 0", "from 1 to 3600"],
    "status_disk_free_percent=101": ["status_disk_free_percent is 101", "from 0 to 100"],
    "status_certificate_days=-1": ["status_certificate_days is -1", "from 0 to 365"],
    "backup_passphrase=nightingale": ["backup_passphrase must have at least 12"],
    '{"backup_hours": [2]}': ["backup_hours needs backup_passphrase"],
    "autoheal_backoff=0": ["autoheal_backoff is 0", "from 1 to 86400"],
    "gateway_limit_rate=fast": ["gateway_limit_rate has 'fast'", "10r/s"],
}

# What stands for a secret above and is shown in no message. The second is too short for a password.
SECRETS = ("nightingale", "wagtail")

# The same for ssl.yml.
REFUSED_FOR_TLS = {
    "email=admin@example.com": ["No domain is given: add -e domain=api.example.com"],
    "domain=": ["No domain is given"],
    "domain=192.0.2.1": ["domain has '192.0.2.1', which is an IP address"],
    "domain=*.example.com": ["a wildcard needs challenges by DNS", "certbot_dns_plugin"],
    '{"domain": "api example.com"}': ["domain has 'api example.com', which is no host name"],
    '{"domain": ["a.example.com", "b"]}': ["domain has 'b'", "a name without a dot"],
    "domain=api.example.com email=admin": ["email has 'admin', which is no address"],
    '{"certbot_certificates": [{"name": "a.example.com"}]}': ["domains"],
    "certbot_renewal_timer=anacron": ["certbot_renewal_timer must be one of"],
    "SSL_DOMAIN=api.example.com": ["set certbot_domains instead"],
}


def playbook(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        # Should a value be good after all, it is not deployed.
        ["ansible-playbook", name, "--check", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def assert_refused(name: str, argument: str, parts: list[str]) -> None:
    """Run the playbook `name`, and expect a refusal that says all of `parts`."""
    result = playbook(name, "--extra-vars", argument)
    assert result.returncode != 0
    # Ansible folds long lines.
    message = " ".join(result.stdout.split()) + " ".join(result.stderr.split())
    for part in parts:
        assert part in message
    assert "changed=0" in message
    assert "TASK [docker_engine" not in message
    assert not [secret for secret in SECRETS if secret in message]
    assert "TASK [images" not in message


@pytest.mark.parametrize("argument", REFUSED)
def test_bad_variables_are_refused(argument: str) -> None:
    assert_refused("site.yml", argument, REFUSED[argument])


@pytest.mark.parametrize("argument", REFUSED_FOR_TLS)
def test_what_no_certificate_can_be_had_for_is_refused(argument: str) -> None:
    assert_refused("ssl.yml", argument, REFUSED_FOR_TLS[argument])
