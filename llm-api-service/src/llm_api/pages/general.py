"""The settings: what holds, where it comes from, and a form to change it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from flask import Blueprint, flash, make_response, redirect, render_template, request, url_for
from werkzeug import Response

from llm_api.config import Config
from llm_api.pages import proxies
from llm_api.pages.forms import (
    Field,
    Form,
    InputError,
    a_list,
    a_prompt,
    a_switch,
    check_chain,
    check_setting,
    lines,
    suggestions,
)
from llm_api.service import Service, current_service
from llm_api.settings import NAMES, Settings, SettingsError

blueprint = Blueprint("general", __name__)

BRIEF = 60
# Settings that have a page of their own, which has their name.
OWN_PAGES = ("providers", "cookies")


def _aliases(text: str) -> dict[str, str]:
    aliases = {}
    for line in lines(text):
        asked, equals, used = (part.strip() for part in line.partition("="))
        if not asked or not equals or not used:
            raise InputError("must have lines such as gpt-4o = llama-3.1-8b")
        aliases[asked] = used
    return aliases


def _show_aliases(aliases: Mapping[str, str]) -> str:
    return "\n".join(f"{asked} = {used}" for asked, used in aliases.items())


@dataclass(frozen=True)
class Section:
    """Settings that belong together."""

    title: str
    about: str
    names: tuple[str, ...]


THIRD_PARTIES = ("third_parties", "proxies")
SECTIONS = (
    Section(
        "Answers",
        "Who answers, and what is added to each request.",
        ("provider", "model", "aliases", "system_prompt"),
    ),
    Section("Access", "Who may ask.", ("private_mode", "virtual_users")),
    Section(
        "Free-GPT4-WEB-API",
        "The old protocol: questions in the address, answers as plain text.",
        ("keyword", "file_input", "remove_sources", "message_history", "legacy_statuses"),
    ),
    Section("Third parties", "The providers of g4f, which see the prompts.", THIRD_PARTIES),
)
FORM = Form(
    (
        Field(
            "provider",
            "Provider",
            hint="Auto asks all providers in their order. Or name those to ask, with commas.",
            required=True,
        ),
        Field(
            "model",
            "Model",
            hint="For requests that name none. Empty: the first provider's default.",
        ),
        Field(
            "aliases",
            "Other names of models",
            "area",
            "One a line: the name that clients ask for = the model that is meant.",
            read=_aliases,
            show=_show_aliases,
        ),
        a_prompt("Put before conversations that bring none of their own."),
        a_switch(
            "private_mode", "Private", "Only callers with a token are answered; others get 401."
        ),
        a_switch(
            "virtual_users",
            "Virtual users",
            "People with a name and a password of their own log in here and set their own values.",
        ),
        Field(
            "keyword",
            "Keyword",
            hint="The parameter that has the question, as in /?text=…",
            required=True,
        ),
        a_switch("file_input", "File input", "A question may be sent as a file."),
        a_switch(
            "remove_sources", "Remove sources", "Marks such as [^1^] are taken out of answers."
        ),
        a_switch(
            "message_history",
            "History",
            "Each token's earlier questions and answers are sent along.",
        ),
        a_switch(
            "legacy_statuses",
            "Always 200",
            "Errors have the status 200, as they used to. For scripts that expect it.",
        ),
        a_switch("third_parties", "Ask third parties", "Off: no prompt reaches them."),
        a_list(
            "proxies",
            "Proxies",
            "One a line, taken in turn: http://user:password@host:3128. "
            "None: the cluster's own egress proxy. Passwords are kept and not shown.",
        ),
    )
)


@blueprint.get("")
def show() -> Response:
    """Show the settings."""
    service = current_service()
    return _page(service, FORM.filled(_values(service.settings)))


@blueprint.post("")
def save() -> Response:
    """Change what differs, all of it or nothing."""
    service = current_service()

    def check(name: str, value: Any) -> Any:
        if name == "proxies":
            value = proxies.uncover(value, service.settings.proxies)
        return check_setting(name, value)

    values, errors = FORM.read(request.form, check)
    changes = {
        name: value for name, value in values.items() if value != getattr(service.settings, name)
    }
    try:
        check_chain(service, changes)
        if changes and not errors:
            service.state.change_settings(changes)
    except SettingsError as error:
        errors.setdefault(error.field, error.message)
    if errors:
        form = FORM.typed(request.form).with_errors(errors)
        return _page(service, form, HTTPStatus.UNPROCESSABLE_ENTITY)
    flash("Saved. All replicas follow within two seconds." if changes else "Nothing to save.")
    return redirect(url_for(".show"), HTTPStatus.SEE_OTHER)


@blueprint.post("/reset")
def reset() -> Response:
    """Let the deployment's values of settings hold again."""
    names = [name for name in request.form.getlist("name") if name in NAMES]
    try:
        current_service().state.reset_settings(names)
        flash("What the deployment says holds again.")
    except SettingsError as error:
        flash(f"Not reset, because then {error}.", "bad")
    page = next((name for name in names if name in OWN_PAGES), "general")
    return redirect(url_for(f"settings.{page}.show"), HTTPStatus.SEE_OTHER)


def _values(settings: Settings) -> dict[str, Any]:
    values = {field.name: getattr(settings, field.name) for field in FORM.fields}
    return values | {"proxies": proxies.cover(settings.proxies)}


def _page(service: Service, form: Form, status: HTTPStatus = HTTPStatus.OK) -> Response:
    deployed = FORM.filled(_values(service.config.settings))
    page = render_template(
        "pages/general.html",
        form=form.suggesting(suggestions(service)),
        sections=SECTIONS,
        stored=service.state.snapshot.stored,
        deployed={field.name: _brief(field.value) for field in deployed.fields},
        facts=_facts(service.config),
    )
    return make_response(page, status)


def _brief(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    text = " ".join(str(value).split())
    return (text if len(text) <= BRIEF else f"{text[:BRIEF]}…") or "empty"


def _facts(config: Config) -> list[tuple[str, str, str]]:
    """Return what only the deployment can change, and what became of old settings."""
    database = config.database_url.partition("://")[0].partition("+")[0]
    return [
        ("Port", str(config.port), "PORT. Clients use that of the gateway."),
        ("Fast API", "always on", "The protocol of OpenAI is part of the service, at /v1."),
        ("Database", database, "DATABASE_URL. All replicas share it."),
        ("Egress proxy", config.egress_proxy or "none", "EGRESS_PROXY."),
        ("Answers at once", str(config.max_streams), "MAX_STREAMS, for each replica."),
        ("Token", "several", "On the page Tokens: each with its own limits."),
    ]
