"""What an answer took, read from its bytes as they pass."""

from __future__ import annotations

import json
import re

from llm_api.operations import Operation, Request

# Bytes of the end that are kept: the usage of a stream is in its last event but one.
TAIL = 4096
CHARACTERS_PER_TOKEN = 4
# In a text of the answer the quotes would be escaped.
PROMPT = re.compile(rb'"prompt_tokens"\s*:\s*(\d{1,15})\b')
COMPLETION = re.compile(rb'"completion_tokens"\s*:\s*(\d{1,15})\b')
TEXT = re.compile(rb'"(?:content|text|arguments)"\s*:\s*"((?:[^"\\]|\\.)*)"')
# Around the text of an answer that is whole.
FRAME = 300


class Meter:
    """Counts the bytes of one answer."""

    def __init__(self) -> None:
        """Begin with none."""
        self._size = 0
        self._events = 0
        self._head = b""
        self._tail = bytearray()

    def count(self, data: bytes) -> bytes:
        """Return `data`, having counted it."""
        self._size += len(data)
        self._events += data.count(b"data:")
        self._head = self._head or data[:TAIL]
        self._tail += data[-TAIL:]
        # Not each time, for this is done with every token.
        if len(self._tail) > 2 * TAIL:
            del self._tail[:-TAIL]
        return data

    def tokens(self, request: Request, asked: int) -> tuple[int, int]:
        """Return the tokens of the prompt and of the answer to `request`, a body of `asked` bytes.

        What the provider does not say is estimated.
        """
        for part in (self._tail, self._head):
            if prompt := PROMPT.findall(part):
                completion = COMPLETION.findall(part)
                return int(prompt[-1]), int(completion[-1]) if completion else 0
        if request.operation not in (Operation.CHAT, Operation.COMPLETIONS):
            return asked // CHARACTERS_PER_TOKEN, 0
        return asked // CHARACTERS_PER_TOKEN, self._characters() // CHARACTERS_PER_TOKEN

    def _characters(self) -> int:
        if not self._events:
            return max(0, self._size - FRAME)
        events = self._tail.count(b"data:")
        texts = sum(map(len, TEXT.findall(self._tail)))
        return texts * self._events // max(1, events)


def size_of(request: Request) -> int:
    """Return how many bytes the body of `request` has, about."""
    return len(json.dumps(request.body)) if request.raw is None else len(request.raw)
