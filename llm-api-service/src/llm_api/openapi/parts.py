"""What the descriptions of several endpoints have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from llm_api import header_limit
from llm_api.checks import Check, Schema, or_null, schema_of
from llm_api.providers import sse

Json = dict[str, Any]

INTRODUCTION = (
    "Point any client of OpenAI at `/v1` of this address. Models are listed at `/v1/models`; a "
    "request that names none gets the default.\n\n"
    "An answer comes from the first provider that begins to answer; `X-Provider` names it. "
    "`X-Request-ID` is kept from the request, if it has 8 to 64 letters, digits, and `.` `_` `-`, "
    "or made. Errors have the shape of OpenAI's, and a status that makes its clients raise the "
    "right exception.\n\n"
    "Where private mode is on, requests need a token."
)

SECURITY_SCHEMES: Json = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "As OpenAI's clients send it."},
    "api_key": {
        "type": "apiKey",
        "in": "header",
        "name": "x-api-key",
        "description": "As Anthropic's clients send it.",
    },
    "token": {
        "type": "apiKey",
        "in": "query",
        "name": "token",
        "description": "As Free-GPT4-WEB-API has it. Prefer a header: addresses end up in logs.",
    },
}
# The last means: none, where private mode is off.
SECURITY: list[Json] = [{"bearer": []}, {"api_key": []}, {"token": []}, {}]
# For what anybody may ask.
OPEN: list[Json] = []

HEADERS: Json = {
    "RequestId": {
        "description": "The request's id, which the service's log has, too.",
        "required": True,
        "schema": {"type": "string"},
    },
    "Provider": {
        "description": "The provider that answered.",
        "schema": {"type": "string"},
    },
    "RetryAfter": {
        "description": "Seconds after which it makes sense to try again.",
        "schema": {"type": "integer", "minimum": 0},
    },
}
PARAMETERS: Json = {
    "RequestId": {
        "name": "X-Request-ID",
        "in": "header",
        "description": "An id for the request, where the client has one.",
        "schema": {"type": "string"},
    }
}

SCHEMAS: Json = {
    "Error": {
        "type": "object",
        "required": ["error"],
        "properties": {
            "error": {
                "type": "object",
                "required": ["message"],
                "properties": {
                    "message": {"type": "string", "description": "What is wrong, for a person."},
                    "type": {
                        "type": ["string", "null"],
                        "description": "`invalid_request_error`, `rate_limit_error`, "
                        "`server_error`, or what the provider calls it.",
                    },
                    "param": {
                        "type": ["string", "null"],
                        "description": "The parameter at fault.",
                    },
                    "code": {
                        "type": ["string", "integer", "null"],
                        "description": "What is wrong, for a program.",
                    },
                },
            }
        },
    }
}


def ref(kind: str, name: str) -> Json:
    """Return a reference to a component."""
    return {"$ref": f"#/components/{kind}/{name}"}


def schema_ref(name: str) -> Json:
    """Return a reference to a schema."""
    return ref("schemas", name)


def answer(description: str, content: Mapping[str, Json], *, provider: bool = False) -> Json:
    """Return the description of a response.

    Args:
        description: what it means.
        content: its schema and examples, for each media type.
        provider: whether a provider gave it.
    """
    headers = {"X-Request-ID": ref("headers", "RequestId")}
    if provider:
        headers["X-Provider"] = ref("headers", "Provider")
    return {"description": description, "headers": headers, "content": dict(content)}


def json_answer(
    description: str, schema: Schema, *, provider: bool = False, example: object = None
) -> Json:
    """Return the description of a response that is JSON."""
    media = {"schema": schema} | ({"example": example} if example is not None else {})
    return answer(description, {"application/json": media}, provider=provider)


def whole_or_events(whole: str, event: str, *, first: Mapping[str, Any]) -> Json:
    """Return the description of an answer that is whole, or a stream of events with names.

    Args:
        whole: the schema of a whole answer.
        event: the schema of an event's data.
        first: one of these, as an example.
    """
    data = {
        "type": "string",
        "contentMediaType": "application/json",
        "contentSchema": schema_ref(event),
    }
    events = {
        "type": "object",
        "description": "One event of the stream.",
        "required": ["event", "data"],
        "properties": {"event": {"type": "string"}, "data": data},
    }
    example = f"event: {first['type']}\n{sse.event(first).decode()}"
    return answer(
        f"The answer: whole, or a stream of `{event}` where `stream` is true.",
        {
            "application/json": {"schema": schema_ref(whole)},
            "text/event-stream": {"schema": events, "example": example},
        },
        provider=True,
    )


# Status -> name, and what it means.
_ERRORS = {
    "400": (
        "BadRequest",
        "The request is faulty, and the error says where; or no provider of the model honours a "
        "parameter; or no provider does that at all.",
    ),
    "401": ("Unauthorized", "A token is needed, and there was none or an unknown one."),
    "403": ("Forbidden", "That is not allowed."),
    "404": ("NotFound", "There is no such thing."),
    "413": ("TooLarge", "The body is larger than it may be."),
    "415": ("Unsupported", "The body, or the file in it, is of no kind that is taken here."),
    "429": ("TooMany", "The token's limit is reached, or all providers are busy."),
    "431": ("HeaderTooLarge", f"A header has more than {header_limit.LARGEST} characters."),
    "4XX": (
        "Refused",
        "The provider that `X-Provider` names refused the request, and this is what it says.",
    ),
    "500": ("Failed", "The service failed. Its log says why."),
    "503": ("Unavailable", "This replica cannot take the request, another may."),
    "504": ("NobodyAnswered", "No provider answered."),
}
_RETRIED = ("429", "503", "504")


def _error(status: str, content: Mapping[str, Json]) -> Json:
    told = answer(_ERRORS[status][1], content)
    if status in _RETRIED:
        told["headers"]["Retry-After"] = ref("headers", "RetryAfter")
    return told


RESPONSES: Json = {
    name: _error(status, {"application/json": {"schema": schema_ref("Error")}})
    for status, (name, _) in _ERRORS.items()
}


def errors(*statuses: str, content: Mapping[str, Json] | None = None) -> Json:
    """Return the descriptions of the errors with `statuses`.

    `content` is the schema of their bodies for each media type, where that is not OpenAI's.
    """
    if content is None:
        return {status: ref("responses", _ERRORS[status][0]) for status in statuses}
    return {status: _error(status, content) for status in statuses}


def _errors(failures: Sequence[str] | Json) -> Json:
    return failures if isinstance(failures, dict) else errors(*failures)


ALWAYS = ("401", "403", "429", "431", "500")
"""Errors of every endpoint that may need a token."""
ASKING = ("400", "401", "403", "404", "413", "429", "431", "4XX", "500", "503", "504")
"""Errors of every endpoint that asks a provider."""


def body(checks: Mapping[str, Check], required: Sequence[str], about: Mapping[str, str]) -> Schema:
    """Return the schema of a request's body.

    Args:
        checks: what is checked about it.
        required: what it must have.
        about: what its parameters mean. All are allowed; unknown ones are the provider's to judge.
    """
    return described(schema_of(checks, required), about)


def described(schema: Schema, about: Mapping[str, str]) -> Schema:
    """Return `schema` with what its properties mean, which come in the order of `about`."""
    properties = {
        name: {**schema["properties"].get(name, or_null({})), "description": text}
        for name, text in about.items()
    }
    return {
        **schema,
        "properties": {
            **properties,
            **{name: value for name, value in schema["properties"].items() if name not in about},
        },
    }


def asking(
    name: str,
    summary: str,
    description: str,
    tag: str,
    *,
    schema: Schema,
    examples: Json,
    ok: Json,
    failures: Json | None = None,
) -> Json:
    """Return the description of a POST of JSON.

    Args:
        name: its identifier, for programs that are made from the description.
        summary: what it does, in a few words.
        description: the same, in some sentences.
        tag: the group it belongs to.
        schema: of its body.
        examples: of its body.
        ok: the response 200.
        failures: its errors, where they are not those of OpenAI's protocol.
    """
    content = {"application/json": {"schema": schema, "examples": examples}}
    return {
        "post": {
            "operationId": name,
            "summary": summary,
            "description": description,
            "tags": [tag],
            "parameters": [ref("parameters", "RequestId")],
            "requestBody": {"required": True, "content": content},
            "responses": {"200": ok, **(failures or errors(*ASKING))},
        }
    }


def reading(
    name: str,
    summary: str,
    tag: str,
    *,
    ok: Json,
    failures: Sequence[str] | Json = ALWAYS,
    parameters: Sequence[Json] = (),
    needs_token: bool = True,
) -> Json:
    """Return the description of a GET.

    Args:
        name: its identifier, for programs that are made from the description.
        summary: what it does, in a few words.
        tag: the group it belongs to.
        ok: the response 200.
        failures: the statuses of its errors, or the errors where they are not OpenAI's.
        parameters: what it takes.
        needs_token: whether private mode asks for a token here.
    """
    described: Json = {
        "operationId": name,
        "summary": summary,
        "tags": [tag],
        "parameters": [*parameters, ref("parameters", "RequestId")],
        "responses": {"200": ok, **_errors(failures)},
    }
    return {"get": described | ({} if needs_token else {"security": OPEN})}
