"""Free-GPT4-WEB-API's protocol."""

from __future__ import annotations

from llm_api.openapi.parts import (
    ASKING,
    OPEN,
    Json,
    answer,
    errors,
    json_answer,
    reading,
    ref,
)

TAG = "Free-GPT4-WEB-API"
ABOUT = (
    "The protocol of the program that this service replaces, for its scripts. Errors are pages "
    "that say what is wrong, in the old words, and have a status that says it, too; with the "
    "setting `legacy_statuses` it is always 200. With the setting `message_history`, a caller with "
    "a token goes on with the conversation that its earlier questions began."
)

SCHEMAS: Json = {}

_QUESTION = "What is the capital of France?"
_TEXT = {"type": "string"}
_PAGE = {
    "text/html": {
        "schema": _TEXT,
        "example": "<p id='response'>Error: No provider answered (local: timeout).</p>",
    }
}
_ANSWER = answer(
    "The answer, as a text; or a page, where there is no question.",
    {
        "text/plain": {"schema": _TEXT, "example": "Paris"},
        "text/html": {
            "schema": _TEXT,
            "example": "<p id='response'>Please enter a question</p>",
        },
    },
    provider=True,
)
_FIELDS = {
    "text": {
        **_TEXT,
        "description": "The question. The setting `keyword` may give it another name.",
    },
    "token": {**_TEXT, "description": "The caller's token, where it is in no header."},
}
_FILE = {
    "file": {
        **_TEXT,
        "contentMediaType": "text/plain",
        "description": "A file of text in UTF-8, which comes after the question, or is it. The "
        "setting `file_input` may forbid files.",
    }
}


def _form(fields: Json, examples: Json) -> Json:
    return {"schema": {"type": "object", "properties": fields}, "examples": examples}


_TOKEN = answer(
    "A random UUID, version 4. It lets nobody in until an operator makes a token of it.",
    {"text/plain": {"schema": {**_TEXT, "format": "uuid"}}},
)


def _new_token(name: str) -> Json:
    return {
        "operationId": name,
        "summary": "Make up a token",
        "tags": [TAG],
        "parameters": [ref("parameters", "RequestId")],
        "responses": {"200": _TOKEN, **errors("431", "500")},
        "security": OPEN,
    }


PATHS: Json = {
    "/": {
        **reading(
            "ask",
            "Answer a question",
            TAG,
            parameters=[
                {
                    "name": "text",
                    "in": "query",
                    "description": _FIELDS["text"]["description"],
                    "schema": _TEXT,
                    "example": _QUESTION,
                }
            ],
            ok=_ANSWER,
            failures=errors(*ASKING, content=_PAGE),
        ),
        "post": {
            "operationId": "askWithForm",
            "summary": "Answer a question in a form",
            "description": "A file may come with it.",
            "tags": [TAG],
            "parameters": [ref("parameters", "RequestId")],
            "requestBody": {
                "content": {
                    "application/x-www-form-urlencoded": _form(
                        _FIELDS, {"question": {"summary": "A form", "value": {"text": _QUESTION}}}
                    ),
                    "multipart/form-data": _form(
                        {**_FIELDS, **_FILE},
                        {
                            "file": {
                                "summary": "A file",
                                "value": {"text": "What is this?", "file": "@notes.txt"},
                            }
                        },
                    ),
                }
            },
            "responses": {"200": _ANSWER, **errors(*ASKING, "415", content=_PAGE)},
        },
    },
    "/models": reading(
        "listModelNames",
        "List the models' names",
        TAG,
        parameters=[
            {
                "name": "provider",
                "in": "query",
                "description": "Whose models; all, where it is `Auto` or none. Of one that is not "
                "known, it is `default`.",
                "schema": _TEXT,
                "example": "local",
            }
        ],
        ok=json_answer(
            "The names.",
            {"type": "array", "items": {"type": "string"}},
            example=["smollm2-135m"],
        ),
    ),
    "/generatetoken": {"get": _new_token("newToken"), "post": _new_token("newTokenByPost")},
}
