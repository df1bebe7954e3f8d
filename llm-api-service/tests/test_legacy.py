"""Free-GPT4-WEB-API's protocol, and the removal of source marks."""

from __future__ import annotations

import json
import time

from conftest import MakeClient, provider
from fake_upstream import FakeUpstream
from flask.testing import FlaskClient
from hypothesis import assume, given
from hypothesis import strategies as st

from llm_api.sources import remove_sources


def test_a_question(client: FlaskClient, upstream: FakeUpstream) -> None:
    response = client.get("/?text=How+are+you%3F")
    assert response.text == "Hello"
    assert response.mimetype == "text/plain"
    assert response.headers["X-Provider"] == "first"
    assert json.loads(upstream.requests[0])["messages"][0]["content"] == "How are you?"


def test_no_question(client: FlaskClient, upstream: FakeUpstream) -> None:
    for path in ("/", "/?text=", "/?text=+"):
        response = client.get(path)
        assert response.status_code == 200
        assert response.text == "<p id='response'>Please enter a question</p>"
    assert upstream.requests == []


def test_failures_have_their_status(client: FlaskClient, upstream: FakeUpstream) -> None:
    upstream.status = 500
    assert client.get("/?text=Hi").status_code == 504
    upstream.status = 400
    assert client.get("/?text=Hi").status_code == 400


def test_sources_go_if_asked_to(make_client: MakeClient, upstream: FakeUpstream) -> None:
    upstream.text = "Paris[^1^][1].\n\nIt is on the Seine.\n[1]: https://a.example"
    removed = make_client(provider("p", upstream)).get("/?text=Hi").text
    assert removed == "Paris.\n\nIt is on the Seine.\n"
    kept = make_client(provider("p", upstream), remove_sources=False).get("/?text=Hi").text
    assert kept == upstream.text


def test_hostile_texts_take_no_time() -> None:
    began = time.monotonic()
    for hostile in ("[[1]](", "[^1^][", "[1]: <http", " \t"):
        remove_sources(hostile * 50_000)
    assert time.monotonic() - began < 5


def test_which_marks_go() -> None:
    kept = "Two points:\n[1]: the first\n[2] the second, see [a](https://a.example)\n"
    assert remove_sources(kept) == kept
    assert remove_sources("a[[2]](https://b.example/x) b[^3^] c [4] d[1]") == "a b c [4] d[1]"


@given(st.text(alphabet="[]()^:/ht p12\nx") | st.text())
def test_a_text_without_marks_is_left_alone(text: str) -> None:
    assume("[^" not in text and "[[" not in text and "http" not in text)
    assert remove_sources(text) == text


@given(st.lists(st.text(alphabet="abc \n.", max_size=20), max_size=5))
def test_only_the_marks_go(parts: list[str]) -> None:
    assert remove_sources("[^1^][2]".join(parts)) == "".join(parts)
