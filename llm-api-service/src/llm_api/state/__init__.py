"""The state that all replicas share."""

from llm_api.state.database import StateError
from llm_api.state.model import Snapshot, Token, UsageEntry, UsageTotal, User
from llm_api.state.state import State

__all__ = ["Snapshot", "State", "StateError", "Token", "UsageEntry", "UsageTotal", "User"]
