"""The description of the interface as a page for people."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from flask import render_template
from markupsafe import Markup, escape

from llm_api.openapi.parts import Json

CODE = re.compile(r"`([^`]+)`")
# How deep the parts of a body are shown.
DEPTH = 5


@dataclass(frozen=True)
class Row:
    """A parameter, or a part of a body or answer."""

    name: str
    kind: str
    about: Markup
    required: bool = False
    rows: list[Row] = field(default_factory=list)
    """Its own parts."""


@dataclass(frozen=True)
class Response:
    """What an endpoint may answer."""

    status: str
    about: Markup
    media: list[tuple[str, list[Row]]]


@dataclass(frozen=True)
class Endpoint:
    """A path and a method."""

    id: str
    method: str
    path: str
    summary: str
    about: Markup
    parameters: list[Row]
    body: list[Row]
    examples: list[tuple[str, str]]
    responses: list[Response]


@dataclass(frozen=True)
class Group:
    """The endpoints of a protocol."""

    name: str
    about: Markup
    endpoints: list[Endpoint]


def render(description: Json) -> str:
    """Return the page that shows `description`."""
    page = _Page(description)
    return render_template(
        "openapi.html",
        info=description["info"],
        about=prose(description["info"]["description"]),
        schemes=[
            Row(scheme.get("name", "Authorization"), _place(scheme), prose(scheme["description"]))
            for scheme in description["components"]["securitySchemes"].values()
        ],
        groups=list(page.groups()),
    )


def prose(text: str) -> Markup:
    """Return `text` as HTML, with its paragraphs and its `code`."""
    paragraphs = [CODE.sub(r"<code>\1</code>", str(escape(part))) for part in text.split("\n\n")]
    return Markup("<br><br>").join(Markup(part) for part in paragraphs)  # noqa: S704 (escaped)


def kind_of(schema: Json) -> str:
    """Return in words what values are good for `schema`; that null is one goes without saying."""
    if "$ref" in schema:
        return _name(schema)
    if "const" in schema:
        return json.dumps(schema["const"])
    if "enum" in schema:
        return " or ".join(json.dumps(value) for value in schema["enum"])
    if "anyOf" in schema and schema.get("type") != "object":
        kinds = (kind_of(part) for part in schema["anyOf"] if part != {"type": "null"})
        return " or ".join(dict.fromkeys(kind for kind in kinds if kind))
    types = schema.get("type", [])
    names = [types] if isinstance(types, str) else types
    return " or ".join(_kind(name, schema) for name in names if name != "null")


def _kind(name: str, schema: Json) -> str:
    if name == "array":
        of = kind_of(schema.get("items", {}))
        return f"list of {of}" if of else "list"
    if name in ("integer", "number"):
        low, high = schema.get("minimum"), schema.get("maximum")
        word = "whole number" if name == "integer" else "number"
        # The largest are there only so that they fit into what reads them.
        if high is None or high >= 2**31:
            return word if low is None or low < -(2**31) else f"{word} from {low}"
        return f"{word} from {low} to {high}"
    return {"string": "text", "boolean": "true or false"}.get(name, name)


def _name(schema: Json) -> str:
    return str(schema["$ref"]).rpartition("/")[2]


def _place(scheme: Json) -> str:
    if scheme["type"] == "http":
        return "header, as Bearer TOKEN"
    return f"{scheme['in']}, as it is"


class _Page:
    def __init__(self, description: Json) -> None:
        self._description = description

    def groups(self) -> Iterator[Group]:
        for tag in self._description["tags"]:
            endpoints = [
                self._endpoint(method, path, told)
                for path, item in self._description["paths"].items()
                for method, told in item.items()
                if tag["name"] in told["tags"]
            ]
            yield Group(tag["name"], prose(tag["description"]), endpoints)

    def _endpoint(self, method: str, path: str, told: Json) -> Endpoint:
        content = told.get("requestBody", {}).get("content", {})
        # Forms of several kinds have the same fields.
        body = {r.name: r for media in content.values() for r in self._rows(media["schema"])}
        parameters = [self._resolved(parameter) for parameter in told.get("parameters", [])]
        return Endpoint(
            id=told["operationId"],
            method=method.upper(),
            path=path,
            summary=told["summary"],
            about=prose(told.get("description", "")),
            parameters=[
                Row(
                    parameter["name"],
                    f"{parameter['in']}, {kind_of(parameter['schema'])}",
                    prose(parameter["description"]),
                    parameter.get("required", False),
                )
                for parameter in parameters
            ],
            body=list(body.values()),
            examples=list(_examples(method, path, content, parameters)),
            responses=[
                self._response(status, self._resolved(response))
                for status, response in told["responses"].items()
            ],
        )

    def _response(self, status: str, response: Json) -> Response:
        # All errors look the same; they are shown once.
        shown = response.get("content", {}) if status == "200" else {}
        media = [(name, self._rows(content["schema"])) for name, content in shown.items()]
        return Response(status, prose(response["description"]), media)

    def _rows(self, schema: Json, depth: int = DEPTH) -> list[Row]:
        """Return the parts of what is good for `schema`."""
        schema = self._resolved(schema)
        if depth == 0:
            return []
        if items := schema.get("items"):
            return self._rows(items, depth)
        rows = [
            self._row(name, part, name in schema.get("required", ()), depth)
            for name, part in schema.get("properties", {}).items()
        ]
        if rows or schema.get("type") == "object":
            return rows
        return [row for part in schema.get("anyOf", ()) for row in self._variant(part, depth)]

    def _variant(self, schema: Json, depth: int) -> list[Row]:
        """Return the parts of one of several schemas, under its name if it has one."""
        rows = self._rows(schema, depth)
        kind = schema.get("properties", {}).get("type", {})
        names = kind.get("enum", [kind["const"]] if "const" in kind else [])
        return [Row(f"type {names[0]}", "object", Markup(), rows=rows)] if names else rows

    def _row(self, name: str, schema: Json, required: bool, depth: int) -> Row:
        about = schema.get("description") or self._resolved(schema).get("description", "")
        rows = self._rows(schema, depth - 1)
        return Row(name, kind_of(schema), prose(about), required, rows)

    def _resolved(self, part: Json) -> Json:
        """Return what `part` refers to, or `part` if it refers to nothing."""
        while "$ref" in part:
            found: Any = self._description
            for name in part["$ref"].removeprefix("#/").split("/"):
                found = found[name]
            part = found
        return part


def _examples(
    method: str, path: str, content: Json, parameters: list[Json]
) -> Iterator[tuple[str, str]]:
    """Yield commands for a shell, each with a title."""
    for given in parameters:
        if given["in"] == "path":
            path = path.replace(f"{{{given['name']}}}", given["example"])
    command = f'curl "$URL{path}" -H "Authorization: Bearer $TOKEN"'
    if method == "get":
        query = [p for p in parameters if p["in"] == "query" and "example" in p]
        data = "".join(f" \\\n  --data-urlencode '{p['name']}={p['example']}'" for p in query)
        yield "Try it", command + (f" -G{data}" if data else "")
    for kind, media in content.items():
        for example in media.get("examples", {}).values():
            options = _options(kind, example["value"])
            yield example["summary"], " \\\n  ".join([command, *options])


def _options(kind: str, value: Json) -> Iterator[str]:
    """Yield the options of curl that send `value` as a body of that `kind`."""
    if kind == "application/json":
        data = json.dumps(value, ensure_ascii=False).replace("'", "'\\''")
        yield f'-H "Content-Type: {kind}"'
        yield f"-d '{data}'"
        return
    option = "-F" if kind == "multipart/form-data" else "--data-urlencode"
    for name, text in value.items():
        yield f"{option} '{name}={text}'"
