"""Who may ask, and how much: tokens, and their limits."""

from __future__ import annotations

import asyncio
import hmac
import math
import time
from collections.abc import Iterator, Mapping

from flask import Flask, Response, g, request

from llm_api.caller import ANONYMOUS, Caller, current_caller
from llm_api.errors import ApiError
from llm_api.service import Service, current_service
from llm_api.state import State, Token
from llm_api.state.admissions import Admission
from llm_api.state.tokens import digest_of

__all__ = ["ANONYMOUS", "Caller", "current_caller", "register"]

# Blueprints that need no token: they tell nothing, or ask for a password.
PUBLIC = frozenset({"health", "description", "generatetoken", "login", "settings"})
LEGACY = "legacy"
FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")
DAY = 86_400
MINUTE, HOUR = 60, 3600


def register(app: Flask) -> None:
    """Let `app` know its callers as `g.caller`, and refuse those that may not ask."""

    @app.before_request
    async def identify() -> None:
        g.caller = ANONYMOUS
        if request.endpoint in (None, "static") or _is_public():
            return
        service = current_service()
        snapshot = service.state.snapshot
        token = _token(snapshot.tokens)
        if token:
            users = snapshot.users if snapshot.settings.virtual_users else {}
            g.caller = Caller(token, users.get(token.id))
            if _asks():
                await _admit(service, token)
        elif snapshot.settings.private_mode:
            raise ApiError(
                401,
                "This needs a valid token: send it as Authorization: Bearer, or as x-api-key.",
                code="invalid_api_key",
            )

    @app.after_request
    def tell(response: Response) -> Response:
        if response.status_code == 401 and not _is_public():  # noqa: PLR2004
            response.headers["WWW-Authenticate"] = "Bearer"
        for name, value in g.get("limits", {}).items():
            response.headers[f"x-ratelimit-{name}"] = value
        return response


def _is_public() -> bool:
    return not PUBLIC.isdisjoint(request.blueprints)


def _token(tokens: Mapping[str, Token]) -> Token | None:
    """Return the valid token that the current request brings."""
    for secret in _secrets():
        digest = digest_of(secret)
        token = tokens.get(digest)
        if token and hmac.compare_digest(token.digest, digest) and token.valid:
            return token
    return None


def _secrets() -> Iterator[str]:
    environ = request.environ
    scheme, _, secret = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    if scheme.lower() == "bearer" and secret.strip():
        yield secret.strip()
    if secret := environ.get("HTTP_X_API_KEY", "").strip():
        yield secret
    if environ["QUERY_STRING"] and (secret := request.args.get("token", "")):
        yield secret
    # Elsewhere the body is JSON, and read once.
    if request.blueprint == LEGACY and request.mimetype in FORMS:
        yield from filter(None, [request.form.get("token", "")])


def _asks() -> bool:
    """Return whether the request asks a provider, and so counts."""
    return request.method == "POST" or request.path == "/"


async def _admit(service: Service, token: Token) -> None:
    """Count the request.

    Raises:
        ApiError: 429, a limit of the token is reached.
    """
    if token.tokens_per_day:
        _check_tokens(service.state, token)
    if token.requests_per_minute:
        # Now and then it has to ask the database.
        admission = await asyncio.to_thread(service.state.admissions.admit, token)
        _note(_of_requests(admission))
        if not admission.allowed:
            raise _too_many(
                f"This token may ask {admission.limit} times a minute.", admission.reset
            )


def _of_requests(admission: Admission) -> dict[str, str]:
    return {
        "limit-requests": str(admission.limit),
        "remaining-requests": str(admission.remaining),
        "reset-requests": _duration(admission.reset),
    }


def _check_tokens(state: State, token: Token) -> None:
    used = state.usage.of_today(token.id)
    limit, reset = token.tokens_per_day, DAY - time.time() % DAY
    _note(
        {
            "limit-tokens": str(limit),
            "remaining-tokens": str(max(0, limit - used)),
            "reset-tokens": _duration(reset),
        }
    )
    if used >= limit:
        raise _too_many(f"This token may use {limit} LLM tokens a day (UTC).", reset)


def _note(limits: Mapping[str, str]) -> None:
    g.limits = {**g.get("limits", {}), **limits}


def _too_many(message: str, reset: float) -> ApiError:
    wait = max(1, math.ceil(reset))
    return ApiError(429, message, code="rate_limit_exceeded", retry_after=wait)


def _duration(seconds: float) -> str:
    """Return `seconds` as OpenAI writes them, such as 1h2m3s."""
    whole = max(1, math.ceil(seconds))
    parts = (whole // HOUR, "h"), (whole % HOUR // MINUTE, "m"), (whole % MINUTE, "s")
    first = next(i for i, (number, _) in enumerate(parts) if number)
    return "".join(f"{number}{unit}" for number, unit in parts[first:])
