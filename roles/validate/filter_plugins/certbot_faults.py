# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter that finds what no certificate can be had for among certbot's variables."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from ipaddress import ip_address
from typing import Any

LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
DOMAIN = re.compile(rf"(\*\.)?({LABEL}\.)*{LABEL}")
EMAIL = re.compile(r"[^@\s,;]+@([A-Za-z0-9-]+\.)+[A-Za-z0-9-]+")
URL = re.compile(r"https?://[^\s/]+(/\S*)?")
SERVER = re.compile(r"[A-Za-z0-9.-]+(:[0-9]{1,5})?")

LONGEST = 253

# What certificate authorities take, for instance Let's Encrypt.
MOST_NAMES = 100

# The least and the most that a number may be.
NUMBERS = {
    "certbot_dns_propagation": (0, 3600),
    "certbot_renewal_hours": (0, 23),
    "certbot_renewal_delay": (0, 43200),
    "certbot_log_days": (1, 3650),
}


def certbot_faults(variables: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each fault of `variables`, whose types have been checked."""
    return [
        *_faults_of_certificates(variables),
        *_faults_of_authority(variables),
        *_faults_of_challenges(variables),
        *_faults_of_renewal(variables),
    ]


def _certificates(variables: Mapping[str, Any]) -> Iterator[tuple[str, list[str], dict[str, Any]]]:
    """Yield where each certificate is from, its names, and what else is said of it."""
    if variables.get("certbot_domains"):
        yield "domain", _names(variables["certbot_domains"]), {}
    for certificate in variables.get("certbot_certificates", []):
        yield "certbot_certificates", _names(certificate.get("domains", [])), certificate


def _names(value: str | Collection[str]) -> list[str]:
    parts = value.split(",") if isinstance(value, str) else value
    return [str(part).strip().lower() for part in parts]


def _faults_of_certificates(variables: Mapping[str, Any]) -> Iterator[str]:
    seen: set[str] = set()
    plugin = variables.get("certbot_dns_plugin")
    for origin, names, certificate in _certificates(variables):
        source = certificate.get("source") or variables.get("certbot_source", "acme")
        for name in names:
            yield from _faults_of_name(origin, name, issued=source == "acme")
            if name.startswith("*.") and source == "acme" and not plugin:
                yield (
                    f"{origin} has {name!r}: a wildcard needs challenges by DNS, which"
                    " certbot_dns_plugin sets up (docs/tls.md)."
                )
        if not names:
            yield f"{origin} has a certificate without a name: give it domains."
        elif names[0].startswith("*."):
            yield (
                f"{origin} has {names[0]!r} first, which is to be the certificate's name:"
                " put a name without an asterisk before it."
            )
        if len(names) > MOST_NAMES:
            yield f"{origin} has {len(names)} names for one certificate: {MOST_NAMES} are allowed."
        twice = sorted({name for name in names if names.count(name) > 1 or name in seen})
        if twice:
            yield f"{origin} has {', '.join(twice)} more than once."
        seen.update(names)
        pair = [key for key in ("chain", "key") if certificate.get(key)]
        if source == "files" and pair != ["chain", "key"]:
            yield (
                f"{origin} takes {', '.join(names)} from files: it needs an entry of"
                " certbot_certificates with chain and key, as PEM."
            )
        if source != "files" and pair:
            yield f"{origin} has a {pair[0]} for {', '.join(names)}: it needs source: files."


def _faults_of_name(origin: str, name: str, *, issued: bool) -> Iterator[str]:
    if _is_address(name):
        yield f"{origin} has {name!r}, which is an IP address: certificates are for host names."
    elif not DOMAIN.fullmatch(name) or len(name) > LONGEST:
        yield f"{origin} has {name!r}, which is no host name such as api.example.com."
    elif issued and "." not in name:
        yield f"{origin} has {name!r}: no authority issues for a name without a dot."


def _is_address(name: str) -> bool:
    try:
        ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True


def _faults_of_authority(variables: Mapping[str, Any]) -> Iterator[str]:
    email = variables.get("certbot_email")
    if email and not EMAIL.fullmatch(email):
        yield f"email has {email!r}, which is no address such as admin@example.com."
    directory = variables.get("certbot_acme_directory")
    if directory and not URL.fullmatch(directory):
        yield f"certbot_acme_directory has {directory!r}, which is no URL."
    if directory and str(variables.get("certbot_staging", False)).lower() in ("true", "yes", "1"):
        yield "certbot_staging has no effect with certbot_acme_directory: set one of them."
    names = ("certbot_eab_key_id", "certbot_eab_hmac_key")
    if len([name for name in names if variables.get(name)]) == 1:
        yield f"{' and '.join(names)} need one another."


def _faults_of_challenges(variables: Mapping[str, Any]) -> Iterator[str]:
    plugin = variables.get("certbot_dns_plugin", "")
    if not re.fullmatch(r"[a-z0-9-]*", plugin):
        yield f"certbot_dns_plugin has {plugin!r}, which is no plugin such as rfc2136."
    hook = variables.get("certbot_dns_hook")
    if plugin == "manual" and not hook:
        yield "certbot_dns_plugin is manual: set certbot_dns_hook to a program too."
    if plugin != "manual" and hook:
        yield "certbot_dns_hook has no effect without certbot_dns_plugin: manual."
    for name, value in variables.get("certbot_dns_credentials", {}).items():
        if "\n" in f"{name}{value}":
            yield f"certbot_dns_credentials has a line break in {name.strip()}."


def _faults_of_renewal(variables: Mapping[str, Any]) -> Iterator[str]:
    for name, (least, most) in NUMBERS.items():
        value = variables.get(name, least)
        for number in value if isinstance(value, list) else [value]:
            if not least <= int(number) <= most:
                yield f"{name} has {number}: it must be from {least} to {most}."
    if variables.get("certbot_renewal_hours") == []:
        yield "certbot_renewal_hours is empty: nothing would ever be renewed."
    webhook = variables.get("certbot_webhook")
    if webhook and not URL.fullmatch(webhook):
        yield "certbot_webhook is no URL."
    mail = [f"certbot_mail_{part}" for part in ("to", "from", "server")]
    given = [name for name in mail if variables.get(name)]
    if given and len(given) < len(mail):
        yield f"{', '.join(mail)} need one another: {given[0]} alone has no effect."
    for name in given:
        pattern = SERVER if name == "certbot_mail_server" else EMAIL
        if not pattern.fullmatch(variables[name]):
            yield f"{name} has {variables[name]!r}, which is none."


class FilterModule:
    """The filter as Ansible finds it."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filter by name."""
        return {"certbot_faults": certbot_faults}
