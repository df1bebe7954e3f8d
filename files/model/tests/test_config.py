"""The environment is read once, and a bad value is named."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from model_server.config import ConfigError, load


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "model.gguf").touch()
    return {"MODEL_PATH": str(tmp_path / "model.gguf")}


def test_defaults(environ: dict[str, str]) -> None:
    config = load(environ)
    assert (config.port, config.parallel, config.context_size) == (8080, 4, 4096)


def test_values(environ: dict[str, str]) -> None:
    config = load(environ | {"PARALLEL": "2", "TEMPERATURE": "0.5", "LOG_LEVEL": "debug"})
    assert (config.parallel, config.temperature, config.log_level) == (2, 0.5, "DEBUG")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MODEL_PATH", "/nowhere"),
        ("PORT", "0"),
        ("PORT", "http"),
        ("PARALLEL", "-1"),
        ("TEMPERATURE", "hot"),
        ("CONTEXT_SIZE", "1000"),
        ("LOG_LEVEL", "LOUD"),
    ],
)
def test_bad_values(environ: dict[str, str], name: str, value: str) -> None:
    with pytest.raises(ConfigError, match=f"{name}={value}"):
        load(environ | {name: value})


def test_a_bad_value_ends_the_start_with_one_line() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "model_server"],
        env=os.environ | {"MODEL_PATH": "/nowhere", "PYTHONPATH": "src"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 2
    assert result.stderr.startswith("model_server: MODEL_PATH=/nowhere")
    assert result.stderr.count("\n") == 1
