# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter that finds what no backup can be made with among its variables."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

SHORTEST = 12
LAST_HOUR = 23

# Of a file in the folder that the replicas share.
ON_HOST = "sqlite:////var/lib/llm-api/"


def backup_faults(variables: Mapping[str, Any], database_url: str) -> list[str]:
    """Return a sentence for each fault of `variables`, whose types have been checked.

    Args:
        variables: those that somebody set.
        database_url: where the inventory has the replicas keep what they share; empty for a file
            of SQLite and for the cluster's own PostgreSQL, which are both backed up.
    """
    return [
        *_faults_of_passphrase(variables),
        *_faults_of_schedule(variables),
        *_faults_of_database(variables, database_url),
    ]


def _faults_of_passphrase(variables: Mapping[str, Any]) -> Iterator[str]:
    # It is shown in no message.
    passphrase = str(variables.get("backup_passphrase", ""))
    if passphrase and (len(passphrase) < SHORTEST or "\n" in passphrase):
        yield f"backup_passphrase must have at least {SHORTEST} characters, in one line."
    if variables.get("backup_hours") and not passphrase:
        yield (
            "backup_hours needs backup_passphrase, which encrypts archives: set it in a file that"
            " ansible-vault encrypts."
        )


def _faults_of_schedule(variables: Mapping[str, Any]) -> Iterator[str]:
    for hour in variables.get("backup_hours", []):
        if not 0 <= int(hour) <= LAST_HOUR:
            yield f"backup_hours has {hour}: it must be from 0 to {LAST_HOUR}."
    keep = variables.get("backup_keep", 1)
    if int(keep) < 1:
        yield f"backup_keep is {keep}: it must be at least 1, or the backup would go at once."
    command = variables.get("backup_copy_command", [])
    if command and not any("{archive}" in word for word in command):
        yield "backup_copy_command has no {archive} in it, which stands for what is to be copied."


def _faults_of_database(variables: Mapping[str, Any], url: str) -> Iterator[str]:
    wanted = str(variables.get("backup_database", True)).lower() in ("true", "yes", "1")
    if variables.get("backup_hours") and wanted and url and not url.startswith(ON_HOST):
        yield (
            "llm_api_database_url names a database that backups do not have: set"
            " backup_database: false for the rest, and let `pg_dump --format=custom` back up the"
            " database where it is."
        )


class FilterModule:
    """The filter as Ansible finds it."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filter by name."""
        return {"backup_faults": backup_faults}
