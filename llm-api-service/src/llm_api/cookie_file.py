"""A file of cookies, as browsers' extensions and Free-GPT4-WEB-API have it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# Whose the cookies are that Free-GPT4-WEB-API's users kept without a domain.
DOMAINS: Mapping[str, str] = {
    "_U": ".bing.com",
    "__Secure-1PSID": ".google.com",
    "__Secure-1PSIDTS": ".google.com",
}


class CookieError(ValueError):
    """These are no cookies."""


def read_cookies(path: Path) -> dict[str, dict[str, str]]:
    """Return domain -> name -> value, read from the JSON file `path`.

    Raises:
        CookieError: the file cannot be read, or is none of cookies.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise CookieError(f"cannot be read: {error}") from None
    return parse_cookies(data)


def parse_cookies(data: Any) -> dict[str, dict[str, str]]:
    """Return domain -> name -> value for `data`, as JSON has it.

    It is a list of objects with a domain, a name and a value, or an object of names and values,
    alone or below their domains.

    Raises:
        CookieError: it is something else. The message holds no value.
    """
    cookies: dict[str, dict[str, str]] = {}
    for domain, name, value in _flat(data):
        if not all(isinstance(part, str) for part in (domain, name, value)):
            raise CookieError("must have texts as domains, names and values")
        cookies.setdefault(domain, {})[name] = value
    return cookies


def _flat(data: Any) -> list[tuple[Any, Any, Any]]:
    if isinstance(data, list) and all(isinstance(cookie, dict) for cookie in data):
        return [tuple(cookie.get(key) for key in ("domain", "name", "value")) for cookie in data]
    if not isinstance(data, dict):
        raise CookieError("must be a list of objects with domain, name and value")
    flat = []
    for name, value in data.items():
        if isinstance(value, dict):
            flat += [(name, *cookie) for cookie in value.items()]
        elif name in DOMAINS:
            flat.append((DOMAINS[name], name, value))
        else:
            raise CookieError(
                f"says not whose cookie {name[:100]} is: write a list of objects with domain, "
                "name and value"
            )
    return flat
