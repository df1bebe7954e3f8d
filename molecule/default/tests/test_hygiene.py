"""What the cluster leaves on the host is nobody else's business."""

from __future__ import annotations

from typing import Any


def test_nobody_else_reads_the_configuration(host: Any) -> None:
    assert host.check_output("ls /opt/freegpt4/llm-api/releases/*/providers.json")
    command = "find /opt/freegpt4 -type f -readable"
    assert host.check_output(command)
    assert host.run("sudo -u nobody %s", command).stdout == ""


def test_nobody_else_reads_data_and_secrets(host: Any) -> None:
    password = host.file("/opt/freegpt4/secrets/llm-api/admin_password")
    assert len(password.content_string) >= 24
    assert password.mode == 0o600
    assert host.file("/opt/freegpt4/data/llm-api/state.db").size > 0
    for folder in ("secrets", "data"):
        assert host.file(f"/opt/freegpt4/{folder}/llm-api").mode == 0o700


def test_nobody_else_writes_it(host: Any) -> None:
    assert host.check_output("find /opt/freegpt4 -perm /022 -not -type l") == ""


def test_build_leaves_nothing_behind(host: Any) -> None:
    assert host.check_output("find /tmp -name 'images-*'") == ""
