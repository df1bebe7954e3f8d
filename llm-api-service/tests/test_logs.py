"""What is logged, and what never is."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import MakeClient, provider
from fake_upstream import FakeUpstream
from test_openai import MESSAGES

from llm_api.logs import JsonFormatter, RotatedFileHandler

ID = "request-0001"


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What is logged, formatted where and when it happens."""
    written: list[str] = []
    formatter = JsonFormatter()

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            written.append(formatter.format(record))

    logger = logging.getLogger("llm_api")
    monkeypatch.setattr(logger, "handlers", [Handler()])
    before = logger.level
    logger.setLevel(logging.INFO)
    yield written
    logger.setLevel(before)


def ask(
    make_client: MakeClient, upstream: FakeUpstream, lines: list[str], *, log: bool, stream: bool
) -> None:
    client = make_client(provider("first", upstream), request_logging=log)
    # What is said at the start.
    lines.clear()
    body = {"model": "m", "messages": MESSAGES, "stream": stream}
    response = client.post(
        "/v1/chat/completions?token=canary", json=body, headers={"X-Request-ID": ID}
    )
    assert response.data
    response.close()


@pytest.mark.parametrize("stream", [False, True])
def test_a_request(
    make_client: MakeClient, upstream: FakeUpstream, lines: list[str], stream: bool
) -> None:
    upstream.gap = 0.1
    ask(make_client, upstream, lines, log=True, stream=stream)
    [line] = map(json.loads, lines)
    assert (line["message"], line["level"], line["request_id"]) == ("request", "INFO", ID)
    assert (line["provider"], line["model"], line["status"]) == ("first", "m", 200)
    assert (line["method"], line["path"]) == ("POST", "/v1/chat/completions")
    assert line["seconds"] >= line["first_byte_seconds"] >= 0
    # The fake upstream pauses three times: the line is written at the end of the answer.
    assert not stream or line["seconds"] >= 0.3
    assert "canary" not in lines[0]


def test_only_if_it_is_asked_for(
    make_client: MakeClient, upstream: FakeUpstream, lines: list[str]
) -> None:
    ask(make_client, upstream, lines, log=False, stream=False)
    assert lines == []


@pytest.mark.parametrize("event", ["provider failed", "answer broke off"])
def test_failures_always_with_the_requests_id(
    make_client: MakeClient, upstream: FakeUpstream, lines: list[str], event: str
) -> None:
    if event == "provider failed":
        upstream.status = 500
    else:
        upstream.break_after = 1
    ask(make_client, upstream, lines, log=False, stream=True)
    [line] = map(json.loads, lines)
    assert (line["message"], line["request_id"], line["provider"]) == (event, ID, "first")
    assert line["level"] == "WARNING"


def test_odd_characters_and_exceptions_stay_on_one_ascii_line() -> None:
    error = ValueError("two\nlines")
    info = (ValueError, error, None)
    record = logging.LogRecord("x", logging.ERROR, "", 0, "\ud800\n%s", ("é",), info)
    line = JsonFormatter().format(record)
    assert line.isascii()
    assert "\n" not in line
    assert "two\nlines" in json.loads(line)["exception"]


def test_a_line_waits_until_the_rotated_file_is_there_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "api1.log"
    handler = RotatedFileHandler(str(file))
    missing = iter([True, True, False])
    original = logging.FileHandler._open

    def in_a_folder_of_others(self: logging.FileHandler) -> Any:
        if next(missing):
            raise PermissionError
        return original(self)

    monkeypatch.setattr(logging.FileHandler, "_open", in_a_folder_of_others)
    file.rename(tmp_path / "api1.log.1")
    handler.emit(logging.LogRecord("x", logging.INFO, "", 0, "a line", None, None))
    assert file.read_text() == "a line\n"
    handler.close()
