# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter that finds what a replica would not start with among its variables."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

# The least and the most that a number may be.
NUMBERS = {
    "llm_api_max_streams": (1, 10000),
    "llm_api_max_body_bytes": (1024, 2**30),
    "llm_api_stop_timeout": (1, 3600),
    "llm_api_canary_seconds": (0, 3600),
    "llm_api_releases_kept": (0, 100),
}

BATCH = "llm_api_batch"
STRATEGY = "llm_api_strategy"

# What a secret must match unless it is empty, and how a message says so. It never shows one.
SECRETS = {
    "llm_api_database_url": (
        r"postgres(ql(\+psycopg)?)?://\S+|sqlite:////[^/\s]\S*",
        "be postgresql://USER:PASSWORD@HOST/NAME, or empty for a file that the replicas share",
    ),
    "llm_api_secret_key": (r".{32,}", "have at least 32 characters, in one line"),
    "llm_api_admin_password": (r".{8,}", "have at least 8 characters, in one line"),
}
PROXY = "llm_api_egress_proxy"


def llm_api_faults(variables: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each fault of `variables`, which somebody set."""
    return [
        *_faults_of_numbers(variables),
        *_faults_of_texts(variables),
        *_faults_of_rollouts(variables),
    ]


def _faults_of_numbers(variables: Mapping[str, Any]) -> Iterator[str]:
    for name, (least, most) in NUMBERS.items():
        if name in variables and not least <= int(variables[name]) <= most:
            yield f"{name} is {variables[name]}: it must be from {least} to {most}."


def _faults_of_texts(variables: Mapping[str, Any]) -> Iterator[str]:
    for name, (pattern, meaning) in SECRETS.items():
        value = str(variables.get(name, ""))
        if value and (value != value.strip() or not re.fullmatch(pattern, value)):
            yield f"{name} must {meaning}."
    proxy = str(variables.get(PROXY, ""))
    if proxy and not re.fullmatch(r"http://[^\s/]+", proxy):
        yield f"{PROXY} must be http://HOST:PORT, or empty for none."


def _faults_of_rollouts(variables: Mapping[str, Any]) -> Iterator[str]:
    batch = str(variables.get(BATCH, "1"))
    if not re.fullmatch(r"[1-9]\d{0,2}|[1-9]\d?%|100%", batch):
        yield f"{BATCH} is {batch}: it must be a whole number, or a share from 1% to 100%."
    if variables.get(STRATEGY) == "rolling" and int(variables.get("llm_api_replicas", 2)) == 1:
        yield (
            f"{STRATEGY} is rolling, which stops the only replica that there is:"
            " use surge, or set llm_api_replicas to 2."
        )


class FilterModule:
    """The filter as Ansible finds it."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filter by name."""
        return {"llm_api_faults": llm_api_faults}
