"""Checks of request bodies at the edge. What is wrong is a 400 that names the parameter.

A check knows its JSON schema, too, so that the description of the interface says what is checked.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llm_api.errors import ApiError

Schema = dict[str, Any]

# How deep lists and objects may lie in each other.
MAX_DEPTH = 64


def read_object(data: bytes) -> dict[str, Any]:
    """Return the JSON object in `data`.

    Raises:
        ApiError: 400, there is none, or one that is too deep.
    """
    try:
        body = _DECODER.decode(data.decode())
    except (ValueError, RecursionError):
        raise ApiError(400, "The body is no valid JSON in UTF-8.", code="invalid_json") from None
    if not isinstance(body, dict):
        raise ApiError(400, "The body must be a JSON object.", code="invalid_json")
    # Each level takes a bracket: most bodies have too few of them to be counted level by level.
    if data.count(b"[") + data.count(b"{") > MAX_DEPTH and _deeper_than(MAX_DEPTH, body):
        message = f"The body has more than {MAX_DEPTH} levels of lists and objects."
        raise ApiError(400, message, code="invalid_json")
    return body


def _no_constant(name: str) -> None:
    """Refuse `NaN` and `Infinity`, which Python reads and JSON does not have."""
    raise ValueError(name)


def _finite(text: str) -> float:
    """Return the number `text`, which must not be infinite: it could not be written again."""
    number = float(text)
    if math.isinf(number):
        raise ValueError(text)
    return number


_DECODER = json.JSONDecoder(parse_constant=_no_constant, parse_float=_finite)


def _deeper_than(depth: int, value: Any) -> bool:
    """Return whether `value` has more than `depth` levels of lists and objects."""
    level = [value]
    for _ in range(depth):
        values = (v.values() if isinstance(v, dict) else v for v in level)
        level = [item for items in values for item in items if isinstance(item, dict | list)]
    return bool(level)


@dataclass(frozen=True)
class Check:
    """What a value must be."""

    test: Callable[[str, Any], None]
    """Takes the value's name and the value, and raises for one that is not good."""
    schema: Schema

    def __call__(self, where: str, value: Any) -> None:
        """Check `value`, which is called `where`.

        Raises:
            ApiError: 400, it is not good.
        """
        self.test(where, value)


def fault(param: str, problem: str) -> ApiError:
    """Return the error for the parameter `param`, which has a `problem`."""
    return ApiError(400, f"{param} {problem}.", param=param, code="invalid_value")


def missing(param: str) -> ApiError:
    """Return the error for a body without the parameter `param`."""
    return ApiError(400, f"{param} is missing.", param=param, code="missing_required_parameter")


def check_all(body: Mapping[str, Any], checks: Mapping[str, Check], where: str = "") -> None:
    """Check the values of `body` that `checks` knows. Null is as good as leaving one out."""
    for name, value in body.items():
        if value is not None and (check := checks.get(name)):
            check(where + name, value)


def schema_of(checks: Mapping[str, Check], required: Sequence[str] = ()) -> Schema:
    """Return the schema of objects that pass `checks` and have the `required` values."""
    properties = {
        name: check.schema if name in required else or_null(check.schema)
        for name, check in checks.items()
    }
    schema: Schema = {"type": "object", "properties": properties}
    # What is required and not checked must only not be null.
    properties |= {name: {"not": {"type": "null"}} for name in required if name not in checks}
    return schema | ({"required": list(required)} if required else {})


def or_null(schema: Schema) -> Schema:
    """Return the schema for values that are good for `schema`, or null."""
    if isinstance(kind := schema.get("type"), str) and "enum" not in schema:
        return {**schema, "type": [kind, "null"]}
    return {"anyOf": [schema, {"type": "null"}]}


def _text(where: str, value: Any) -> None:
    if not isinstance(value, str):
        raise fault(where, "must be a text")


text = Check(_text, {"type": "string"})


def _flag(where: str, value: Any) -> None:
    if not isinstance(value, bool):
        raise fault(where, "must be true or false")


