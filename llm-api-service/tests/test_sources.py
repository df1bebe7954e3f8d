"""Source marks go, and nothing else does."""

from __future__ import annotations

import re
import time

from conftest import MakeClient, provider
from fake_upstream import FakeUpstream
from hypothesis import assume, given
from hypothesis import strategies as some

from llm_api.sources import remove_sources

NUMBERS = some.integers(1, 999)
URLS = some.from_regex(r"https?://[a-z.]{1,9}/[a-z0-9?=&_-]{0,9}", fullmatch=True)
MARKS = some.one_of(
    NUMBERS.map("[^{}^]".format),
    some.builds("[^{}^][{}]".format, NUMBERS, NUMBERS),
    some.builds("[[{}]]({})".format, NUMBERS, URLS),
)
TITLES = some.sampled_from(["", "A page"])
DEFINITIONS = some.builds('[{}]: {} "{}"\n'.format, NUMBERS, URLS, TITLES)
# Without a bracket, no part can make a mark of another.
PARTS = some.text(alphabet="abc .,:()\n", max_size=20)


def test_sources_go_if_asked_to(make_client: MakeClient, upstream: FakeUpstream) -> None:
    upstream.text = "Paris[^1^][1].\n\nIt is on the Seine.\n[1]: https://a.example"
    removed = make_client(provider("p", upstream)).get("/?text=Hi").text
    assert removed == "Paris.\n\nIt is on the Seine.\n"
    kept = make_client(provider("p", upstream), remove_sources=False).get("/?text=Hi").text
    assert kept == upstream.text


def test_the_definitions_may_come_first() -> None:
    text = '[1]: https://a.example "A"\n[2]: https://b.example ""\n\nParis[^1^][1].\n\nIt is big.\n'
    assert remove_sources(text) == "Paris.\n\nIt is big.\n"


def test_hostile_texts_take_no_time() -> None:
    began = time.monotonic()
    for hostile in ("[[1]](", "[^1^][", "[1]: <http", " \t"):
        remove_sources(hostile * 50_000)
    assert time.monotonic() - began < 5


def test_which_marks_go() -> None:
    kept = "Two points:\n[1]: the first\n[2] the second, see [a](https://a.example)\n"
    assert remove_sources(kept) == kept
    assert remove_sources("a[[2]](https://b.example/x) b[^3^] c [4] d[1]") == "a b c [4] d[1]"


@given(some.text(alphabet="[]()^:/ht p12\nx") | some.text())
def test_a_text_without_marks_is_left_alone(text: str) -> None:
    assume("[^" not in text and "[[" not in text and "http" not in text)
    assert remove_sources(text) == text


@given(some.lists(PARTS, min_size=1, max_size=8), some.data())
def test_only_the_marks_go(parts: list[str], data: some.DataObject) -> None:
    text = parts[0] + "".join(data.draw(MARKS) + part for part in parts[1:])
    assert remove_sources(text) == "".join(parts)


@given(some.lists(PARTS, min_size=1, max_size=8), some.data())
def test_only_the_definitions_go(parts: list[str], data: some.DataObject) -> None:
    lines = [f"{part}\n" for part in parts]
    text = lines[0] + "".join(data.draw(DEFINITIONS) + line for line in lines[1:])
    assert remove_sources(text) == "".join(lines)


@given(some.text(alphabet="[]()^:/htps 12\nx"))
def test_nothing_is_made_up(text: str) -> None:
    rest = iter(text)
    assert all(character in rest for character in remove_sources(text))


@given(some.lists(some.text(alphabet="abc ", min_size=1), min_size=1, max_size=6), DEFINITIONS)
def test_no_paragraph_is_lost(paragraphs: list[str], definition: str) -> None:
    text = "[^1^][1]\n\n".join(paragraphs) + "[^1^][1]\n\n" + definition
    kept = re.split(r"\n\n", remove_sources(text).removesuffix("\n\n"))
    assert kept == paragraphs
