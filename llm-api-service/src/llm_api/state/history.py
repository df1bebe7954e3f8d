"""Conversations, bounded for each owner."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import delete, select

from llm_api.state.database import Database
from llm_api.state.schema import history

# For all conversations of an owner together; the oldest messages go first.
MOST_MESSAGES = 200
MOST_CHARACTERS = 400_000


class History:
    """The messages in the database. An owner without a name has none."""

    def __init__(
        self,
        database: Database,
        most_messages: int = MOST_MESSAGES,
        most_characters: int = MOST_CHARACTERS,
    ) -> None:
        """Keep at most so much for each owner."""
        self._database = database
        self._most_messages = most_messages
        self._most_characters = most_characters

    def read(self, owner: str, conversation: str = "") -> list[dict[str, Any]]:
        """Return the messages, the oldest first.

        Raises:
            StateError: the database cannot be reached.
        """
        if not owner:
            return []
        statement = (
            select(history.c.message)
            .where(history.c.owner == owner, history.c.conversation == conversation)
            .order_by(history.c.id)
        )
        with self._database.read() as connection:
            return [json.loads(text) for text in connection.execute(statement).scalars()]

    def append(
        self, owner: str, messages: Sequence[Mapping[str, Any]], conversation: str = ""
    ) -> None:
        """Add `messages`, which stay together whoever else appends.

        Raises:
            StateError: the database cannot be reached.
        """
        if not owner or not messages:
            return
        texts = [json.dumps(dict(message)) for message in messages]
        rows = [
            {"owner": owner, "conversation": conversation, "message": text, "size": len(text)}
            for text in texts
        ]
        sizes = (
            select(history.c.id, history.c.size)
            .where(history.c.owner == owner)
            .order_by(history.c.id.desc())
        )
        with self._database.write() as connection:
            self._database.alone(connection, f"history {owner}")
            connection.execute(history.insert(), rows)
            characters = 0
            for count, (row_id, size) in enumerate(connection.execute(sizes).all(), start=1):
                characters += size
                if count > self._most_messages or characters > self._most_characters:
                    old = delete(history).where(history.c.owner == owner, history.c.id <= row_id)
                    connection.execute(old)
                    break

    def clear(self, owner: str) -> None:
        """Forget all that `owner` has.

        Raises:
            StateError: the database cannot be reached.
        """
        with self._database.write() as connection:
            connection.execute(delete(history).where(history.c.owner == owner))
