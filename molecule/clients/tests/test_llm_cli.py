"""The `llm` command, told of the cluster in its file of further OpenAI models."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from endpoint import QUESTION, Endpoint


@pytest.mark.parametrize("options", [[], ["--no-stream"]], ids=["stream", "whole"])
def test_prompt(endpoint: Endpoint, tmp_path: Path, options: list[str]) -> None:
    models = [
        {
            "model_id": "cluster",
            "model_name": endpoint.model,
            "api_base": endpoint.openai,
            "api_key_name": "cluster",
        }
    ]
    # JSON is YAML, too.
    (tmp_path / "extra-openai-models.yaml").write_text(json.dumps(models))
    (tmp_path / "keys.json").write_text(json.dumps({"cluster": endpoint.token}))
    result = subprocess.run(
        ["llm", "-m", "cluster", "-o", "max_tokens", "16", *options, QUESTION],
        env=os.environ | {"LLM_USER_PATH": str(tmp_path)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert "Paris" in result.stdout
