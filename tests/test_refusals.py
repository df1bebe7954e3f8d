"""Bad input stops before anything is changed, with a message that names it and the remedy.

Each bad value is one host's, in a run for all those that the same task refuses.
"""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent

# By the task that refuses them: arguments of -e, and what the message must contain.
REFUSED: dict[str, dict[str, list[str]]] = {
    "Refuse a number of replicas that cannot be": {
        "llm_api_replicas=0": ["llm_api_replicas is 0", "from 1 to 64"],
        "llm_api_replicas=-1": ["llm_api_replicas is -1", "from 1 to 64"],
        "llm_api_replicas=300": ["llm_api_replicas is 300", "from 1 to 64"],
        "llm_api_replicas=two": ["llm_api_replicas is two", "from 1 to 64"],
    },
    "Refuse variables that nothing reads": {
        "llm_api_replcas=3": ["llm_api_replcas", "did you mean llm_api_replicas?"],
        "lm_api_replicas=3": ["lm_api_replicas", "did you mean llm_api_replicas?"],
        "gateway_frobnicate=1": ["Unknown variable: gateway_frobnicate", "README.md"],
    },
    "Refuse variables that have another name here": {
        "LOG_LEVEL=DEBUG": ["LOG_LEVEL", "set llm_api_log_level instead"],
        "PRIVATE_MODE=true": ["PRIVATE_MODE", "set llm_api_private_mode instead"],
    },
    "Refuse values of the wrong type": {
        "llm_api_log_level=LOUD": ["llm_api_log_level must be one of", "LOUD"],
        "gateway_keepalive=many": ["gateway_keepalive", "unable to convert to int"],
    },
    "Refuse a port that is none": {
        "gateway_http_port=0": ["gateway_http_port is 0", "from 1 to 65535"],
        "gateway_https_port=70000": ["gateway_https_port is 70000", "from 1 to 65535"],
    },
    "Refuse values that are still placeholders": {
        "cluster_name=CHANGE_ME": ["cluster_name still has a placeholder"],
    },
    "Refuse hosts that cannot have their addresses": {
        "cluster_internal_subnet=10.213.0.0/28": ["cluster_internal_subnet", "room for"],
        "cluster_internal_subnet=somewhere": ["cluster_internal_subnet", "no IPv4 network"],
        "cluster_host_number=9": ["cluster_host_number of", "room for hosts 1 to 7"],
    },
    "Refuse what they would not understand": {
        '{"gateway_replicas": []}': ["gateway_replicas is empty"],
        '{"gateway_replicas": ["api1", "api1"]}': ["gateway_replicas has api1 more than once"],
        '{"egress_allowed": [{"to": "192.168.1.300", "ports": [11434]}]}': [
            "egress_allowed has '192.168.1.300'",
            "ollama.lan",
        ],
        '{"egress_allowed": [{"to": "ollama.lan", "ports": [0]}]}': ["egress_allowed has 0 for"],
        "egress_dns_timeout=0": ["egress_dns_timeout is 0", "from 1 to 60"],
        "llm_api_max_streams=0": ["llm_api_max_streams is 0", "from 1 to 10000"],
        "llm_api_admin_password=wagtail": ["llm_api_admin_password must have at least 8"],
        "llm_api_database_url=mysql://u:nightingale@h/n": [
            "llm_api_database_url must be postgresql://"
        ],
        "backup_passphrase=nightingale": ["backup_passphrase must have at least 12"],
        '{"backup_hours": [2]}': ["backup_hours needs backup_passphrase"],
        "autoheal_backoff=0": ["autoheal_backoff is 0", "from 1 to 86400"],
        "gateway_limit_rate=fast": ["gateway_limit_rate has 'fast'", "10r/s"],
    },
    "Refuse what status could not judge by": {
        "status_seconds=0": ["status_seconds is 0", "from 1 to 3600"],
        "status_disk_free_percent=101": ["status_disk_free_percent is 101", "from 0 to 100"],
        "status_certificate_days=-1": ["status_certificate_days is -1", "from 0 to 365"],
    },
}

# What stands for a secret above and is shown in no message. The second is too short for a password.
SECRETS = ("nightingale", "wagtail")

