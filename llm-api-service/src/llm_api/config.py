"""The service's configuration, read once from the environment and from the file of providers."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from llm_api.operations import Operation

ADAPTERS = ("openai", "g4f")
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
# It goes into a header and into lists separated by commas.
NAME = re.compile(r"[A-Za-z0-9._-]+")
TRUE, FALSE = ("true", "1", "yes", "on"), ("false", "0", "no", "off")


class ConfigError(ValueError):
    """A value cannot be used; the message names the variable and what it may be."""


@dataclass(frozen=True)
class ProviderConfig:
    """One provider of the chain. Times are in seconds."""

    name: str
    adapter: str
    """`openai` for any OpenAI-compatible server, `g4f` for a provider class of g4f."""
    base_url: str = ""
    api_key: str = field(default="", repr=False)
    models: tuple[str, ...] = ()
    """What it may be asked for. Empty means anything, or what the g4f class lists."""
    default_model: str = ""
    operations: tuple[str, ...] = ()
    """What it can be asked to do. Empty means chats, or what the g4f class can."""
    first_chunk_timeout: float = 30.0
    deadline: float = 600.0
    max_concurrency: int = 0
    """How many requests it gets at once; 0 means no limit."""
    via_egress: bool = False
    """Whether it is reached through the egress proxy. g4f's always are, where there is one."""


LOCAL = ProviderConfig(
    name="local",
    adapter="openai",
    base_url="http://model:8080/v1",
    models=("smollm2-135m",),
    first_chunk_timeout=120.0,
)


@dataclass(frozen=True)
class Config:
    """What the service is told from outside. Times are in seconds."""

    port: int = 5500
    log_level: str = "INFO"
    request_logging: bool = False
    provider: str = "Auto"
    """`Auto`, or the names of the providers to use, in order and separated by commas."""
    providers: tuple[ProviderConfig, ...] = (LOCAL,)
    model: str = ""
    """For requests that name none. Empty means the default of the first provider."""
    system_prompt: str = ""
    remove_sources: bool = True
    max_streams: int = 1000
    """How many answers may be under way; the next request is told to come again."""
    max_body_bytes: int = 16 * 1024 * 1024
    shutdown_timeout: int = 60
    egress_proxy: str = ""


