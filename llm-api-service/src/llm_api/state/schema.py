"""The tables. Times are seconds since 1970 in UTC; lists and texts of others are kept as JSON."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
)

metadata = MetaData()
# SQLite counts up by itself only in a column that is called INTEGER.
_Id = BigInteger().with_variant(Integer, "sqlite")

# One row: which change the replicas have to have seen.
revision = Table(
    "revision",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("value", BigInteger, nullable=False),
)
# What the service keeps for itself: the secret key, the hash of the settings page's password.
meta = Table(
    "meta",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("value", Text, nullable=False),
)
settings = Table(
    "settings",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("value", Text, nullable=False),
)
tokens = Table(
    "tokens",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("name", String(200), nullable=False),
    Column("digest", String(64), nullable=False, unique=True),
    Column("created", Float, nullable=False),
    Column("expires", Float),
    Column("revoked", Float),
    Column("models", Text, nullable=False),
    Column("providers", Text, nullable=False),
    Column("requests_per_minute", Integer, nullable=False),
    Column("tokens_per_day", BigInteger, nullable=False),
)
users = Table(
    "users",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("username", String(50), nullable=False, unique=True),
    Column("password_hash", Text, nullable=False),
    Column("token_id", _Id, ForeignKey("tokens.id"), unique=True),
    Column("provider", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("system_prompt", Text, nullable=False),
    Column("message_history", Boolean, nullable=False),
)
history = Table(
    "history",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("owner", String(100), nullable=False),
    Column("conversation", String(200), nullable=False),
    Column("message", Text, nullable=False),
    Column("size", Integer, nullable=False),
    Index("history_owner", "owner", "id"),
)
usage = Table(
    "usage",
    metadata,
    # Hours since 1970.
    Column("hour", Integer, primary_key=True),
    # 0 is nobody's.
    Column("token_id", _Id, primary_key=True, autoincrement=False),
    Column("model", String(200), primary_key=True),
    Column("provider", String(200), primary_key=True),
    Column("status", Integer, primary_key=True),
    Column("requests", BigInteger, nullable=False),
    Column("prompt_tokens", BigInteger, nullable=False),
    Column("completion_tokens", BigInteger, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("first_byte_seconds", Float, nullable=False),
)
# How many requests of a minute have been handed out to replicas.
admissions = Table(
    "admissions",
    metadata,
    Column("token_id", _Id, primary_key=True, autoincrement=False),
    # Minutes since 1970.
    Column("minute", Integer, primary_key=True),
    Column("used", Integer, nullable=False),
)
sessions = Table(
    "sessions",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("username", String(200), nullable=False),
    Column("expires", Float, nullable=False),
)
logins = Table(
    "logins",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("since", Float, nullable=False),
)
