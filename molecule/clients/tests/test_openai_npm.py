"""OpenAI's own client for JavaScript."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from endpoint import QUESTION, Endpoint


def test_openai_npm(endpoint: Endpoint) -> None:
    script = Path(__file__).with_name("openai-npm.mjs")
    result = subprocess.run(
        ["node", str(script)],
        env=os.environ | {"QUESTION": QUESTION},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    seen = json.loads(result.stdout)
    assert endpoint.model in seen["models"]
    assert "Paris" in seen["answer"]
    assert "Paris" in "".join(seen["pieces"])
    assert len(seen["pieces"]) > 1
    assert "Paris" in seen["response"]
    assert seen["refusal"] == "NotFoundError"
