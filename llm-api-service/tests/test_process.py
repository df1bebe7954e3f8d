"""The service as a process of its own, as it runs in a container, with OpenAI's own client."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from conftest import Running, run_service, until, until_it_stands_still
from fake_upstream import EVENTS, FakeUpstream
from openai import BadRequestError, InternalServerError, NotFoundError, OpenAI

BODY: dict[str, Any] = {"stream": True, "messages": [{"role": "user", "content": "secret"}]}


def chat(running: Running) -> requests.Response:
    url = f"{running.url}/v1/chat/completions"
    return requests.post(url, json=BODY, stream=True, timeout=30)


@pytest.fixture
def running(upstream: FakeUpstream, tmp_path: Path) -> Iterator[Running]:
    entry = {"name": "p", "adapter": "openai", "base_url": upstream.url, "models": ["m"]}
    with run_service(
        tmp_path,
        [entry],
        ENABLE_REQUEST_LOGGING="true",
        # So that the test of idle connections needs few of them.
        MAX_STREAMS="100",
        LOG_FILE=str(tmp_path / "api1.log"),
        SHUTDOWN_TIMEOUT="20",
    ) as service:
        yield service


def test_openais_client(running: Running, upstream: FakeUpstream) -> None:
    client = OpenAI(base_url=f"{running.url}/v1", api_key="none", max_retries=0)
    messages: Any = BODY["messages"]
    answer = client.chat.completions.create(model="m", messages=messages)
    assert answer.choices[0].message.content == "Hello"
    chunks = list(client.chat.completions.create(model="m", messages=messages, stream=True))
    assert "".join(c.choices[0].delta.content or "" for c in chunks) == "Hello"
    assert [model.id for model in client.models.list()] == ["m"]
    with pytest.raises(NotFoundError, match="gpt-4"):
        client.chat.completions.create(model="gpt-4", messages=messages)
    with pytest.raises(BadRequestError, match="temperature"):
        client.chat.completions.create(model="m", messages=messages, temperature=9)
    upstream.status = 500
    with pytest.raises(InternalServerError):
        client.chat.completions.create(model="m", messages=messages)


def test_the_health_check_of_the_engine(running: Running) -> None:
    env = os.environ | {"PYTHONPATH": "src", "PORT": running.url.rpartition(":")[2]}

    def check() -> int:
        command = [sys.executable, "-m", "llm_api.healthcheck"]
        return subprocess.run(command, env=env, check=False, capture_output=True).returncode

    assert check() == 0
    running.process.terminate()
    running.process.wait(30)
    assert check() == 1


def test_a_body_of_unknown_length(running: Running, upstream: FakeUpstream) -> None:
    url = f"{running.url}/v1/chat/completions"
    small = json.dumps(BODY | {"stream": False}).encode()
    assert requests.post(url, data=iter([small]), timeout=10).status_code == 200
    large = b" " * 2**20
    assert requests.post(url, data=iter([small, *[large] * 16]), timeout=10).status_code == 413
    assert len(upstream.requests) == 1


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("/v1/chat/completions", BODY),
        ("/v1/messages", BODY | {"model": "m", "max_tokens": 9}),
        ("/v1/responses", {"model": "m", "input": "Hi", "stream": True}),
    ],
)
def test_a_stream_that_breaks_off_leaves_its_connection_whole(
    running: Running, upstream: FakeUpstream, path: str, asked: dict[str, Any]
) -> None:
    upstream.break_after = 1
    url = urlsplit(running.url)
    connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=10)
    headers = {"Content-Type": "application/json"}
    connection.request("POST", path, json.dumps(asked), headers)
    response = connection.getresponse()
    assert response.status == 200
    assert b"error" in response.read()
    kept = connection.sock
    # What came after the end would be taken for the next answer.
    connection.request("GET", "/health/ready")
    assert connection.getresponse().read()
    assert connection.sock is kept
    connection.close()


def body(**more: Any) -> bytes:
    return json.dumps({**BODY, "stream": False, **more}).encode()


DEEP = b"[" * 100_000 + b"]" * 100_000
# Body, headers, status, and what is at fault.
BAD: dict[str, tuple[bytes, dict[str, str], int, str]] = {
    "no JSON": (b"{", {}, 400, "invalid_json"),
    "no object": (b"[]", {}, 400, "invalid_json"),
    "no UTF-8": (b'{"model": "\xff"}', {}, 400, "invalid_json"),
    "a wrong type": (body(messages="Hi"), {}, 400, "messages"),
    "deep nesting": (DEEP, {}, 400, "invalid_json"),
    "deep nesting within": (body().replace(b"false", DEEP), {}, 400, "invalid_json"),
    "an unknown model": (body(model="gpt-4\n\x00\x1b[31m"), {}, 404, "model"),
    "no message": (body(messages=[]), {}, 400, "messages"),
    "a negative limit": (body(max_tokens=-1), {}, 400, "max_tokens"),
    "17 MB": (body(user="x" * 17 * 2**20), {}, 413, ""),
    "a header of 9 kB": (body(), {"X-Long": "x" * 9000}, 431, "header_too_large"),
}


def test_bad_input(running: Running, upstream: FakeUpstream) -> None:
    url = f"{running.url}/v1/chat/completions"
    for name, (data, headers, status, fault) in BAD.items():
        began = time.monotonic()
        response = requests.post(url, data=data, headers=headers, timeout=10)
        assert (name, response.status_code) == (name, status)
        error = response.json()["error"]
        assert fault in (error["code"], error["param"], "")
        assert response.headers["X-Request-ID"]
        assert time.monotonic() - began < 2
        assert upstream.requests == []
    # No text is bad for what is in it.
    odd = body(messages=[{"role": "user", "content": "\x00\x07\x1b[31m\u202e\ud800"}])
    assert requests.post(url, data=odd, timeout=10).status_code == 200
    assert requests.get(f"{running.url}/?text=%ff%00%0d%0a", timeout=10).status_code == 200
    assert len(upstream.requests) == 2
    assert "Traceback" not in running.log.read_text()


NO_HTTP = [
    (b"GET /models HTTP/1.1\r\nX-Long: " + b"x" * 2**20 + b"\r\n\r\n", b"431"),
    (b"GET /models HTTP/1.1\r\n" + b"X-Many: x\r\n" * 1000 + b"\r\n", b"431"),
    (b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\n\r\n", b"414"),
    (b"GET /\xff HTTP/1.1\r\n\r\n", b"400"),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01", b"400"),
    (b"POST /models HTTP/1.1\r\nContent-Length: -1\r\n\r\n", b"400"),
]


def test_what_is_no_http(running: Running) -> None:
    for sent, status in NO_HTTP:
        with running.connect() as connection:
            connection.sendall(sent)
            assert connection.recv(100).startswith(b"HTTP/1.1 " + status)
    assert requests.get(f"{running.url}/health/live", timeout=5).status_code == 200


def test_a_client_that_never_reads_costs_little(running: Running, upstream: FakeUpstream) -> None:
    upstream.repeat = 10_000_000
    data = json.dumps(BODY).encode()
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
    with running.connect() as connection:
        connection.sendall(head % len(data) + data)
        # The buffers fill as fast as the machine is.
        until_it_stands_still(lambda: upstream.sent, seconds=60)
        # What was sent is in the buffers of the two connections, and little of it here.
        assert upstream.open_streams == 1
        assert requests.get(f"{running.url}/?text=Hi", timeout=5).text == "Hello"
    until(lambda: upstream.open_streams == 0)


def test_idle_connections_do_not_keep_health_checks_out(running: Running) -> None:
    idle = [running.connect() for _ in range(200)]
    assert requests.get(f"{running.url}/health/live", timeout=5).status_code == 200
    for connection in idle:
        connection.close()


def test_a_client_that_goes_frees_the_provider(running: Running, upstream: FakeUpstream) -> None:
    upstream.gap, upstream.repeat = 0.05, 10_000
    response = chat(running)
    next(response.iter_content(10))
    assert upstream.open_streams == 1
    response.close()
    until(lambda: upstream.open_streams == 0)


def test_a_client_that_goes_while_the_provider_is_silent_frees_it_too(
    running: Running, upstream: FakeUpstream
) -> None:
    upstream.gap = 30
    response = chat(running)
    next(response.iter_content(10))
    assert upstream.open_streams == 1
    response.close()
    began = time.monotonic()
    until(lambda: upstream.open_streams == 0)
    assert time.monotonic() - began < 1


def test_many_streams_at_once(running: Running, upstream: FakeUpstream) -> None:
    upstream.gap, upstream.repeat = 0.02, 20
    whole = []

    def one() -> None:
        whole.append(chat(running).content.endswith(b"data: [DONE]\n\n"))

    threads = [threading.Thread(target=one) for _ in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert whole == [True] * 100


def takes_connections(running: Running) -> bool:
    try:
        requests.get(f"{running.url}/health/ready", timeout=5)
    except requests.ConnectionError:
        return False
    return True


def test_sigterm_lets_an_open_stream_finish(running: Running, upstream: FakeUpstream) -> None:
    upstream.gap = 1
    response = chat(running)
    lines = response.iter_content(None)
    data = next(lines)
    running.process.send_signal(signal.SIGTERM)
    told = time.monotonic()
    until(lambda: not takes_connections(running))
    assert time.monotonic() - told < 1
    data += b"".join(lines)
    assert data == b"".join(EVENTS)
    assert running.process.wait(30) == 0


def test_the_log_is_json_and_tells_no_secret(running: Running) -> None:
    headers = {"X-Request-ID": "request-0001"}
    requests.get(f"{running.url}/?text=secret&token=canary", headers=headers, timeout=10)
    requests.get(f"{running.url}/nowhere?token=canary", timeout=10)
    text = until(lambda: "/nowhere" in (t := running.log.read_text()) and t)
    lines = [json.loads(line) for line in text.splitlines()]
    request = next(line for line in lines if line.get("request_id") == "request-0001")
    assert (request["path"], request["status"], request["provider"]) == ("/", 200, "p")
    assert "secret" not in text
    assert "canary" not in text


def test_rotating_the_log_file_loses_no_line(running: Running) -> None:
    log = running.log.with_name("api1.log")

    def logged(path: Path) -> set[str]:
        entries = map(json.loads, path.read_text().splitlines())
        return {entry.get("request_id", "") for entry in entries}

    def ask(ids: set[str]) -> None:
        for request_id in ids:
            headers = {"X-Request-ID": request_id}
            requests.get(f"{running.url}/health/live", headers=headers, timeout=5)

    before, after = ({f"request-{when}-{i}" for i in range(20)} for when in ("before", "after"))
    ask(before)
    until(lambda: before <= logged(log))
    # As logrotate does, with a new file of the same name that is there at once.
    rotated = log.rename(log.with_suffix(".1"))
    log.touch()
    ask(after)
    until(lambda: after <= logged(log))
    assert before <= logged(rotated)
    assert before | after <= logged(running.log)


def test_a_client_may_ask_before_it_sends_its_body(running: Running) -> None:
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
    data = body()
    for length, answer in ((len(data), b"100 Continue"), (17 * 2**20, b"413 ")):
        with running.connect() as connection:
            connection.sendall(head + b"Content-Length: %d\r\n\r\n" % length)
            assert connection.recv(100).startswith(b"HTTP/1.1 " + answer)
            if length == len(data):
                connection.sendall(data)
                assert connection.recv(100).startswith(b"HTTP/1.1 200 ")


def test_a_client_that_goes_before_the_answer_frees_the_provider(
    running: Running, upstream: FakeUpstream
) -> None:
    upstream.events, upstream.gap = [b": not yet\n\n", *EVENTS], 30
    data = json.dumps(BODY).encode()
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
    with running.connect() as connection:
        connection.sendall(head % len(data) + data)
        until(lambda: upstream.open_streams == 1)
    began = time.monotonic()
    until(lambda: upstream.open_streams == 0)
    assert time.monotonic() - began < 1


def test_a_stream_that_outlasts_the_grace_time_ends_with_an_error(
    upstream: FakeUpstream, tmp_path: Path
) -> None:
    upstream.gap = 30
    entry = {"name": "p", "adapter": "openai", "base_url": upstream.url, "models": ["m"]}
    with run_service(tmp_path, [entry], SHUTDOWN_TIMEOUT="1") as running:
        parts = chat(running).iter_content(None)
        data = next(parts)
        running.process.send_signal(signal.SIGTERM)
        data += b"".join(parts)
        assert "had to stop" in json.loads(data.split(b"data: ")[-1])["error"]["message"]
        assert running.process.wait(30) == 0
        assert "Traceback" not in running.log.read_text()
