"""Events pass whole and unchanged, however they are cut."""

from __future__ import annotations

from itertools import pairwise

import pytest
from fake_upstream import EVENTS
from hypothesis import given
from hypothesis import strategies as st

from llm_api.providers.sse import WholeEvents, payloads

LF = b"".join(EVENTS)
CRLF = LF.replace(b"\n", b"\r\n")


@given(st.sampled_from([LF, CRLF]), st.sets(st.integers(0, len(CRLF))))
def test_any_cut_gives_the_same_bytes(data: bytes, cuts: set[int]) -> None:
    events = WholeEvents()
    edges = [0, *sorted(cut for cut in cuts if cut < len(data)), len(data)]
    passed = [events.take(data[a:b]) for a, b in pairwise(edges)]
    assert all(part.endswith((b"\n\n", b"\r\n\r\n")) for part in passed if part)
    assert b"".join(passed) == data
    assert events.end() == b""


@given(st.lists(st.binary(max_size=20), max_size=10))
def test_any_bytes_pass(chunks: list[bytes]) -> None:
    events = WholeEvents()
    passed = b"".join(map(events.take, chunks))
    whole = b"".join(chunks)
    assert whole.startswith(passed)
    assert len(whole) - len(passed) == events.waiting
    assert b"\n\n" not in whole[len(passed) :]
    list(payloads(whole))


LINES = st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]))


@given(st.lists(LINES | st.none()), st.sampled_from(["\n", "\r\n"]))
def test_what_was_sent_is_read(sent: list[str | None], newline: str) -> None:
    blocks = [": comment" if line is None else f"data: {line}" for line in sent]
    data = "".join(block + 2 * newline for block in blocks).encode()
    assert list(payloads(data)) == [line.encode() for line in sent if line is not None]


def test_an_event_may_have_more_than_data() -> None:
    data = b"event: x\nid: 1\ndata:a\ndata: b\n\nretry: 1\n\n"
    assert list(payloads(data)) == [b"a\nb"]


@pytest.mark.parametrize(
    ("data", "proper"),
    [
        (LF, True),
        (LF.rstrip(), True),
        (LF.replace(b": [DONE]", b":[DONE]"), True),
        (EVENTS[0], False),
        (b'data: {"content":"data: [DONE]"}\n\n', False),
        (b"", False),
    ],
)
def test_what_a_proper_end_is(data: bytes, proper: bool) -> None:
    events = WholeEvents()
    passed = events.take(data)
    last = events.end()
    assert (last is not None) is proper
    assert not proper or passed + (last or b"") == data
