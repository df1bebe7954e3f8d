"""Free-GPT4-WEB-API's protocol: a question in the query or in a form, the answer as plain text."""

from __future__ import annotations

import asyncio
import logging
from http import HTTPStatus

from flask import Blueprint, Response, request

from llm_api import chat_request
from llm_api.access import FORMS
from llm_api.caller import current_caller
from llm_api.dialects import free_gpt4
from llm_api.errors import ApiError
from llm_api.providers.base import RefusedError
from llm_api.routes.answers import ask, error_of
from llm_api.service import current_service, current_settings
from llm_api.sources import remove_sources
from llm_api.state import StateError
from llm_api.stream import Stream

logger = logging.getLogger(__name__)

PATH = "/"
FILE = "file"
HTML, TEXT = "text/html; charset=utf-8", "text/plain; charset=utf-8"
# What providers say to a conversation that is too long for the model.
TOO_LONG = (HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)

blueprint = Blueprint("legacy", __name__)


def error(status: int, message: str) -> Response:
    """Return the answer to an error, in the old words."""
    shown = HTTPStatus.OK if current_service().settings.legacy_statuses else status
    return Response(free_gpt4.error_page(status, message), shown, content_type=HTML)


@blueprint.get(PATH)
async def answer_query() -> Response:
    """Answer the question in the query."""
    return await _answer(request.args.get(current_settings().keyword, ""))


@blueprint.post(PATH)
async def answer_form() -> Response:
    """Answer the question in the form, or in the query, with the file that comes with it."""
    if request.mimetype and request.mimetype not in FORMS:
        raise ApiError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            f"The body must be a form: {' or '.join(FORMS)}.",
            code="unsupported_media_type",
        )
    asked = request.values.get(current_settings().keyword, "")
    return await _answer(free_gpt4.question(asked, _file()))


def _file() -> str:
    """Return the text of the file in the form; empty if there is none."""
    uploaded = request.files.get(FILE)
    # A browser sends an empty one where none was chosen.
    if uploaded is None or not (data := uploaded.read()):
        return ""
    if not current_settings().file_input:
        message = "Files are not taken here: the setting file_input is off."
        raise ApiError(HTTPStatus.FORBIDDEN, message, code="file_input_off", param=FILE)
    return free_gpt4.read_file(data)


async def _answer(question: str) -> Response:
    if not question.strip():
        return Response(free_gpt4.page(free_gpt4.NO_QUESTION), content_type=HTML)
    settings = current_settings()
    history = current_service().state.history
    # Nobody has no history.
    owner = current_caller().owner if settings.message_history else ""
    asked = {"role": "user", "content": question}
    earlier = await asyncio.to_thread(history.read, owner) if owner else []
    async with await _ask(free_gpt4.from_question(earlier), asked) as stream:
        text = free_gpt4.answer(await stream.read())
    if settings.remove_sources:
        text = remove_sources(text)
    if owner and text.strip():
        said = {"role": "assistant", "content": text}
        try:
            await asyncio.to_thread(history.append, owner, [asked, said])
        except StateError as reason:
            logger.warning("an answer is not remembered: %s", reason)
    response = Response(text, content_type=TEXT)
    response.headers["Cache-Control"] = "no-store"
    return response


async def _ask(earlier: list[dict[str, str]], asked: dict[str, str]) -> Stream:
    """Return the answer to `asked` after `earlier` messages, or fewer, if they are too many.

    Raises:
        ApiError: nobody answered, or a provider refused the question.
    """
    settings = current_settings()
    while True:
        body = {"messages": [*earlier, asked]}
        try:
            return await ask(
                chat_request.from_body(
                    body, model=settings.model, system_prompt=settings.system_prompt
                )
            )
        except RefusedError as refusal:
            if not earlier or refusal.status not in TOO_LONG:
                raise error_of(refusal) from refusal
            earlier = free_gpt4.latter_half(earlier)
