"""Files that come with a question of the old protocol."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
import requests
from conftest import MakeClient, provider, run_service, state_of
from fake_upstream import FakeUpstream
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as some
from test_legacy import NO_QUESTION, asked, failed
from werkzeug.test import TestResponse

from llm_api.dialects import free_gpt4
from llm_api.errors import ApiError


def send(client: FlaskClient, data: bytes, name: str = "notes.txt", **form: str) -> TestResponse:
    return client.post("/", data={"file": (io.BytesIO(data), name), **form})


@pytest.mark.parametrize("name", ["notes.txt", "data.json", "noending", "script.py"])
def test_any_text_is_a_question(client: FlaskClient, upstream: FakeUpstream, name: str) -> None:
    assert send(client, "Wie heißt du?\r\n".encode(), name).text == "Hello"
    assert asked(upstream) == [{"role": "user", "content": "Wie heißt du?\r\n"}]


def test_a_file_comes_after_its_question(client: FlaskClient, upstream: FakeUpstream) -> None:
    assert send(client, b"\xef\xbb\xbfa,b\n1,2\n", text="What is b?").text == "Hello"
    assert asked(upstream)[0]["content"] == "What is b?\n\na,b\n1,2\n"


def test_no_file_is_cut(client: FlaskClient, upstream: FakeUpstream) -> None:
    assert send(client, b"x" * 900_000).text == "Hello"
    assert len(asked(upstream)[0]["content"]) == 900_000


def test_an_empty_file_is_none(client: FlaskClient, upstream: FakeUpstream) -> None:
    assert send(client, b"").text == NO_QUESTION
    assert upstream.requests == []
    assert send(client, b"", text="Hi").text == "Hello"
    state_of(client).change_settings({"file_input": False})
    assert send(client, b"", text="Hi").text == "Hello"


@pytest.mark.parametrize(
    "data", [b"\x89PNG\r\n\x1a\n", b"a\0b", "Hi".encode("utf-16"), b"%PDF\xe2"]
)
def test_what_is_no_text_is_refused(
    client: FlaskClient, upstream: FakeUpstream, data: bytes
) -> None:
    response = send(client, data, text="Hi")
    assert response.status_code == 415
    assert "no text in UTF-8" in failed(response)
    assert upstream.requests == []


def test_files_can_be_switched_off(client: FlaskClient, upstream: FakeUpstream) -> None:
    state_of(client).change_settings({"file_input": False})
    response = send(client, b"Hi")
    assert response.status_code == 403
    assert "file_input" in failed(response)
    assert upstream.requests == []
    assert client.post("/", data={"text": "Hi"}).text == "Hello"


def test_what_is_too_large_is_refused(make_client: MakeClient, upstream: FakeUpstream) -> None:
    client = make_client(provider("p", upstream), max_body_bytes=10_000)
    assert send(client, b"x" * 9000).text == "Hello"
    response = send(client, b"x" * 10_000)
    assert response.status_code == 413
    failed(response)
    assert len(upstream.requests) == 1


def test_a_form_of_unknown_length(upstream: FakeUpstream, tmp_path: Path) -> None:
    entry = {"name": "p", "adapter": "openai", "base_url": upstream.url, "models": ["m"]}
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n'
    kind = {"Content-Type": "multipart/form-data; boundary=x"}
    with run_service(tmp_path, [entry], MAX_BODY_BYTES="100000") as running:
        small = iter([head, b"Hi", b"\r\n--x--\r\n"])
        assert requests.post(running.url, data=small, headers=kind, timeout=10).text == "Hello"
        large = iter([head, *[b"x" * 10_000] * 20, b"\r\n--x--\r\n"])
        response = requests.post(running.url, data=large, headers=kind, timeout=10)
        assert response.status_code == 413
    assert len(upstream.requests) == 1


@given(some.binary() | some.text().map(str.encode))
def test_any_file_is_read_or_refused(data: bytes) -> None:
    try:
        text = free_gpt4.read_file(data)
    except ApiError:
        return
    assert text.encode() == data.removeprefix(b"\xef\xbb\xbf")


@given(some.text(), some.text())
def test_a_question_and_its_file_are_both_whole(asked: str, file: str) -> None:
    question = free_gpt4.question(asked, file)
    assert all(part in question for part in (asked, file) if part.strip())


@given(some.text())
def test_no_message_breaks_out_of_its_page(text: str) -> None:
    page = free_gpt4.page(text)
    assert page.count("<") == page.count(">") == 2
