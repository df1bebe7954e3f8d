"""From the configuration to the chain of providers."""

from __future__ import annotations

import logging
from dataclasses import replace

from llm_api.config import NAME, ConfigError, ProviderConfig
from llm_api.operations import DEFAULT_MODELS, Operation
from llm_api.providers import g4f
from llm_api.providers.base import Provider
from llm_api.providers.chain import Chain
from llm_api.providers.openai import OpenAIProvider
from llm_api.providers.over_chat import CompletionsOverChat
from llm_api.settings import Settings, provider_names

logger = logging.getLogger(__name__)

AUTO = "auto"
# g4f's class You cannot work in the pinned version, and was the default of what this replaces.
DEPRECATED_AUTO = "you"


def chosen(settings: Settings) -> list[ProviderConfig]:
    """Return the providers that `settings.provider` names, in the order to ask them.

    Raises:
        ConfigError: it names one that is not configured.
    """
    wanted = [name.strip() for name in settings.provider.split(",") if name.strip()]
    if [name.lower() for name in wanted] == [DEPRECATED_AUTO]:
        logger.warning("PROVIDER=You is deprecated and means Auto: set PROVIDER=Auto")
        wanted = [AUTO]
    if [name.lower() for name in wanted] == [AUTO]:
        return list(settings.providers)
    by_name = {provider.name: provider for provider in settings.providers}
    for name in wanted:
        if name not in by_name:
            raise ConfigError(
                f"PROVIDER={settings.provider} names {name}, which is not configured: "
                f"use Auto, or some of {', '.join(by_name)}"
            )
    if not wanted:
        raise ConfigError("PROVIDER names no provider: use Auto")
    return [by_name[name] for name in dict.fromkeys(wanted)]


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


def build(settings: Settings, egress_proxy: str = "") -> Chain:
    """Return the chain of `settings`.

    A class that the installed g4f lacks is left out with a warning.

    Raises:
        ConfigError: no provider is left, or none has the default model.
    """
    providers: list[Provider] = []
    for provider in chosen(settings):
        if provider.adapter == "openai":
            providers.append(OpenAIProvider(provider, egress_proxy))
            continue
        try:
            found = g4f.load_class(provider.name)
        except g4f.UnknownClassError as error:
            logger.warning("provider left out: %s", error)
            continue
        providers.append(
            g4f.G4FProvider(
                provider,
                found,
                proxy=egress_proxy,
                remove_sources=settings.remove_sources,
            )
        )
    if not providers:
        raise ConfigError(
            f"PROVIDER={settings.provider} leaves no provider that can be used: "
            "see the warnings above, and name another in PROVIDERS_FILE"
        )
    chain = Chain([_with_completions(provider) for provider in providers])
    if settings.model not in DEFAULT_MODELS and not chain.has(settings.model):
        names = ", ".join(name for name, _ in chain.models())
        raise ConfigError(f"MODEL={settings.model} exists at no provider: use one of {names}")
    return chain


def _with_completions(provider: Provider) -> Provider:
    """Return `provider` so that it has completions, too, if it has chats."""
    if {Operation.CHAT, Operation.COMPLETIONS} & provider.operations == {Operation.CHAT}:
        return CompletionsOverChat(provider)
    return provider
