"""How templates write numbers and times."""

from __future__ import annotations

from datetime import UTC, datetime

from flask import Flask
from markupsafe import Markup

NOTHING = "\N{EN DASH}"


def register(app: Flask) -> None:
    """Give the templates of `app` the filters of this module."""
    for function in (moment, day, count, share, duration):
        app.add_template_filter(function)


def moment(seconds: float) -> Markup:
    """Return a time since 1970 to the minute."""
    return _time(seconds, "%Y-%m-%d %H:%M UTC")


def day(seconds: float) -> Markup:
    """Return a time since 1970 as its day."""
    return _time(seconds, "%Y-%m-%d")


def count(number: int) -> str:
    """Return a number with thin spaces between its thousands."""
    return f"{number:,}".replace(",", "\u202f")


def share(part: float | None) -> str:
    """Return a share from 0 to 1 in percent, rounded down so that 100 % are all."""
    return NOTHING if part is None else f"{int(part * 1000) / 10:g}\u202f%"


def duration(seconds: float | None) -> str:
    """Return a time that something took."""
    if seconds is None:
        return NOTHING
    return f"{seconds * 1000:.0f}\u202fms" if seconds < 1 else f"{seconds:.1f}\u202fs"


def _time(seconds: float, form: str) -> Markup:
    when = datetime.fromtimestamp(seconds, UTC)
    element = Markup('<time datetime="{}">{}</time>')
    return element.format(when.isoformat(timespec="seconds"), when.strftime(form))
