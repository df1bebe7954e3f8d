"""The server's configuration, read once from the environment."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
T = TypeVar("T")


class ConfigError(ValueError):
    """A variable has a value that cannot be used; the message names it and what it may be."""


@dataclass(frozen=True)
class Config:
    """What the server is told from outside."""

    model_path: Path
    model_id: str = "smollm2-135m"
    port: int = 8080
    context_size: int = 4096
    """Tokens, shared by the `parallel` slots."""
    parallel: int = 4
    """How many answers are generated at once."""
    threads: int = min(2, len(os.sched_getaffinity(0)))
    """Two at most, unless told: a small model gains nothing from more, and its neighbours lose."""
    max_tokens: int = 512
    """Longest answer in tokens, whatever a request asks for."""
    max_requests: int = 512
    """How many requests may be generating or waiting; the next is told to come again."""
    system_prompt: str = "You are a helpful assistant. Answer in English."
    temperature: float = 0.0
    shutdown_timeout: int = 30
    """Seconds that open answers get to finish on SIGTERM."""
    log_level: str = "INFO"


def load(environ: Mapping[str, str] = os.environ) -> Config:
    """Return the configuration in `environ`.

    Raises:
        ConfigError: a variable is missing or has a value that cannot be used.
    """
    path = Path(environ.get("MODEL_PATH", ""))
    if not path.is_file():
        raise ConfigError(f"MODEL_PATH={path} is no file: it must name the model's .gguf file")
    level = environ.get("LOG_LEVEL", Config.log_level).upper()
    if level not in LOG_LEVELS:
        raise ConfigError(f"LOG_LEVEL={level} must be one of {', '.join(LOG_LEVELS)}")

    def number(name: str, default: T, kind: Callable[[str], T], low: float, high: float) -> T:
        text = environ.get(name) or str(default)
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not low <= float(str(value)) <= high:
            raise ConfigError(f"{name}={text} must be a number from {low} to {high}")
        return value

    config = Config(
        model_path=path,
        model_id=environ.get("MODEL_ID") or Config.model_id,
        port=number("PORT", Config.port, int, 1, 65535),
        context_size=number("CONTEXT_SIZE", Config.context_size, int, 256, 1_000_000),
        parallel=number("PARALLEL", Config.parallel, int, 1, 64),
        threads=number("THREADS", Config.threads, int, 1, 256),
        max_tokens=number("MAX_TOKENS", Config.max_tokens, int, 1, 1_000_000),
        max_requests=number("MAX_REQUESTS", Config.max_requests, int, 1, 4096),
        system_prompt=environ.get("SYSTEM_PROMPT", Config.system_prompt),
        temperature=number("TEMPERATURE", Config.temperature, float, 0, 2),
        shutdown_timeout=number("SHUTDOWN_TIMEOUT", Config.shutdown_timeout, int, 1, 3600),
        log_level=level,
    )
    if config.context_size // config.parallel < 256:  # noqa: PLR2004 (too little for any chat)
        raise ConfigError(
            f"CONTEXT_SIZE={config.context_size} gives each of PARALLEL={config.parallel} slots "
            "less than 256 tokens: raise the one or lower the other"
        )
    return config
