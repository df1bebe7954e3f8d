"""The description of the interface, tested against the service."""

from __future__ import annotations

import html
import os
import subprocess
import sys
from pathlib import Path

from conftest import run_service
from fake_upstream import FakeUpstream
from flask.testing import FlaskClient

from llm_api.openapi import describe

HOOKS = Path(__file__).with_name("schemathesis_hooks.py")
OPERATIONS = (["chat", "completions"], ["embeddings"], ["images"])


def test_the_service_is_as_described(upstream: FakeUpstream, tmp_path: Path) -> None:
    # They take any model, so that all that is described as good is good.
    entries = [
        {
            "name": operations[0],
            "adapter": "openai",
            "base_url": upstream.url,
            "default_model": "m",
            "operations": operations,
        }
        for operations in OPERATIONS
    ]
    # Its own code need not be measured, which would make it take half as long again.
    own = {name: value for name, value in os.environ.items() if "COVERAGE" not in name}
    with run_service(tmp_path, entries) as service:
        told = subprocess.run(
            [
                *(Path(sys.executable).with_name("schemathesis"), "run"),
                f"{service.url}/openapi.json",
                *("--checks", "all", "--max-examples", "50", "--seed", "1", "--no-color"),
                *("--generation-database", "none"),
            ],
            cwd=tmp_path,
            env=own | {"SCHEMATHESIS_HOOKS": str(HOOKS)},
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )
        assert told.returncode == 0, told.stdout
        assert "Traceback" not in service.log.read_text()


def test_what_is_described_is_there(client: FlaskClient) -> None:
    there = {
        (method, rule.rule.replace("<path:name>", "{id}"))
        for rule in client.application.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    told = {(m.upper(), path) for path, item in describe()["paths"].items() for m in item}
    assert told <= there


def test_the_page_shows_it_all_and_needs_nothing_else(client: FlaskClient) -> None:
    response = client.get("/docs")
    assert response.mimetype == "text/html"
    text = response.text
    for path, item in describe()["paths"].items():
        assert f"</span>{path}<" in text
        for told in item.values():
            assert f'<article id="{told["operationId"]}">' in text
    assert "max_completion_tokens" in text
    assert "list of text" in text
    assert "-F 'file=@notes.txt'" in html.unescape(text)
    assert "--data-urlencode 'text=What is the capital of France?'" in html.unescape(text)
    assert "src=" not in text
    assert "http://" not in text
    assert "https://" not in text
    assert "default-src 'none'" in response.headers["Content-Security-Policy"]
