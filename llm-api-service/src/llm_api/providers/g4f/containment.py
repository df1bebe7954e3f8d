"""How g4f's classes are loaded so that they do nothing behind our back."""

from __future__ import annotations

import inspect
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from yarl import URL

from llm_api.providers.g4f import events
from llm_api.providers.g4f.connections import connections

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
    events.give_to(provider)
    return provider


def _quieten() -> None:
    """Keep g4f from writing outside the temporary folder and from asking its home for anything."""
    home = Path(tempfile.gettempdir()) / "g4f"
    os.environ.setdefault("G4F_CONFIG_DIR", str(home / "config"))
    os.environ.setdefault("G4F_CACHE_DIR", str(home / "cache"))
    # Before the classes, which take over what is there as they are imported.
    connections()
    from g4f import debug  # noqa: PLC0415 (not before its home is set)
    from g4f.client.factory import AbstractClientFactory  # noqa: PLC0415 (the same)
    from g4f.providers.response import JsonResponse  # noqa: PLC0415 (the same)

    debug.version_check = False
    debug.logging = False
    AbstractClientFactory._live_providers = LIVE_PROVIDERS
    # Classes yield what they receive as objects, too. Nobody wants these here, and to make one for
    # each token takes longer than all else that is done with it.
    unwanted = JsonResponse()
    JsonResponse.from_dict = classmethod(lambda *_: unwanted)


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


def address(provider: Any) -> URL | None:
    """Return where a class sends its requests, as far as it says."""
    # Without a key it uses the second, where it has one.
    for name in ("backup_url", "base_url", "url"):
        text = getattr(provider, name, None)
        if isinstance(text, str) and text.startswith(("http://", "https://")):
            return URL(text)
    return None


def cookies_for(provider: Any, cookies: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """Return those of `cookies`, by domain, that belong to the site of a class."""
    host = urlsplit(str(getattr(provider, "url", None) or "")).hostname or ""
    found: dict[str, str] = {}
    # The more exact domain has the last word.
    for domain in sorted(cookies, key=len):
        name = domain.lstrip(".").lower()
        if host == name or host.endswith(f".{name}"):
            found |= cookies[domain]
    return found


def put_cookies(cookies: Mapping[str, Mapping[str, str]]) -> None:
    """Let the classes that look for cookies themselves find these, and no others."""
    from g4f.cookies import CookiesConfig  # noqa: PLC0415 (not before its home is set)

    table: dict[str, dict[str, str]] = {}
    for domain, values in cookies.items():
        name = domain.lstrip(".")
        # Each looks for one of the two.
        for key in (name, f".{name}"):
            table.setdefault(key, {}).update(values)
    CookiesConfig.cookies = table


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
