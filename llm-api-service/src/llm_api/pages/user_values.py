"""The form with a virtual user's values."""

from __future__ import annotations

from typing import Any

from llm_api.pages.forms import (
    Field,
    Form,
    Typed,
    a_prompt,
    a_switch,
    check_provider,
    check_setting,
    suggestions,
)
from llm_api.service import current_service
from llm_api.state import User

FORM = Form(
    (
        Field("provider", "Provider", hint="Empty: as everybody. Or names, with commas."),
        Field("model", "Model", hint="For requests that name none. Empty: as everybody."),
        a_prompt("Put before conversations that bring none. Empty: as everybody."),
        a_switch("message_history", "History", "Earlier questions and answers are sent along."),
    )
)


def values_form(user: User) -> Form:
    """Return the form with the values of `user`."""
    values = {field.name: getattr(user, field.name) for field in FORM.fields}
    return FORM.suggesting(suggestions(current_service())).filled(values)


def read_values(texts: Typed) -> tuple[Form, dict[str, Any]]:
    """Return the form with what was typed and with its errors, and the values."""
    settings = current_service().settings

    def check(name: str, value: Any) -> Any:
        if name == "provider":
            return check_provider(settings, value)
        return check_setting(name, value)

    values, errors = FORM.read(texts, check)
    return FORM.suggesting(suggestions(current_service())).typed(texts).with_errors(errors), values
