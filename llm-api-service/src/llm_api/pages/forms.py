"""Forms: fields that keep what was typed, and say beside it what is wrong."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from werkzeug.datastructures import MultiDict

from llm_api.config import ConfigError
from llm_api.service import Service
from llm_api.settings import LONGEST_TEXT, Settings, SettingsError, parse_changes, with_changes

Choices = Sequence[tuple[str, str]]
Typed = MultiDict[str, str]
MOST = 2**31 - 1
# More make no number that fits anywhere.
DIGITS = 20


class InputError(ValueError):
    """What was typed cannot be used; the message goes on after the field's name."""


@dataclass(frozen=True)
class Field:
    """A field as the template shows it, and how its text is read."""

    name: str
    label: str
    kind: str = "text"
    """`text`, `area`, `number`, `password`, `switch`, `choice`, or `checks` for several choices."""
    hint: str = ""
    read: Callable[[Any], Any] = str.strip
    """Makes the value of what was typed, or of the list of what was chosen.

    Raises:
        InputError: there is none.
    """
    show: Callable[[Any], Any] = str
    """Makes the text of the value."""
    choices: Choices = ()
    suggestions: Sequence[str] = ()
    required: bool = False
    autocomplete: str = "off"
    longest: int | None = None
    value: Any = ""
    error: str = ""

    def typed(self, texts: Typed) -> Any:
        """Return what was typed, or the list of what was chosen."""
        if self.kind == "checks":
            return texts.getlist(self.name)
        return texts.get(self.name, "")

    def value_of(self, texts: Typed) -> Any:
        """Return the value of what was typed.

        Raises:
            InputError: there is none.
        """
        typed = self.typed(texts)
        if self.kind in ("choice", "checks"):
            offered = [value for value, _ in self.choices]
            if any(one not in offered for one in ([typed] if self.kind == "choice" else typed)):
                raise InputError("must be among what is offered")
        value = self.read(typed)
        if self.required and not value:
            raise InputError("must not be empty")
        return value

    def shown_again(self, texts: Typed) -> Field:
        """Return the field with what was typed, unless that is a password."""
        typed = "" if self.kind == "password" else self.typed(texts)
        return replace(self, value=bool(typed) if self.kind == "switch" else typed)


@dataclass(frozen=True)
class Form:
    """Fields in their order."""

    fields: tuple[Field, ...]

    def __getitem__(self, name: str) -> Field:
        """Return the field with that name."""
        return next(field for field in self.fields if field.name == name)

    @property
    def faults(self) -> list[Field]:
        """The fields that have an error."""
        return [field for field in self.fields if field.error]

    def filled(self, values: Mapping[str, Any]) -> Form:
        """Return the form with the texts of `values`."""
        return self._each(lambda f: replace(f, value=f.show(values[f.name])), values)

    def suggesting(self, suggestions: Mapping[str, Sequence[str]]) -> Form:
        """Return the form with suggestions for some of its fields."""
        return self._each(lambda f: replace(f, suggestions=suggestions[f.name]), suggestions)

    def choosing(self, name: str, choices: Choices) -> Form:
        """Return the form with the choices of a field."""
        return self._each(lambda f: replace(f, choices=choices), [name])

    def typed(self, texts: Typed) -> Form:
        """Return the form with what was typed, and not with passwords."""
        return Form(tuple(field.shown_again(texts) for field in self.fields))

    def with_errors(self, errors: Mapping[str, str]) -> Form:
        """Return the form with `errors` beside its fields."""
        return self._each(lambda f: replace(f, error=errors[f.name]), errors)

    def read(
        self, texts: Typed, check: Callable[[str, Any], Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, str]]:
        """Return the values of what was typed, and the errors of those that have none.

        Args:
            texts: what was typed, by the names of the fields.
            check: takes a field's name and its value and returns the value to use.
        """
        values, errors = {}, {}
        for field in self.fields:
            try:
                value = field.value_of(texts)
                values[field.name] = check(field.name, value) if check else value
            except InputError as error:
                errors[field.name] = str(error)
            except SettingsError as error:
                errors[field.name] = error.message
        return values, errors

    def _each(self, change: Callable[[Field], Field], names: Iterable[str]) -> Form:
        chosen = set(names)
        return Form(tuple(change(f) if f.name in chosen else f for f in self.fields))


def a_switch(name: str, label: str, hint: str = "") -> Field:
    """Return a field that is on or off: a browser sends its name only if it is on."""
    return Field(name, label, "switch", hint, read=bool, show=bool)


def some_of(name: str, label: str, hint: str = "", choices: Choices = ()) -> Field:
    """Return a field with boxes to check, whose value is a list."""
    return Field(name, label, "checks", hint, read=list, show=list, choices=choices)


def a_prompt(hint: str) -> Field:
    """Return the field for a system prompt."""
    return Field("system_prompt", "System prompt", "area", hint, read=_prompt, longest=LONGEST_TEXT)


def a_list(name: str, label: str, hint: str = "", **more: Any) -> Field:
    """Return a field with a name on each line."""
    return Field(name, label, "area", hint, read=lines, show="\n".join, **more)


def a_number(name: str, label: str, hint: str = "", *, most: int = MOST) -> Field:
    """Return a field for a whole number, which is 0 where nothing was typed."""

    def read(text: str) -> int:
        text = text.strip() or "0"
        if not text.isascii() or not text.isdigit() or len(text) > DIGITS or int(text) > most:
            raise InputError(f"must be a whole number from 0 to {most}")
        return int(text)

    return Field(name, label, "number", hint, read=read)


def some_seconds(name: str, label: str, hint: str = "") -> Field:
    """Return a field for a time in seconds."""
    return Field(name, label, "number", hint, read=_seconds, show="{:g}".format)


def lines(text: str) -> list[str]:
    """Return the lines of `text` that are not empty."""
    return [line.strip() for line in text.splitlines() if line.strip()]


def suggestions(service: Service) -> dict[str, list[str]]:
    """Return what may be typed into fields called `provider` and `model`."""
    return {
        "provider": ["Auto", *(provider.name for provider in service.settings.providers)],
        "model": list(dict.fromkeys(model for model, _ in service.models())),
    }


def check_setting(name: str, value: Any) -> Any:
    """Return the checked value of a setting.

    Raises:
        SettingsError: the setting cannot have it.
    """
    return parse_changes({name: value})[name]


def check_chain(service: Service, changes: Mapping[str, Any]) -> None:
    """Check that the providers could follow the checked `changes` of settings.

    Raises:
        SettingsError: they could not.
    """
    try:
        service.check(with_changes(service.settings, changes))
    except ConfigError as error:
        # It begins with the variable and its value, as the deployment has them.
        variable, _, message = str(error).partition(" ")
        raise SettingsError(variable.partition("=")[0].lower(), message) from None


def check_provider(settings: Settings, value: str) -> str:
    """Return the checked names of providers, which may be none.

    Raises:
        SettingsError: there is no such provider.
    """
    if value:
        with_changes(settings, {"provider": check_setting("provider", value)})
    return value


def _prompt(text: str) -> str:
    # Browsers send lines as the web has them.
    return text.replace("\r\n", "\n").strip()


def _seconds(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise InputError("must be a number of seconds") from None
    if not 0 < number < math.inf:
        raise InputError("must be a number of seconds above 0")
    return number
