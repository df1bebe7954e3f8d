"""How a provider has done lately, as the operator sees it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ProviderStatus:
    """One provider of the chain, and its last minutes in this replica. Times are in seconds."""

    name: str
    adapter: str
    state: str
    """`available`, `failing` (left alone for a moment), `offline` (there is no way to it), or
    `off` (not used at all, as `last_error` says)."""
    models: tuple[str, ...]
    under_way: int
    requests: int
    """How many ended within the window."""
    success_rate: float | None
    """Share of them that were answered, from 0 to 1; None if there were none."""
    first_byte_seconds: float | None
    """Median time until an answer began; None if none did."""
    last_error: str
    """Why the last failure within the window failed; empty if there was none."""
    last_error_at: float | None
    """When that was, in seconds since 1970."""
