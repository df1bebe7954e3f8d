"""Providers as they are configured: what each needs, read from JSON and checked."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from llm_api.operations import Operation

ADAPTERS = ("openai", "g4f")
# It goes into a header and into lists separated by commas.
NAME = re.compile(r"[A-Za-z0-9._-]+")
HIGHEST_WEIGHT = 1000


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
    """What it may be asked for. Empty means what the server or the g4f class lists."""
    default_model: str = ""
    operations: tuple[str, ...] = ()
    """What it can be asked to do. Empty means chats, or what the g4f class can."""
    first_chunk_timeout: float = 30.0
    deadline: float = 600.0
    max_concurrency: int = 0
    """How many requests it gets at once; 0 means no limit."""
    via_egress: bool = False
    """Whether it is reached through the egress proxy. g4f's always are, where there is one."""
    weight: int = 0
    """Its part of the requests among neighbours that have a weight, too; 0 means none."""

    @property
    def third_party(self) -> bool:
        """Whether it is one of g4f's, which belong to nobody that the operator has chosen."""
        return self.adapter == "g4f"

    @property
    def outside(self) -> bool:
        """Whether it is outside the cluster, and gone when the way out is."""
        return self.third_party or self.via_egress


LOCAL = ProviderConfig(
    name="local",
    adapter="openai",
    base_url="http://model:8080/v1",
    models=("smollm2-135m",),
    first_chunk_timeout=120.0,
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
    return parse_providers(entries, str(path))


def parse_providers(entries: list[Any], where: str) -> tuple[ProviderConfig, ...]:
    """Return the providers in the decoded JSON list `entries`, which came from `where`.

    Raises:
        ConfigError: an entry cannot be used, or two have the same name.
    """
    providers = tuple(
        _provider(entry, f"{where}, provider {i + 1}") for i, entry in enumerate(entries)
    )
    names = [provider.name for provider in providers]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"{where} has more than one provider called {name}")
    return providers


def _check_number(value: float, key: str, where: str) -> None:
    if value < 0:
        raise ConfigError(f"{where}: {key} must not be negative")
    if key in ("first_chunk_timeout", "deadline") and not 0 < value < math.inf:
        raise ConfigError(f"{where}: {key} must be a number of seconds above 0")
    if key == "weight" and value > HIGHEST_WEIGHT:
        raise ConfigError(f"{where}: weight must be at most {HIGHEST_WEIGHT}")


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
        "weight": (int,),
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
    if entry["adapter"] == "openai" and not _is_url(entry.get("base_url", "")):
        raise ConfigError(f"{where}: base_url must be a URL such as https://host/v1")
    key = entry.get("api_key", "")
    if not (key.isascii() and key.isprintable()):
        raise ConfigError(f"{where}: api_key must be of printable ASCII characters")
    lists = {name: tuple(entry.get(name, ())) for name in ("models", "operations")}
    provider = ProviderConfig(**entry | lists)
    if provider.models and provider.default_model not in ("", *provider.models):
        raise ConfigError(f"{where}: default_model must be one of its models")
    return provider


def _is_url(text: str) -> bool:
    try:
        url = urlsplit(text)
        return url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
    except ValueError:
        return False
