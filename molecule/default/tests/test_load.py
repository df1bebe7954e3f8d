"""Many chats, one after the other and at once, and none of them fails."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from testbed.cluster import Cluster


@pytest.mark.parametrize(
    ("sequential", "concurrent", "max_tokens"), [(1000, 0, 1), (0, 200, 4)], ids=["1000", "200"]
)
def test_streamed_chats(
    cluster: Cluster,
    capfd: pytest.CaptureFixture[str],
    sequential: int,
    concurrent: int,
    max_tokens: int,
) -> None:
    benchmark = Path(os.environ["MOLECULE_PROJECT_DIRECTORY"]) / "benchmarks/chat_load.py"
    # Its report of times and failures is worth reading whether the test passes or not.
    with capfd.disabled():
        print(flush=True)
        result = subprocess.run(
            [
                sys.executable,
                str(benchmark),
                cluster.url,
                f"--sequential={sequential}",
                f"--concurrent={concurrent}",
                f"--max-tokens={max_tokens}",
            ],
            check=False,
            timeout=300,
        )
    assert result.returncode == 0
