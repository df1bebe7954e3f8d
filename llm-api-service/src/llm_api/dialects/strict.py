"""Checks of what a translation understands: whatever else a body holds is refused by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from llm_api.checks import Check, Schema, an_object, check_all, fault, missing, schema_of
from llm_api.errors import ApiError


def unsupported(param: str, what: str = "") -> ApiError:
    """Return the error for the parameter `param`, or for its value `what`."""
    subject = f"{what[:100]} as {param}" if what else param
    message = f"{subject} is not supported here."
    return ApiError(400, message, code="unsupported_parameter", param=param)


def check_closed(
    body: Mapping[str, Any], checks: Mapping[str, Check], required: Sequence[str] = ()
) -> None:
    """Check the parameters in `body`, which must be known to `checks` unless they are null.

    Raises:
        ApiError: 400, naming the first that is not good, not known, or required and missing.
    """
    _only_known(body, checks, "")
    check_all(body, checks)
    for name in required:
        if body.get(name) is None:
            raise missing(name)


def closed_schema(checks: Mapping[str, Check], required: Sequence[str] = ()) -> Schema:
    """Return the schema of the bodies that pass `check_closed`."""
    return {**schema_of(checks, required), "additionalProperties": {"type": "null"}}


def closed(checks: Mapping[str, Check], required: Sequence[str] = ()) -> Check:
    """Return a check of objects whose values are known to `checks`, unless they are null."""
    known = an_object(checks, required=required)

    def test(where: str, value: Any) -> None:
        known(where, value)
        _only_known(value, checks, f"{where}.")

    return Check(test, closed_schema(checks, required))


def _only_known(value: Mapping[str, Any], checks: Mapping[str, Check], where: str) -> None:
    for name, item in value.items():
        if item is not None and name not in checks:
            raise unsupported(where + name[:100])


def only(*values: Any) -> Check:
    """Return a check of a parameter for which just these `values` can be honoured."""

    def test(where: str, value: Any) -> None:
        # True is 1 to Python, and not to anybody else.
        if not any(value == known and type(value) is type(known) for known in values):
            said = value if isinstance(value, str) else ""
            raise unsupported(where, said)

    return Check(test, {"enum": list(values)})


def of_types(
    kinds: Mapping[str, tuple[Mapping[str, Check], Sequence[str]]], *, default: str = ""
) -> Check:
    """Return a check of objects that name their `type`, which must be one of `kinds`.

    Each has its checks and the names of the values that are required. An object without a type is
    a `default`.
    """
    checks = {
        name: a_kind(name, known, required, named=name != default)
        for name, (known, required) in kinds.items()
    }
    return by_kind(checks, default=default)


def a_kind(
    name: str, known: Mapping[str, Check], required: Sequence[str], *, named: bool = True
) -> Check:
    """Return a check of objects of the type `name`, which they must say if they are `named`."""
    return closed({"type": only(name), **known}, ["type", *required] if named else required)


def by_kind(checks: Mapping[str, Check], *, default: str = "") -> Check:
    """Return a check of objects that name their `type`, which has its own among `checks`.

    An object without a type is a `default`.
    """

    def test(where: str, value: Any) -> None:
        if not isinstance(value, dict):
            raise fault(where, "must be an object")
        kind = default if value.get("type") is None else value["type"]
        if not isinstance(kind, str):
            raise fault(f"{where}.type", "must be a text")
        if not kind:
            raise fault(f"{where}.type", "is missing")
        if kind not in checks:
            raise unsupported(f"{where}.type", kind)
        checks[kind](where, value)

    return Check(test, {"anyOf": [check.schema for check in checks.values()]})
