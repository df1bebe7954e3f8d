"""Free-GPT4-WEB-API's protocol: a question, which may come with a file, and pages for the rest."""

from __future__ import annotations

import json
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from markupsafe import escape

from llm_api.errors import ApiError

NO_QUESTION = "Please enter a question"
INVALID_TOKEN = "Invalid token"  # noqa: S105 (what is said about one)


def page(text: str) -> str:
    """Return the page that says `text`, as programs that read the old pages expect it."""
    return f"<p id='response'>{escape(text)}</p>"


def error_page(status: int, message: str) -> str:
    """Return the page for an error."""
    return page(INVALID_TOKEN if status == HTTPStatus.UNAUTHORIZED else f"Error: {message}")


def read_file(data: bytes) -> str:
    """Return the text in the file `data`.

    Raises:
        ApiError: 415, it is no text.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise ApiError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "The file is no text in UTF-8.",
            code="unsupported_file",
            param="file",
        )
    return text


def question(asked: str, file: str) -> str:
    """Return the question that was `asked` together with the text of a `file`; either may lack."""
    return "\n\n".join(part for part in (asked, file) if part.strip())


def answer(completion: bytes) -> str:
    """Return the text of the chat `completion`.

    Raises:
        ApiError: 504, it is none.
    """
    try:
        message: dict[str, Any] = json.loads(completion)["choices"][0]["message"]
        return str(message.get("content") or "")
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise ApiError(
            HTTPStatus.GATEWAY_TIMEOUT,
            "The provider's answer is no chat completion.",
            code="provider_unavailable",
        ) from error


def latter_half(messages: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the later half of `messages`, or less, so that it begins with a question."""
    return from_question(messages[(len(messages) + 1) // 2 :])


def from_question(messages: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return `messages` from the first question on: an answer alone would make no sense."""
    first = (i for i, message in enumerate(messages) if message["role"] == "user")
    return list(messages[next(first, len(messages)) :])
