"""Who has used what."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from flask import Blueprint, render_template, request

from llm_api.service import current_service
from llm_api.state.usage import DAY, Usage

blueprint = Blueprint("usage", __name__)

MONTH = 30
PERIODS = ((1, "24 hours"), (7, "7 days"), (MONTH, "30 days"), (365, "a year"))


@dataclass(frozen=True)
class Used:
    """What a token has used."""

    requests: int = 0
    tokens: int = 0


@dataclass(frozen=True)
class Row:
    """A line of the table. Times are in seconds, for each request."""

    token: str
    model: str
    provider: str
    requests: int
    failed: int
    prompt_tokens: int
    completion_tokens: int
    seconds: float
    first_byte_seconds: float


@blueprint.get("/usage")
def show() -> str:
    """Show the usage of some days, the largest first."""
    state = current_service().state
    days = request.args.get("days", MONTH, type=int)
    if days not in dict(PERIODS):
        days = MONTH
    names = {token.id: token.name for token in state.tokens.list(revoked=True)}
    rows = [
        Row(
            names.get(total.token_id, ""),
            total.model,
            total.provider,
            total.requests,
            total.failed,
            total.prompt_tokens,
            total.completion_tokens,
            total.seconds / total.requests,
            total.first_byte_seconds / total.requests,
        )
        for total in state.usage.totals(time.time() - days * DAY)
    ]
    rows.sort(key=lambda row: -row.requests)
    return render_template("pages/usage.html", rows=rows, days=days, periods=PERIODS)


def used_by_token(usage: Usage, since: float) -> Mapping[int, Used]:
    """Return what each token has used since then.

    Raises:
        StateError: the database cannot be reached.
    """
    used: dict[int, Used] = {}
    for total in usage.totals(since):
        before = used.get(total.token_id, Used())
        tokens = total.prompt_tokens + total.completion_tokens
        used[total.token_id] = Used(before.requests + total.requests, before.tokens + tokens)
    return used