# The same for ssl.yml.
REFUSED_FOR_TLS: dict[str, dict[str, list[str]]] = {
    "Refuse to get no certificate at all": {
        "email=admin@example.com": ["No domain is given: add -e domain=api.example.com"],
        "domain=": ["No domain is given"],
    },
    "Refuse what they would not understand": {
        "domain=192.0.2.1": ["domain has '192.0.2.1', which is an IP address"],
        "domain=*.example.com": ["a wildcard needs challenges by DNS", "certbot_dns_plugin"],
        '{"domain": "api example.com"}': ["domain has 'api example.com', which is no host name"],
        '{"domain": ["a.example.com", "b"]}': ["domain has 'b'", "a name without a dot"],
        "domain=api.example.com email=admin": ["email has 'admin', which is no address"],
    },
    "Refuse values of the wrong type": {
        '{"certbot_certificates": [{"name": "a.example.com"}]}': ["domains"],
        "certbot_renewal_timer=anacron": ["certbot_renewal_timer must be one of"],
    },
    "Refuse variables that have another name here": {
        "SSL_DOMAIN=api.example.com": ["set certbot_domains instead"],
    },
}


def variables_of(argument: str) -> dict[str, Any]:
    """Return what Ansible makes of an argument of -e."""
    if argument.startswith("{"):
        variables: dict[str, Any] = json.loads(argument)
        return variables
    return dict(pair.split("=", 1) for pair in argument.split())


def inventory(folder: Path, arguments: list[str]) -> Path:
    """Write an inventory with a cluster for each of `arguments`, and the project's own settings."""
    hosts = {
        f"host{number}": {"ansible_connection": "local"} | variables_of(argument)
        for number, argument in enumerate(arguments)
    }
    (folder / "group_vars").symlink_to(ROOT / "inventory/group_vars")
    file = folder / "hosts.yml"
    each = {"cluster_hosts": ["{{ inventory_hostname }}"]}
    file.write_text(json.dumps({"freegpt4": {"hosts": hosts, "vars": each}}))
    return file


def message_to(host: str, output: str) -> str:
    """Return what the run has said of `host` where it failed, without the quoting of YAML."""
    said = re.findall(rf"^(?:fatal|failed): \[{host}\](.*(?:\n .*)*)", output, re.MULTILINE)
    return " ".join(" ".join(said).split()).replace("''", "'")


def assert_refused(name: str, task: str, cases: dict[str, list[str]], folder: Path) -> None:
    """Run the playbook `name`, and expect that `task` refuses each of `cases`."""
    result = subprocess.run(
        # Should a value be good after all, it is not deployed.
        ["ansible-playbook", "--inventory", inventory(folder, list(cases)), name, "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode != 0
    output = result.stdout + result.stderr
    last = re.findall(r"^TASK \[(.*?)\] \**$", output, re.MULTILINE)[-1]
    assert task in last
    for number, parts in enumerate(cases.values()):
        message = message_to(f"host{number}", output)
        for part in parts:
            assert part in message
        assert re.search(rf"^host{number} .*\bchanged=0 .*\bfailed=1 ", output, re.MULTILINE)
    assert "TASK [docker_engine" not in output
    assert "TASK [images" not in output
    assert not [secret for secret in SECRETS if secret in output]


@pytest.mark.parametrize("task", REFUSED)
def test_bad_variables_are_refused(task: str, tmp_path: Path) -> None:
    assert_refused("site.yml", task, REFUSED[task], tmp_path)


@pytest.mark.parametrize("task", REFUSED_FOR_TLS)
def test_what_no_certificate_can_be_had_for_is_refused(task: str, tmp_path: Path) -> None:
    assert_refused("ssl.yml", task, REFUSED_FOR_TLS[task], tmp_path)


@pytest.mark.parametrize(
    ("name", "argument", "part"),
    [
        ("site.yml", "llm_api_replcas=3", "did you mean llm_api_replicas?"),
        ("ssl.yml", "domain=192.0.2.1", "which is an IP address"),
    ],
)
def test_what_is_given_on_the_command_line_is_refused_too(
    name: str, argument: str, part: str
) -> None:
    result = subprocess.run(
        ["ansible-playbook", name, "--check", "--extra-vars", argument],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode != 0
    # Ansible folds long lines.
    assert part in " ".join((result.stdout + result.stderr).split())
    assert "TASK [docker_engine" not in result.stdout
