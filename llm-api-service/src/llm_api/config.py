"""The service's configuration, read once from the environment and from the file of providers."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from llm_api.cookie_file import CookieError, read_cookies
from llm_api.provider_config import (
    ADAPTERS,
    LOCAL,
    NAME,
    ConfigError,
    ProviderConfig,
    read_providers,
)
from llm_api.settings import Settings, SettingsError, parse_changes

__all__ = [
    "ADAPTERS",
    "LOCAL",
    "NAME",
    "Config",
    "ConfigError",
    "ProviderConfig",
    "load",
    "read_providers",
]

LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
TRUE, FALSE = ("true", "1", "yes", "on"), ("false", "0", "no", "off")
DATABASE_URL = "sqlite:////var/lib/llm-api/state.db"
# After postgresql://. An @ in a password would make the rest of it a host, which errors show.
POSTGRESQL = re.compile(
    r"([^:/@]*(:[^@]*)?@)?(\[[^]/?@]+\]|[^]\[:/?@]*)(:\d*)?(/[^?@]*)?(\?.*)?", re.S
)
SHORTEST_SECRET_KEY = 32
SHORTEST_PASSWORD = 8


@dataclass(frozen=True)
class Config:
    """What the service is told from outside. Times are in seconds."""

    port: int = 5500
    log_level: str = "INFO"
    log_file: str = ""
    """Gets the log, too, and may be renamed at any time. Empty means none."""
    request_logging: bool = False
    settings: Settings = field(default_factory=Settings)
    """What can be changed while running, as it is until somebody does."""
    max_streams: int = 1000
    """How many answers may be under way; the next request is told to come again."""
    max_body_bytes: int = 16 * 1024 * 1024
    shutdown_timeout: int = 60
    egress_proxy: str = ""
    database_url: str = field(default=DATABASE_URL, repr=False)
    """A file of SQLite, which a host's replicas share, or PostgreSQL."""
    secret_key: str = field(default="", repr=False)
    """Signs cookies. Empty means one that the database keeps."""
    admin_password: str = field(default="", repr=False)
    """The first password of the settings page; changed there, it has no effect any more."""


class _Environment:
    """Typed access to environment variables, with errors that name them."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def text(self, name: str, default: str) -> str:
        return self._environ.get(name, default)

    def secret(self, name: str) -> str:
        """Return the variable `name`, or what is in the file that `name`_FILE names."""
        path = self.text(f"{name}_FILE", "")
        if not path:
            return self.text(name, "")
        try:
            value = Path(path).read_text().strip()
        except (OSError, ValueError) as error:
            raise ConfigError(f"{name}_FILE={path} cannot be read: {error}") from None
        if not value:
            raise ConfigError(f"{name}_FILE={path} is empty")
        return value

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
    proxy = env.text("EGRESS_PROXY", "")
    if proxy and urlsplit(proxy).scheme != "http":
        raise ConfigError("EGRESS_PROXY must be a URL that begins with http://")
    return Config(
        port=env.number("PORT", Config.port, 1, 65535),
        log_level=env.choice("LOG_LEVEL", Config.log_level, LOG_LEVELS),
        log_file=env.text("LOG_FILE", Config.log_file),
        request_logging=env.flag("ENABLE_REQUEST_LOGGING", Config.request_logging),
        settings=_settings(env),
        max_streams=env.number("MAX_STREAMS", Config.max_streams, 1, 10_000),
        max_body_bytes=env.number("MAX_BODY_BYTES", Config.max_body_bytes, 1024, 2**30),
        shutdown_timeout=env.number("SHUTDOWN_TIMEOUT", Config.shutdown_timeout, 1, 3600),
        egress_proxy=proxy,
        database_url=_database_url(env),
        secret_key=_secret(env, "SECRET_KEY", SHORTEST_SECRET_KEY),
        admin_password=_secret(env, "ADMIN_PASSWORD", SHORTEST_PASSWORD),
    )


def _settings(env: _Environment) -> Settings:
    path = env.text("PROVIDERS_FILE", "")
    return Settings(
        provider=env.text("PROVIDER", "") or Settings.provider,
        providers=read_providers(Path(path)) if path else Settings.providers,
        third_parties=env.flag("THIRD_PARTIES", Settings.third_parties),
        model=env.text("MODEL", Settings.model),
        system_prompt=env.text("SYSTEM_PROMPT", Settings.system_prompt),
        remove_sources=env.flag("REMOVE_SOURCES", Settings.remove_sources),
        private_mode=env.flag("PRIVATE_MODE", Settings.private_mode),
        file_input=env.flag("FILE_INPUT", Settings.file_input),
        message_history=env.flag("MESSAGE_HISTORY", Settings.message_history),
        virtual_users=env.flag("VIRTUAL_USERS", Settings.virtual_users),
        legacy_statuses=env.flag("LEGACY_STATUSES", Settings.legacy_statuses),
        **_checked(env, "KEYWORD", "keyword", str),
        **_checked(env, "PROXIES", "proxies", _list),
        **_checked(env, "COOKIES_FILE", "cookies", lambda name: read_cookies(Path(name))),
    )


def _checked(
    env: _Environment, variable: str, setting: str, read: Callable[[str], Any]
) -> dict[str, Any]:
    """Return the `setting` that `read` makes of the `variable`, if that has a value."""
    if not (text := env.text(variable, "")):
        return {}
    try:
        return parse_changes({setting: read(text)})
    except SettingsError as error:
        raise ConfigError(f"{variable} {error.message}") from None
    except CookieError as error:
        raise ConfigError(f"{variable}={text} {error}") from None


def _list(text: str) -> list[str]:
    return [item for part in text.split(",") if (item := part.strip())]


def _database_url(env: _Environment) -> str:
    url = env.secret("DATABASE_URL") or DATABASE_URL
    # Not its value: that may hold a password.
    scheme, _, rest = url.partition("://")
    postgresql = scheme in ("postgres", "postgresql", "postgresql+psycopg")
    if postgresql and rest and POSTGRESQL.fullmatch(rest):
        return f"postgresql+psycopg://{rest}"
    if scheme == "sqlite" and rest.startswith("/") and rest.strip("/") and ":memory:" not in rest:
        return url
    raise ConfigError(
        "DATABASE_URL must be sqlite:////path/of/a/file or postgresql://user:password@host/name"
        " (an @ in a password is written %40)"
    )


def _secret(env: _Environment, name: str, shortest: int) -> str:
    value = env.secret(name)
    if value and len(value) < shortest:
        raise ConfigError(f"{name} must have at least {shortest} characters")
    return value
