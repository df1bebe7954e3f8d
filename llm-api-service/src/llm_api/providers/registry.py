"""From the settings to the providers that they want."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from llm_api.config import NAME, ConfigError, ProviderConfig
from llm_api.operations import DEFAULT_MODELS, Operation
from llm_api.providers import g4f
from llm_api.providers.base import Provider
from llm_api.providers.chain import Chain
from llm_api.providers.link import Link
from llm_api.providers.openai import OpenAIProvider
from llm_api.providers.over_chat import CompletionsOverChat
from llm_api.providers.way_out import WayOut
from llm_api.settings import Settings, provider_names

logger = logging.getLogger(__name__)

# g4f's class You cannot work in the pinned version, and was the default of what this replaces.
DEPRECATED_AUTO = "you"
NO_THIRD_PARTIES = "third parties are off (THIRD_PARTIES)"


@dataclass(frozen=True)
class Wanted:
    """A provider as the settings want it."""

    config: ProviderConfig
    made_of: tuple[object, ...]
    """All that it is made of: two for which this is equal are the same."""
    provider: Provider
    """A new one, which has not been started."""


@dataclass(frozen=True)
class Plan:
    """What a chain is made from."""

    providers: tuple[Wanted, ...]
    """In the order to ask them."""
    left_out: Mapping[ProviderConfig, str]
    """Those that cannot be used, and why."""
    aliases: Mapping[str, str]
    model: str
    """The default, which somebody must have."""
    cookies: Mapping[str, Mapping[str, str]] | None
    """For g4f's classes; None if there is none of these."""


def relevant(settings: Settings) -> tuple[Any, ...]:
    """Return what of `settings` a plan depends on."""
    return (
        settings.provider,
        settings.providers,
        settings.aliases,
        settings.third_parties,
        settings.model,
        settings.proxies,
        settings.cookies,
        settings.remove_sources,
    )


def chosen(settings: Settings) -> list[ProviderConfig]:
    """Return the providers that `settings.provider` names, in the order to ask them.

    Raises:
        ConfigError: it names one that is not configured.
    """
    if not (text := settings.provider.strip(" ,")):
        raise ConfigError("PROVIDER names no provider: use Auto")
    if text.lower() == DEPRECATED_AUTO:
        logger.warning("PROVIDER=You is deprecated and means Auto: set PROVIDER=Auto")
    if not (names := provider_names(text)):
        return list(settings.providers)
    by_name = {provider.name: provider for provider in settings.providers}
    for name in names:
        if name not in by_name:
            raise ConfigError(
                f"PROVIDER={settings.provider} names {name}, which is not configured: "
                f"use Auto, or some of {', '.join(by_name)}"
            )
    return [by_name[name] for name in dict.fromkeys(names)]


def with_named_classes(settings: Settings) -> Settings:
    """Return `settings` with the g4f classes that `provider` names and the list does not have.

    Free-GPT4-WEB-API took the name of any class.
    """
    known = {provider.name for provider in settings.providers}
    added = []
    for name in provider_names(settings.provider):
        if name in known or not NAME.fullmatch(name):
            continue
        try:
            g4f.load_class(name)
        except g4f.UnknownClassError:
            continue
        logger.warning("PROVIDER names a third party of g4f, which sees the prompts: %s", name)
        added.append(ProviderConfig(name=name, adapter="g4f"))
    return replace(settings, providers=(*added, *settings.providers)) if added else settings


def plan(settings: Settings, egress_proxy: str = "") -> Plan:
    """Return what the chain of `settings` is made from. Loading g4f's classes takes a while.

    A third party where there are to be none, and a class that the installed g4f lacks, are left
    out with a warning.

    Raises:
        ConfigError: no provider is left, or none has the default model.
    """
    wanted: list[Wanted] = []
    left_out: dict[ProviderConfig, str] = {}
    for config in chosen(settings):
        if not config.third_party:
            wanted.append(_wanted(config, OpenAIProvider(config, egress_proxy)))
            continue
        if not settings.third_parties:
            left_out[config] = NO_THIRD_PARTIES
            continue
        try:
            found = g4f.load_class(config.name)
        except g4f.UnknownClassError as error:
            left_out[config] = str(error)
            continue
        given = g4f.Surroundings(
            egress_proxy=egress_proxy,
            proxies=settings.proxies,
            cookies=g4f.cookies_for(found, settings.cookies),
            remove_sources=settings.remove_sources,
        )
        provider = g4f.G4FProvider(config, found, surroundings=given)
        wanted.append(_wanted(config, provider, given))
    for config, reason in left_out.items():
        logger.warning("provider %s left out: %s", config.name, reason)
    if not wanted:
        raise ConfigError(
            f"PROVIDER={settings.provider} leaves no provider that can be used: "
            "see the warnings above, and name another in PROVIDERS_FILE"
        )
    # Whoever lists its models later may have any until then.
    links = [(Link(each.provider), 0) for each in wanted]
    check_default(Chain(links, settings.aliases, WayOut(list)), settings.model)
    any_of_g4fs = any(each.config.third_party for each in wanted)
    return Plan(
        providers=tuple(wanted),
        left_out=left_out,
        aliases=settings.aliases,
        model=settings.model,
        cookies=settings.cookies if any_of_g4fs else None,
    )


def check_default(chain: Chain, model: str) -> None:
    """Check that somebody in `chain` has the default `model`.

    Raises:
        ConfigError: nobody has.
    """
    if model not in DEFAULT_MODELS and not chain.has(model):
        names = ", ".join(name for name, _ in chain.models())
        raise ConfigError(f"MODEL={model} exists at no provider: use one of {names}")


def _wanted(config: ProviderConfig, provider: Provider, *made_of: object) -> Wanted:
    # Its weight has no part in what it is.
    return Wanted(config, (replace(config, weight=0), *made_of), _with_completions(provider))


def _with_completions(provider: Provider) -> Provider:
    """Return `provider` so that it has completions, too, if it has chats."""
    if {Operation.CHAT, Operation.COMPLETIONS} & provider.operations == {Operation.CHAT}:
        return CompletionsOverChat(provider)
    return provider
