"""What no backup can be made with is found, and said in one sentence."""

from __future__ import annotations

from typing import Any

import pytest

from roles.validate.filter_plugins.backup_faults import backup_faults

GOOD = {"backup_passphrase": "canary-canary", "backup_hours": [2, 14], "backup_keep": 3}

FAULTS: list[tuple[dict[str, Any], str, str]] = [
    ({"backup_passphrase": "canary"}, "", "at least 12 characters"),
    ({"backup_passphrase": "canary\ncanary"}, "", "in one line"),
    ({"backup_hours": [2]}, "", "backup_hours needs backup_passphrase"),
    ({**GOOD, "backup_hours": [24]}, "", "backup_hours has 24"),
    ({**GOOD, "backup_keep": 0}, "", "backup_keep is 0"),
    ({"backup_copy_command": ["rsync"]}, "", "no {archive} in it"),
    (GOOD, "postgresql://u:canary@h/n", "backup_database: false"),
]


@pytest.mark.parametrize(("variables", "url", "part"), FAULTS)
def test_faults(variables: dict[str, Any], url: str, part: str) -> None:
    [fault] = backup_faults(variables, url)
    assert part in fault
    assert "canary" not in fault


def test_no_faults() -> None:
    assert backup_faults({}, "") == []
    assert backup_faults(GOOD, "sqlite:////var/lib/llm-api/state.db") == []
    assert backup_faults({**GOOD, "backup_database": False}, "postgresql://u:p@h/n") == []
    # The cluster's own PostgreSQL is backed up, and named by nobody.
    assert backup_faults({**GOOD, "cluster_postgres": True}, "") == []
    assert backup_faults({"backup_copy_command": ["cp", "{archive}", "/x"]}, "") == []
