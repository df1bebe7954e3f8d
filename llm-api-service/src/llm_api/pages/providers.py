"""The chain of providers: how each is doing, and forms to change it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any

from flask import Blueprint, flash, make_response, redirect, render_template, request, url_for
from werkzeug import Response
from werkzeug.exceptions import NotFound

from llm_api.operations import Operation
from llm_api.pages.forms import (
    Field,
    Form,
    a_list,
    a_number,
    a_switch,
    check_chain,
    some_of,
    some_seconds,
)
from llm_api.provider_config import ADAPTERS, ConfigError, ProviderConfig, parse_providers
from llm_api.providers.registry import chosen
from llm_api.providers.status import ProviderStatus
from llm_api.service import Service, current_service
from llm_api.settings import AUTO, Settings, SettingsError, to_stored

blueprint = Blueprint("providers", __name__)

WITHOUT_KEY = "without_key"
FORM = Form(
    (
        Field("name", "Name", hint="For g4f, the name of the class.", required=True),
        Field(
            "adapter",
            "Kind",
            "choice",
            choices=(("openai", "OpenAI-compatible server"), ("g4f", "g4f class: a third party")),
        ),
        Field("base_url", "Base URL", hint="With its /v1. Not for g4f."),
        Field("api_key", "Key", "password", autocomplete="new-password"),
        a_switch(WITHOUT_KEY, "Forget the key"),
        a_list("models", "Models", "One a line. Empty: what it lists itself."),
        Field("default_model", "Default model", hint="Empty: the first of its models."),
        some_of(
            "operations",
            "Can do",
            "None chosen: chats, or what the g4f class can.",
            [(operation.value, operation.value.capitalize()) for operation in Operation],
        ),
        some_seconds("first_chunk_timeout", "Patience", "Seconds until an answer must begin."),
        some_seconds("deadline", "Deadline", "Seconds until an answer must be whole."),
        a_number("max_concurrency", "At once", "Requests that it gets at once. 0: no limit."),
        a_number("weight", "Weight", "Its part among neighbours that have one. 0: none."),
        a_switch("via_egress", "Through the egress proxy", "Those of g4f always are."),
    )
)
NEW = ProviderConfig(name="", adapter=ADAPTERS[0])


@dataclass(frozen=True)
class Chain:
    """The providers in the order in which they are asked, and which of them are."""

    providers: tuple[ProviderConfig, ...]
    on: frozenset[str]

    @classmethod
    def of(cls, settings: Settings) -> Chain:
        """Return the chain of `settings`; those that are not asked come last."""
        asked = chosen(settings)
        others = [provider for provider in settings.providers if provider not in asked]
        return cls((*asked, *others), frozenset(provider.name for provider in asked))

    def __getitem__(self, name: str) -> ProviderConfig:
        """Return the provider with that name.

        Raises:
            NotFound: there is none.
        """
        for provider in self.providers:
            if provider.name == name:
                return provider
        raise NotFound("There is no such provider any more.")

    def moved(self, name: str, places: int) -> Chain:
        """Return the chain with a provider so many places later."""
        rest = [provider for provider in self.providers if provider.name != name]
        place = max(0, self.providers.index(self[name]) + places)
        return replace(self, providers=(*rest[:place], self[name], *rest[place:]))

    def switched(self, name: str) -> Chain:
        """Return the chain with a provider off that was on, or on that was off."""
        return replace(self, on=self.on ^ {self[name].name})

    def without(self, name: str) -> Chain:
        """Return the chain without a provider."""
        rest = tuple(provider for provider in self.providers if provider != self[name])
        return Chain(rest, self.on - {name})

    def with_provider(self, old: str, provider: ProviderConfig) -> Chain:
        """Return the chain with `provider` in the place of the one called `old`, or at its end."""
        if not old:
            return Chain((*self.providers, provider), self.on | {provider.name})
        providers = tuple(provider if p.name == old else p for p in self.providers)
        names = self.on - {old} | ({provider.name} if old in self.on else set())
        return Chain(providers, names)

    def changes(self, settings: Settings) -> dict[str, Any]:
        """Return what has to change in `settings` so that they have this chain."""
        names = [provider.name for provider in self.providers if provider.name in self.on]
        everybody = len(names) == len(self.providers)
        provider = ",".join(names)
        if everybody:
            provider = settings.provider if settings.provider.lower() in AUTO else "Auto"
        wanted = {"providers": self.providers, "provider": provider}
        return {name: new for name, new in wanted.items() if new != getattr(settings, name)}


@blueprint.get("/providers")
def show() -> str:
    """Show the chain."""
    service = current_service()
    chain, stored = Chain.of(service.settings), service.state.snapshot.stored
    return render_template(
        "pages/providers.html",
        chain=chain,
        health=_health(service),
        stored=[name for name in ("providers", "provider") if name in stored],
    )


@blueprint.post("/providers")
def change() -> Response:
    """Move, switch or remove a provider."""
    service, name = current_service(), request.form.get("name", "")
    chain = Chain.of(service.settings)
    actions = {
        "up": lambda: chain.moved(name, -1),
        "down": lambda: chain.moved(name, 1),
        "switch": lambda: chain.switched(name),
        "remove": lambda: chain.without(name),
    }
    action = actions.get(request.form.get("action", ""))
    if action is None:
        raise NotFound("A provider can be moved, switched or removed.")
    new = action()
    try:
        if not new.on:
            flash("One provider has to stay, and to be on.", "bad")
        elif changes := new.changes(service.settings):
            check_chain(service, changes)
            service.state.change_settings(changes)
    except SettingsError as error:
        flash(f"Not changed, because then {error}.", "bad")
    return redirect(url_for(".show"), HTTPStatus.SEE_OTHER)


@blueprint.get("/provider")
def edit() -> Response:
    """Show the form of the provider called `name`, or of a new one."""
    name = request.args.get("name", "")
    provider = Chain.of(current_service().settings)[name] if name else NEW
    return _form_page(name, _form(provider).filled(_values(provider)))


@blueprint.post("/provider")
def save() -> Response:
    """Change the provider called `name`, or add one."""
    service, old = current_service(), request.args.get("name", "")
    chain = Chain.of(service.settings)
    before = chain[old] if old else NEW
    values, errors = FORM.read(request.form)
    if not errors:
        entry = {key: value for key, value in values.items() if key != WITHOUT_KEY}
        if values[WITHOUT_KEY] or not entry["api_key"]:
            entry["api_key"] = "" if values[WITHOUT_KEY] else before.api_key
        errors = _save(service, chain, old, entry)
    if errors:
        form = _form(before).typed(request.form).with_errors(errors)
        return _form_page(old, form, HTTPStatus.UNPROCESSABLE_ENTITY)
    flash("Saved. All replicas follow within two seconds.")
    return redirect(url_for(".show"), HTTPStatus.SEE_OTHER)


def _save(service: Service, chain: Chain, old: str, entry: dict[str, Any]) -> dict[str, str]:
    """Change the chain, or return what is wrong with `entry`, by the names of its parts."""
    if entry["name"] != old and any(entry["name"] == p.name for p in chain.providers):
        return {"name": "is another provider's"}
    try:
        provider = parse_providers([entry], "")[0]
        changes = chain.with_provider(old, provider).changes(service.settings)
        check_chain(service, changes)
        service.state.change_settings(changes)
    except ConfigError as error:
        # It begins with where the entry is; then comes the name of the part.
        name, _, message = str(error).partition(": ")[2].partition(" ")
        return {name: message}
    except SettingsError as error:
        if error.field == "model":
            return {"models": f"must have the default model, which otherwise {error.message}"}
        return {"name": error.message}
    return {}


def _values(provider: ProviderConfig) -> dict[str, Any]:
    return {**to_stored(provider), "api_key": "", WITHOUT_KEY: False}


def _form(provider: ProviderConfig) -> Form:
    """Return the form for what `provider` has."""
    hint = "One is kept, and not shown. Type another to replace it." if provider.api_key else ""
    fields_ = (replace(f, hint=hint) if f.name == "api_key" else f for f in FORM.fields)
    return Form(tuple(f for f in fields_ if f.name != WITHOUT_KEY or provider.api_key))


def _form_page(old: str, form: Form, status: HTTPStatus = HTTPStatus.OK) -> Response:
    return make_response(render_template("pages/provider.html", old=old, form=form), status)


def _health(service: Service) -> Mapping[str, ProviderStatus]:
    return {status.name: status for status in service.providers()}
