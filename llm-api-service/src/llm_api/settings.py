"""What can be changed while the service runs: checked here, kept in the database."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from types import MappingProxyType
from typing import Any

from llm_api.provider_config import LOCAL, ConfigError, ProviderConfig, parse_providers

PROXY = re.compile(r"(?:http|socks4|socks5)://(?:[^\s:@/]+:[^\s@/]*@)?[^\s:@/]+:(\d{1,5})")
KEYWORD = re.compile(r"[A-Za-z0-9_-]{1,64}")
HIGHEST_PORT = 65535
LONGEST_NAME = 200
LONGEST_TEXT = 100_000
MOST = 200
# What `provider` may say in place of names.
AUTO = ("auto", "you")


class SettingsError(ValueError):
    """A setting has a value that it cannot have."""

    def __init__(self, field: str, message: str) -> None:
        """Name the setting and say what it may be."""
        super().__init__(f"{field} {message}")
        self.field = field
        self.message = message


def _nothing() -> Mapping[str, Any]:
    return MappingProxyType({})


@dataclass(frozen=True)
class Settings:
    """The settings. The environment gives the defaults; a stored value wins until it is reset."""

    provider: str = "Auto"
    """`Auto`, or the names of the providers to use, in order and separated by commas."""
    providers: tuple[ProviderConfig, ...] = (LOCAL,)
    aliases: Mapping[str, str] = field(default_factory=_nothing)
    """The model that is asked for -> what the providers call it."""
    third_parties: bool = True
    """Whether g4f's providers are used. Without, no prompt goes to a third party by them."""
    model: str = ""
    """For requests that name none. Empty means the default of the first provider."""
    system_prompt: str = ""
    remove_sources: bool = True
    private_mode: bool = False
    """Whether only callers with a token are answered."""
    keyword: str = "text"
    """The query parameter of the old protocol that has the question."""
    file_input: bool = True
    message_history: bool = False
    virtual_users: bool = False
    legacy_statuses: bool = False
    """Whether the old protocol answers errors with 200, as it used to."""
    proxies: tuple[str, ...] = field(default=(), repr=False)
    """For g4f's providers, in turn, each reached through the egress proxy if there is one."""
    cookies: Mapping[str, Mapping[str, str]] = field(default_factory=_nothing, repr=False)
    """For g4f's providers: domain -> name -> value."""


def parse_changes(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the checked values of the settings in `values`, which are as JSON has them.

    Raises:
        SettingsError: a setting does not exist, or cannot have that value.
    """
    checked = {}
    for name, value in values.items():
        if name not in _CHECKS:
            raise SettingsError(str(name)[:LONGEST_NAME], "is no setting")
        checked[name] = _CHECKS[name](name, value)
    return checked


def to_stored(value: Any) -> Any:
    """Return the checked `value` of a setting as JSON has it."""
    if isinstance(value, ProviderConfig):
        return {key: to_stored(item) for key, item in asdict(value).items()}
    if isinstance(value, Mapping):
        return {key: to_stored(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_stored(item) for item in value]
    return value


def with_changes(settings: Settings, checked: Mapping[str, Any]) -> Settings:
    """Return `settings` with the `checked` values.

    Raises:
        SettingsError: `provider` names one that `providers` does not have.
    """
    changed = replace(settings, **checked)
    known = [provider.name for provider in changed.providers]
    if not changed.provider.strip(" ,"):
        raise SettingsError("provider", "must be Auto or the names of providers")
    for name in provider_names(changed.provider):
        if name not in known:
            some = ", ".join(known)
            raise SettingsError("provider", f"names {name[:100]}: use Auto, or some of {some}")
    return changed


def provider_names(text: str) -> tuple[str, ...]:
    """Return the names in `text`, the value of a setting `provider`. Auto names none."""
    names = tuple(name for part in text.split(",") if (name := part.strip()))
    return () if len(names) == 1 and names[0].lower() in AUTO else names


def _text(longest: int, *, lines: bool = False) -> Callable[[str, Any], str]:
    def check(name: str, value: Any) -> str:
        if not isinstance(value, str) or len(value) > longest:
            raise SettingsError(name, f"must be a text of at most {longest} characters")
        try:
            value.encode()
        except UnicodeEncodeError:
            raise SettingsError(name, "must be valid Unicode") from None
        if any(c < " " and not (lines and c in "\t\r\n") for c in value):
            raise SettingsError(name, "must not hold control characters")
        return value

    return check


_name = _text(LONGEST_NAME)


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise SettingsError(name, "must be true or false")
    return value


def _keyword(name: str, value: Any) -> str:
    if not isinstance(value, str) or not KEYWORD.fullmatch(value) or value == "token":
        raise SettingsError(name, "must be 1 to 64 letters, digits, _ or -, and not token")
    return value


def _providers(name: str, value: Any) -> tuple[ProviderConfig, ...]:
    if not isinstance(value, list | tuple) or not 0 < len(value) <= MOST:
        raise SettingsError(name, f"must be a list of 1 to {MOST} providers")
    entries = [to_stored(item) if isinstance(item, ProviderConfig) else item for item in value]
    try:
        return parse_providers(entries, name)
    except ConfigError as error:
        raise SettingsError(name, str(error)) from None


def _map(name: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping) or len(value) > MOST:
        raise SettingsError(name, f"must be an object with at most {MOST} names")
    for key in value:
        if not _name(name, key):
            raise SettingsError(name, "must not have empty names")
    return value


def _aliases(name: str, value: Any) -> Mapping[str, str]:
    aliases = {key: _name(name, model) for key, model in _map(name, value).items()}
    if not all(aliases.values()):
        raise SettingsError(name, "must name a model for each alias")
    return MappingProxyType(aliases)


def _proxies(name: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or len(value) > MOST:
        raise SettingsError(name, f"must be a list of at most {MOST} URLs")
    for url in value:
        found = PROXY.fullmatch(_name(name, url))
        if not found or not 0 < int(found[1]) <= HIGHEST_PORT:
            raise SettingsError(
                name, "must be http, socks4 or socks5 URLs such as http://user:password@host:3128"
            )
    return tuple(value)


def _cookies(name: str, value: Any) -> Mapping[str, Mapping[str, str]]:
    a_value = _text(8192)
    domains = {}
    for domain, cookies in _map(name, value).items():
        checked = {key: a_value(name, cookie) for key, cookie in _map(name, cookies).items()}
        domains[domain] = MappingProxyType(checked)
    return MappingProxyType(domains)


_CHECKS: Mapping[str, Callable[[str, Any], Any]] = {
    "provider": _text(MOST * LONGEST_NAME),
    "providers": _providers,
    "aliases": _aliases,
    "third_parties": _flag,
    "model": _name,
    "system_prompt": _text(LONGEST_TEXT, lines=True),
    "remove_sources": _flag,
    "private_mode": _flag,
    "keyword": _keyword,
    "file_input": _flag,
    "message_history": _flag,
    "virtual_users": _flag,
    "legacy_statuses": _flag,
    "proxies": _proxies,
    "cookies": _cookies,
}
NAMES = tuple(item.name for item in fields(Settings))
