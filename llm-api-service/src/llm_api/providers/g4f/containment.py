"""How g4f's classes are loaded so that they do nothing behind our back."""

from __future__ import annotations

import asyncio
import inspect
import os
import tempfile
from pathlib import Path
from typing import Any

import aiohttp

# What g4f would fetch, without a timeout, from its home.
LIVE_PROVIDERS = {
    "providers": {"default": {"baseUrl": "https://g4f.space/v1"}},
    "defaultModels": {},
}


class UnknownClassError(LookupError):
    """The installed g4f has no usable class of that name."""


def load_class(name: str) -> Any:
    """Return the provider class `name` of the installed g4f.

    Raises:
        UnknownClassError: there is none, or it cannot be imported.
    """
    _quieten()
    from g4f.Provider import ProviderLoader  # noqa: PLC0415 (not before its home is set)

    try:
        provider = ProviderLoader.from_name(name)
    except Exception as error:  # the modules of g4f fail in many ways, and none may stop the start
        raise UnknownClassError(f"g4f has no usable provider {name}: {error!r}") from error
    if not hasattr(provider, "create_async_generator"):
        raise UnknownClassError(f"g4f has no provider {name} that can chat")
    return provider


def _quieten() -> None:
    """Keep g4f from writing outside the temporary folder and from asking its home for anything."""
    home = Path(tempfile.gettempdir()) / "g4f"
    os.environ.setdefault("G4F_CONFIG_DIR", str(home / "config"))
    os.environ.setdefault("G4F_CACHE_DIR", str(home / "cache"))
    from g4f import debug  # noqa: PLC0415 (not before its home is set)
    from g4f.client.factory import AbstractClientFactory  # noqa: PLC0415 (the same)

    debug.version_check = False
    debug.logging = False
    AbstractClientFactory._live_providers = LIVE_PROVIDERS


def listed_models(provider: Any) -> tuple[str, ...]:
    """Return the models that a class lists without asking anybody, its default first."""
    default = str(getattr(provider, "default_model", "") or "")
    names = [default, *map(str, getattr(provider, "models", None) or ())]
    return tuple(dict.fromkeys(name for name in names if name))


def without_lookups(provider: Any, models: tuple[str, ...]) -> Any:
    """Return a class like `provider` that takes `models` as its list and asks nobody for one.

    Otherwise it looks every model up by the end of its name, and while its list is empty it
    fetches one, which blocks the whole event loop for as long as that takes.
    """
    if not hasattr(provider, "get_models"):
        return provider

    def get_models(_: Any, *__: Any, **___: Any) -> list[str]:
        return list(models)

    def get_model(kind: Any, /, model: str, **more: Any) -> str:
        if model in models and model not in (kind.model_aliases or {}):
            return model
        return str(provider.get_model.__func__(kind, model, **more))

    return type(
        provider.__name__,
        (provider,),
        {
            "__module__": provider.__module__,
            "get_models": classmethod(get_models),
            "get_model": classmethod(get_model),
        },
    )


def honoured_parameters(provider: Any) -> frozenset[str]:
    """Return the parameters that `create_async_generator` names; it drops others without a word.

    Where it only passes them on to the method it overrides, that one's count, too.
    """
    names: set[str] = set()
    for kind in provider.__mro__:
        method = vars(kind).get("create_async_generator")
        if method is None:
            continue
        parameters = inspect.signature(method.__func__).parameters.values()
        names.update(p.name for p in parameters)
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            break
    return frozenset(names)


def use_own_connector() -> None:
    """Replace g4f's shared connector, which allows 20 connections to a host, by a free one."""
    from g4f.requests import aiohttp as shared  # noqa: PLC0415 (not before its home is set)

    shared._loop_connectors[asyncio.get_running_loop()] = aiohttp.TCPConnector(limit=0)


async def close_connector() -> None:
    """Close what `use_own_connector` opened."""
    from g4f.requests import aiohttp as shared  # noqa: PLC0415 (not before its home is set)

    connector = shared._loop_connectors.pop(asyncio.get_running_loop(), None)
    if connector is not None:
        await connector.close()