flag = Check(_flag, {"type": "boolean"})


def number(low: float, high: float) -> Check:
    """Return a check of numbers from `low` to `high`."""

    def test(where: str, value: Any) -> None:
        good = isinstance(value, int | float) and not isinstance(value, bool)
        if not good or not low <= value <= high:
            raise fault(where, f"must be a number from {low} to {high}")

    return Check(test, {"type": "number", "minimum": low, "maximum": high})


def whole(low: int, high: int) -> Check:
    """Return a check of whole numbers from `low` to `high`. 3.0 is one, as JSON has it."""

    def test(where: str, value: Any) -> None:
        good = isinstance(value, int) and not isinstance(value, bool)
        good = good or (isinstance(value, float) and value.is_integer())
        if not good or not low <= value <= high:
            raise fault(where, f"must be a whole number from {low} to {high}")

    return Check(test, {"type": "integer", "minimum": low, "maximum": high})


def one_of(*choices: str) -> Check:
    """Return a check of texts from a list."""

    def test(where: str, value: Any) -> None:
        if not isinstance(value, str) or value not in choices:
            raise fault(where, f"must be one of {', '.join(choices)}")

    return Check(test, {"type": "string", "enum": list(choices)})


def an_object(checks: Mapping[str, Check] | None = None, *, required: Sequence[str] = ()) -> Check:
    """Return a check of objects whose values pass `checks`, and which have the `required` ones."""

    def test(where: str, value: Any) -> None:
        if not isinstance(value, dict):
            raise fault(where, "must be an object")
        for name in required:
            if value.get(name) is None:
                raise fault(f"{where}.{name}", "is missing")
        if checks:
            check_all(value, checks, f"{where}.")

    return Check(test, schema_of(checks or {}, required))


def a_map(of: Check) -> Check:
    """Return a check of objects with any names, whose values all pass `of`."""

    def test(where: str, value: Any) -> None:
        if not isinstance(value, dict):
            raise fault(where, "must be an object")
        for name, item in value.items():
            of(f"{where}.{name[:50]}", item)

    return Check(test, {"type": "object", "additionalProperties": of.schema})


def a_list(of: Check, *, least: int = 0, most: float = math.inf) -> Check:
    """Return a check of lists of `least` to `most` items that pass `of`."""

    def test(where: str, value: Any) -> None:
        if not isinstance(value, list):
            raise fault(where, "must be a list")
        if not least <= len(value) <= most:
            bounds = f"from {least} to {most}" if most < math.inf else f"{least} or more"
            raise fault(where, f"must have {bounds} items")
        for index, item in enumerate(value):
            of(f"{where}[{index}]", item)

    schema: Schema = {"type": "array", "items": of.schema}
    bounds = {"minItems": least} if least else {}
    return Check(test, schema | bounds | ({"maxItems": most} if most < math.inf else {}))


def either(texts: Check, other: Check) -> Check:
    """Return a check for values that are a text, or else something else."""

    def test(where: str, value: Any) -> None:
        (texts if isinstance(value, str) else other)(where, value)

    return Check(test, {"anyOf": [texts.schema, other.schema]})


def by_type(kinds: Mapping[str, Check]) -> Check:
    """Return a check of objects that say their `type`. Those of unknown types may be anything."""
    any_type = an_object({"type": text}, required=["type"])

    def test(where: str, value: Any) -> None:
        any_type(where, value)
        if check := kinds.get(value["type"]):
            check(where, value)

    def schema(name: str, check: Check) -> Schema:
        kind = {"type": {"const": name}}
        required = ["type", *check.schema.get("required", [])]
        return {
            **check.schema,
            "properties": kind | check.schema["properties"],
            "required": required,
        }

    others = {"type": {"type": "string", "not": {"enum": list(kinds)}}}
    other = {"type": "object", "properties": others, "required": ["type"]}
    return Check(test, {"anyOf": [*(schema(*item) for item in kinds.items()), other]})