class _Environment:
    """Typed access to environment variables, with errors that name them."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def text(self, name: str, default: str) -> str:
        return self._environ.get(name, default)

    def number(self, name: str, default: int, low: int, high: int) -> int:
        text = self._environ.get(name) or str(default)
        if not text.isascii() or not text.isdigit() or not low <= int(text) <= high:
            raise ConfigError(f"{name}={text} must be a whole number from {low} to {high}")
        return int(text)

    def flag(self, name: str, default: bool) -> bool:
        text = (self._environ.get(name) or str(default)).lower()
        if text not in TRUE + FALSE:
            raise ConfigError(f"{name}={text} must be true or false")
        return text in TRUE

    def choice(self, name: str, default: str, choices: tuple[str, ...]) -> str:
        text = (self._environ.get(name) or default).upper()
        if text not in choices:
            raise ConfigError(f"{name}={text} must be one of {', '.join(choices)}")
        return text


def load(environ: Mapping[str, str] = os.environ) -> Config:
    """Return the configuration in `environ`.

    Raises:
        ConfigError: a variable or the file of providers has a value that cannot be used.
    """
    env = _Environment(environ)
    if env.flag("PRIVATE_MODE", False):
        raise ConfigError(
            "PRIVATE_MODE=true needs tokens, which this version does not have: "
            "set it to false, and restrict who reaches the gateway"
        )
    path = env.text("PROVIDERS_FILE", "")
    proxy = env.text("EGRESS_PROXY", "")
    if proxy and urlsplit(proxy).scheme != "http":
        raise ConfigError("EGRESS_PROXY must be a URL that begins with http://")
    return Config(
        port=env.number("PORT", Config.port, 1, 65535),
        log_level=env.choice("LOG_LEVEL", Config.log_level, LOG_LEVELS),
        request_logging=env.flag("ENABLE_REQUEST_LOGGING", Config.request_logging),
        provider=env.text("PROVIDER", "") or Config.provider,
        providers=read_providers(Path(path)) if path else Config.providers,
        model=env.text("MODEL", Config.model),
        system_prompt=env.text("SYSTEM_PROMPT", Config.system_prompt),
        remove_sources=env.flag("REMOVE_SOURCES", Config.remove_sources),
        max_streams=env.number("MAX_STREAMS", Config.max_streams, 1, 10_000),
        max_body_bytes=env.number("MAX_BODY_BYTES", Config.max_body_bytes, 1024, 2**30),
        shutdown_timeout=env.number("SHUTDOWN_TIMEOUT", Config.shutdown_timeout, 1, 3600),
        egress_proxy=proxy,
    )


def read_providers(path: Path) -> tuple[ProviderConfig, ...]:
    """Return the providers in the JSON file `path`, in its order.

    Raises:
        ConfigError: the file cannot be read, or an entry cannot be used.
    """
    try:
        entries = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ConfigError(f"PROVIDERS_FILE={path} cannot be read: {error}") from None
    if not isinstance(entries, list) or not entries:
        raise ConfigError(f"PROVIDERS_FILE={path} must hold a list with at least one provider")
    providers = tuple(
        _provider(entry, f"{path}, provider {i + 1}") for i, entry in enumerate(entries)
    )
    names = [provider.name for provider in providers]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"{path} has more than one provider called {name}")
    return providers


def _check_number(value: float, key: str, where: str) -> None:
    if value < 0:
        raise ConfigError(f"{where}: {key} must not be negative")
    if key in ("first_chunk_timeout", "deadline") and not 0 < value < math.inf:
        raise ConfigError(f"{where}: {key} must be a number of seconds above 0")


def _provider(entry: Any, where: str) -> ProviderConfig:
    if not isinstance(entry, dict):
        raise ConfigError(f"{where} must be an object")
    known = {item.name for item in fields(ProviderConfig)}
    if unknown := sorted(set(entry) - known):
        raise ConfigError(f"{where} has unknown keys {unknown}: known are {sorted(known)}")
    kinds: dict[str, tuple[type, ...]] = {
        "models": (list,),
        "operations": (list,),
        "first_chunk_timeout": (int, float),
        "deadline": (int, float),
        "max_concurrency": (int,),
        "via_egress": (bool,),
    }
    for key, value in entry.items():
        wanted = kinds.get(key, (str,))
        if not isinstance(value, wanted) or (isinstance(value, bool) and bool not in wanted):
            raise ConfigError(f"{where}: {key} must be a {wanted[-1].__name__}")
        if isinstance(value, int | float):
            _check_number(value, key, where)
    if not all(isinstance(model, str) and model for model in entry.get("models", [])):
        raise ConfigError(f"{where}: models must be a list of names")
    if not all(operation in tuple(Operation) for operation in entry.get("operations", [])):
        raise ConfigError(f"{where}: operations must be some of {', '.join(Operation)}")
    if not NAME.fullmatch(entry.get("name", "")):
        raise ConfigError(f"{where}: name must be made of letters, digits, and . _ -")
    if entry.get("adapter") not in ADAPTERS:
        raise ConfigError(f"{where}: adapter must be one of {', '.join(ADAPTERS)}")
    url = urlsplit(entry.get("base_url", ""))
    if entry["adapter"] == "openai" and (url.scheme not in ("http", "https") or not url.netloc):
        raise ConfigError(f"{where}: base_url must be a URL such as https://host/v1")
    lists = {key: tuple(entry.get(key, ())) for key in ("models", "operations")}
    provider = ProviderConfig(**entry | lists)
    if provider.models and provider.default_model not in ("", *provider.models):
        raise ConfigError(f"{where}: default_model must be one of its models")
    return provider
