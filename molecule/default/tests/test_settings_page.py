"""The operator sets a password on the host, and then does the rest in a browser."""

from __future__ import annotations

import secrets
import shlex

from testbed import clients
from testbed.cluster import Cluster


def test_settings_page(cluster: Cluster) -> None:
    password = secrets.token_urlsafe()
    command = shlex.join(["docker", "exec", "-i", "api1", "python", "-m", "llm_api.admin"])
    cluster.host.check_output(f"echo {shlex.quote(password)} | {command}")
    code, output = clients.run(cluster.url, "test_settings_page.py", ADMIN_PASSWORD=password)
    assert code == 0, output
