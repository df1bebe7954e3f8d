"""Reads the answers to chats: what they say, one item after the other, however they are written."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from llm_api.providers import sse

# Both are in use; the first is llama.cpp's and DeepSeek's.
REASONING = ("reasoning_content", "reasoning")


@dataclass(frozen=True)
class Text:
    """More of the answer's text."""

    text: str


@dataclass(frozen=True)
class Reasoning:
    """More of what the model thinks before it answers."""

    text: str


@dataclass(frozen=True)
class Refusal:
    """More of the text in which the model says that it will not answer."""

    text: str


@dataclass(frozen=True)
class Call:
    """The beginning of a call of a function."""

    id: str
    name: str


@dataclass(frozen=True)
class Arguments:
    """More of the arguments of the last call, in JSON."""

    text: str


@dataclass(frozen=True)
class Finish:
    """Why the answer ends, in the words of OpenAI's protocol."""

    reason: str
    stop: str | None = None
    """The stop sequence that ended it, where the provider says so."""


@dataclass(frozen=True)
class Usage:
    """How many tokens it took."""

    prompt: int
    completion: int
    cached: int = 0
    """Those of the prompt that were in a cache."""
    reasoning: int = 0
    """Those of the completion that are reasoning."""


@dataclass(frozen=True)
class Failure:
    """The provider failed. What follows does not count."""

    message: str


@dataclass(frozen=True)
class Alive:
    """Nothing new, except that somebody is still there."""


Item = Text | Reasoning | Refusal | Call | Arguments | Finish | Usage | Failure | Alive


class Reader:
    """Reads one answer, as a stream of events or whole, and takes any JSON for it."""

    def __init__(self) -> None:
        """Start at the beginning of an answer."""
        self._calls = _Calls()

    def events(self, data: bytes) -> Iterator[Item]:
        """Yield what the whole events in `data` say."""
        silent = True
        for payload in sse.payloads(data):
            silent = False
            if payload != sse.DONE_PAYLOAD:
                yield from self._answer(payload, "delta")
        if silent and data:
            yield Alive()

    def whole(self, data: bytes) -> Iterator[Item]:
        """Yield what the JSON object `data`, which is a whole answer, says."""
        yield from self._answer(data, "message")

    def end(self) -> Iterator[Item]:
        """Yield what is wrong with the answer if it ends here."""
        yield from self._calls.end()

    def _answer(self, data: bytes, part: str) -> Iterator[Item]:
        try:
            answer = json.loads(data)
        except (ValueError, RecursionError):
            answer = None
        if not isinstance(answer, dict):
            yield Failure("The provider's answer is no JSON object.")
            return
        if error := answer.get("error"):
            message = _object(error).get("message") or error
            yield Failure(message if isinstance(message, str) else "The provider failed.")
            return
        choices = answer.get("choices")
        if not isinstance(choices, list):
            choices = []
        if part == "message" and not choices:
            yield Failure("The provider's answer is no chat completion.")
        for choice in map(_object, choices):
            # One answer was asked for.
            if not choice.get("index"):
                yield from self._choice(choice, _object(choice.get(part)))
        if usage := _object(answer.get("usage")):
            yield _usage(usage)

    def _choice(self, choice: Mapping[str, Any], said: Mapping[str, Any]) -> Iterator[Item]:
        for name in REASONING:
            if text := _text(said.get(name)):
                yield Reasoning(text)
                break
        if text := _text(said.get("content")):
            yield Text(text)
        if text := _text(said.get("refusal")):
            yield Refusal(text)
        calls = said.get("tool_calls")
        for call in calls if isinstance(calls, list) else []:
            yield from self._calls.take(_object(call))
        if reason := _text(choice.get("finish_reason")):
            yield Finish(reason, _text(choice.get("stop_reason")) or None)


class _Calls:
    """Puts calls together that come in pieces, one call after the other.

    A piece has the index of its call. Where providers leave that out, an id that has not been
    there yet or a name begins the next call.
    """

    def __init__(self) -> None:
        self._begun: list[Any] = []
        """The indices of the calls."""
        self._id = ""
        """The id of the last call, where the provider gave it one."""
        self._named = True
        self._held = ""
        """Arguments that came before the name."""

    def take(self, call: Mapping[str, Any]) -> Iterator[Item]:
        function = _object(call.get("function"))
        index, name, given = call.get("index"), _text(function.get("name")), _text(call.get("id"))
        if self._is_new(index, name, given):
            if index in self._begun and index != self._begun[-1]:
                yield Failure("The provider mixed up its tool calls.")
                return
            yield from self.end()
            self._begun.append(index)
            self._id, self._named, self._held = given, False, ""
        arguments = function.get("arguments")
        if isinstance(arguments, dict):
            arguments = json.dumps(arguments)
        self._held += _text(arguments)
        if name and not self._named:
            self._named = True
            yield Call(self._id or f"call_{uuid.uuid4().hex}", name)
        if self._named and self._held:
            yield Arguments(self._held)
            self._held = ""

    def end(self) -> Iterator[Item]:
        if not self._named:
            yield Failure("The provider called a tool without its name.")

    def _is_new(self, index: Any, name: str, given: str) -> bool:
        if not self._begun or index != self._begun[-1]:
            return True
        if given and self._id and given != self._id:
            return True
        return index is None and bool(name) and self._named


def _usage(usage: Mapping[str, Any]) -> Usage:
    return Usage(
        _count(usage.get("prompt_tokens")),
        _count(usage.get("completion_tokens")),
        _count(_object(usage.get("prompt_tokens_details")).get("cached_tokens")),
        _count(_object(usage.get("completion_tokens_details")).get("reasoning_tokens")),
    )


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _count(value: Any) -> int:
    return value if isinstance(value, int) and value > 0 else 0


def _text(value: Any) -> str:
    """Return the text `value`, or that of its parts."""
    if isinstance(value, list):
        return "".join(_text(_object(part).get("text")) for part in value)
    return value if isinstance(value, str) else ""
