"""Checks of request bodies at the edge. What is wrong is a 400 that names the parameter."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from llm_api.errors import ApiError

# Says nothing of a good value, and raises for another; the text is what to call it.
Check = Callable[[str, Any], None]

# How deep lists and objects may lie in each other.
MAX_DEPTH = 64


def read_object(data: bytes) -> dict[str, Any]:
    """Return the JSON object in `data`.

    Raises:
        ApiError: 400, there is none, or one that is too deep.
    """
    try:
        body = json.loads(data.decode(), parse_constant=_no_constant, parse_float=_finite)
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


def _deeper_than(depth: int, value: Any) -> bool:
    """Return whether `value` has more than `depth` levels of lists and objects."""
    level = [value]
    for _ in range(depth):
        values = (v.values() if isinstance(v, dict) else v for v in level)
        level = [item for items in values for item in items if isinstance(item, dict | list)]
    return bool(level)


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


def text(where: str, value: Any) -> None:
    """Check a text."""
    if not isinstance(value, str):
        raise fault(where, "must be a text")


def flag(where: str, value: Any) -> None:
    """Check a boolean."""
    if not isinstance(value, bool):
        raise fault(where, "must be true or false")


def number(low: float, high: float) -> Check:
    """Return a check of numbers from `low` to `high`."""

    def check(where: str, value: Any) -> None:
        good = isinstance(value, int | float) and not isinstance(value, bool)
        if not good or not low <= value <= high:
            raise fault(where, f"must be a number from {low} to {high}")

    return check


def whole(low: int, high: int) -> Check:
    """Return a check of whole numbers from `low` to `high`."""

    def check(where: str, value: Any) -> None:
        good = isinstance(value, int) and not isinstance(value, bool)
        if not good or not low <= value <= high:
            raise fault(where, f"must be a whole number from {low} to {high}")

    return check


def one_of(*choices: str) -> Check:
    """Return a check of texts from a list."""

    def check(where: str, value: Any) -> None:
        if not isinstance(value, str) or value not in choices:
            raise fault(where, f"must be one of {', '.join(choices)}")

    return check


def an_object(checks: Mapping[str, Check] | None = None, *, required: Sequence[str] = ()) -> Check:
    """Return a check of objects whose values pass `checks`, and which have the `required` ones."""

    def check(where: str, value: Any) -> None:
        if not isinstance(value, dict):
            raise fault(where, "must be an object")
        for name in required:
            if value.get(name) is None:
                raise fault(f"{where}.{name}", "is missing")
        if checks:
            check_all(value, checks, f"{where}.")

    return check


def a_map(of: Check) -> Check:
    """Return a check of objects with any names, whose values all pass `of`."""

    def check(where: str, value: Any) -> None:
        if not isinstance(value, dict):
            raise fault(where, "must be an object")
        for name, item in value.items():
            of(f"{where}.{name[:50]}", item)

    return check


def a_list(of: Check, *, least: int = 0, most: float = math.inf) -> Check:
    """Return a check of lists of `least` to `most` items that pass `of`."""

    def check(where: str, value: Any) -> None:
        if not isinstance(value, list):
            raise fault(where, "must be a list")
        if not least <= len(value) <= most:
            bounds = f"from {least} to {most}" if most < math.inf else f"{least} or more"
            raise fault(where, f"must have {bounds} items")
        for index, item in enumerate(value):
            of(f"{where}[{index}]", item)

    return check


def either(text_check: Check, other: Check) -> Check:
    """Return a check for values that are a text, or else something else."""

    def check(where: str, value: Any) -> None:
        (text_check if isinstance(value, str) else other)(where, value)

    return check
