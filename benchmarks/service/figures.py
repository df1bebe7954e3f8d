"""From samples to figures, and from figures to tables."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

NONE = "-"


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below or at which `share` of `values` lies; NaN for none."""
    if not values:
        return math.nan
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def median(values: Sequence[float]) -> float:
    """Return the middle of `values`, or of its two middle ones the mean; NaN for none."""
    if not values:
        return math.nan
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def plain(value: float | None) -> str:
    """Return `value` with three digits, for a table."""
    if value is None or math.isnan(value):
        return NONE
    if abs(value) >= 100:  # noqa: PLR2004
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"  # noqa: PLR2004


def ratio(value: float | None, other: float | None) -> str:
    """Return how many times `other` the `value` is."""
    if value is None or not other or math.isnan(value) or math.isnan(other):
        return NONE
    return f"{value / other:.1f}x"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table that reads well as it is and as Markdown."""
    widths = [max(len(row[i]) for row in (header, *rows)) for i in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        padded = (
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        return f"| {' | '.join(padded)} |"

    rule = (("-" * width if i == 0 else "-" * (width - 1) + ":") for i, width in enumerate(widths))
    return "\n".join([line(header), f"| {' | '.join(rule)} |", *map(line, rows)])


def overview(figures: Mapping[str, Mapping[str, float]], peers: Sequence[str]) -> str:
    """Return the table of `figures`, by name and by system, with ours against each of `peers`."""
    systems = list(dict.fromkeys(name for by_system in figures.values() for name in by_system))
    header = ["figure", *systems]
    rows = []
    for name, by_system in figures.items():
        rows.append([name, *(plain(by_system.get(system)) for system in systems)])
    ours = next((name for name in systems if name.startswith("service")), None)
    against = [peer for peer in peers if peer in systems]
    if ours:
        header += [f"{ours} / {peer}" for peer in against]
        for row, by_system in zip(rows, figures.values(), strict=True):
            row += [ratio(by_system.get(ours), by_system.get(peer)) for peer in against]
    return table(header, rows)
