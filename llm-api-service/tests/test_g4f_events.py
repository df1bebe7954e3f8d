"""The reader of events that g4f's classes are given, beside the one of g4f that it replaces."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Sequence
from itertools import pairwise
from typing import Any
from unittest.mock import Mock

import pytest
from aiohttp import StreamReader
from aiohttp.base_protocol import BaseProtocol
from hypothesis import given
from hypothesis import strategies as st

from llm_api.providers import g4f
from llm_api.providers.g4f.events import sse_stream

EVENT = st.builds(lambda value: b"data: " + json.dumps(value).encode(), st.text() | st.integers())
LINE = EVENT | st.sampled_from(
    [b"", b"data:", b": still here", b"event: x", b'data:"y"', b"data: [DONE]"]
)
BODY = st.lists(st.tuples(LINE, st.sampled_from([b"\n", b"\r\n", b"\n\n"])))


def pieces_of(body: bytes, cuts: Sequence[int]) -> list[bytes]:
    places = [0, *sorted(cut % (len(body) + 1) for cut in cuts), len(body)]
    return [body[start:end] for start, end in pairwise(places)]


async def read(reader: Any, pieces: Sequence[bytes]) -> list[Any]:
    """Return what `reader` makes of a response whose body comes in `pieces`."""
    loop = asyncio.get_running_loop()
    protocol = Mock(BaseProtocol, connected=True)
    content = StreamReader(protocol, 2**16, loop=loop)

    async def feed() -> None:
        for piece in pieces:
            content.feed_data(piece)
            await asyncio.sleep(0)
        content.feed_eof()

    feeding = asyncio.create_task(feed())
    events = [event async for event in reader(Mock(content=content))]
    await feeding
    return events


@given(BODY, st.booleans(), st.lists(st.integers(0, 1000), max_size=5))
def test_events_are_the_same_however_they_come(
    lines: list[tuple[bytes, bytes]], ended: bool, cuts: list[int]
) -> None:
    g4f.load_class("Custom")
    from g4f import requests  # noqa: PLC0415 (after its home is set)

    body = b"".join(line + end for line, end in lines)
    body = body if ended else body.rstrip(b"\r\n")
    theirs = asyncio.run(read(requests.sse_stream, [body]))
    assert asyncio.run(read(sse_stream, pieces_of(body, cuts))) == theirs


@pytest.mark.parametrize("data", [b"data: {\n", b"data: \xff\n", b"data: {"])
def test_what_is_no_json_is_an_error(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        asyncio.run(read(sse_stream, [data]))


@pytest.mark.parametrize("ends", [True, False])
def test_the_end_of_a_body_is_waited_for_but_not_for_long(ends: bool) -> None:
    async def events() -> tuple[list[Any], bool]:
        content = StreamReader(
            Mock(BaseProtocol, connected=True), 2**16, loop=(loop := asyncio.get_running_loop())
        )
        content.feed_data(b"data: 1\n\ndata: [DONE]\n\n")
        if ends:
            loop.call_later(0.01, content.feed_eof)
        return [event async for event in sse_stream(Mock(content=content))], content.at_eof()

    assert asyncio.run(events()) == ([1], ends)


def test_lines_by_other_libraries_are_read_too() -> None:
    async def lines() -> AsyncIterator[bytes]:
        yield b'data: {"a": 1}'
        yield b"data: [DONE]"

    async def events() -> list[Any]:
        return [event async for event in sse_stream(lines())]

    assert asyncio.run(events()) == [{"a": 1}]


def test_classes_have_it() -> None:
    template = g4f.load_class("Custom").__mro__[1]
    assert template.__name__ == "OpenaiTemplate"
    assert sys.modules[template.__module__].sse_stream is sse_stream
