"""What the state consists of, as the rest of the service sees it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from llm_api.settings import Settings


@dataclass(frozen=True)
class Token:
    """Somebody who may ask. Its secret is not kept, only the secret's digest."""

    id: int
    name: str
    digest: str = field(repr=False)
    created: float
    expires: float | None = None
    models: tuple[str, ...] = ()
    """What it may ask for. Empty means everything."""
    providers: tuple[str, ...] = ()
    """Whom it may ask. Empty means everybody."""
    requests_per_minute: int = 0
    """0 means no limit."""
    tokens_per_day: int = 0
    """0 means no limit."""
    revoked: float | None = None

    @property
    def valid(self) -> bool:
        """Whether it may be used now."""
        return self.revoked is None and (self.expires is None or time.time() < self.expires)


@dataclass(frozen=True)
class User:
    """A virtual user of the old protocol, whose values win over the settings where not empty."""

    id: int
    username: str
    password_hash: str = field(repr=False)
    token_id: int | None = None
    provider: str = ""
    model: str = ""
    system_prompt: str = ""
    message_history: bool = False


@dataclass(frozen=True)
class UsageEntry:
    """An answer, for the statistics. `token_id` 0 is nobody's."""

    token_id: int
    model: str
    provider: str
    status: int
    prompt_tokens: int
    completion_tokens: int
    seconds: float
    first_byte_seconds: float


@dataclass(frozen=True)
class UsageTotal:
    """The sums of some time for one token, model and provider. `failed` had a status from 400."""

    token_id: int
    model: str
    provider: str
    requests: int
    failed: int
    prompt_tokens: int
    completion_tokens: int
    seconds: float
    first_byte_seconds: float


@dataclass(frozen=True)
class Snapshot:
    """The state that requests need, as of one revision."""

    revision: int
    settings: Settings
    stored: Mapping[str, Any]
    """The settings that have been changed, as JSON has them."""
    tokens: Mapping[str, Token]
    """By the digest of the secret, without the revoked ones."""
    users: Mapping[int, User]
    """By the id of their token."""
