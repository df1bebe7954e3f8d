"""Fixtures: fake providers, and the service in front of them."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import psycopg
import pytest
import requests
from fake_upstream import FakeUpstream
from flask.testing import FlaskClient
from hypothesis import settings
from in_process import InProcess
from psycopg import sql

from llm_api.app import create_app
from llm_api.asgi import Asgi
from llm_api.config import Config, ProviderConfig
from llm_api.service import EXTENSION, Service
from llm_api.settings import NAMES, Settings
from llm_api.state import State

MakeClient = Callable[..., FlaskClient]
T = TypeVar("T")

POSTGRESQL = os.environ.get("TEST_POSTGRESQL_URL", "")
"""A server without a database, as `make unit` brings one up."""


@pytest.fixture(params=["sqlite", "postgresql"] if POSTGRESQL else ["sqlite"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database of each kind."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/state.db"
        return
    with empty_postgresql() as url:
        yield url


@contextmanager
def empty_postgresql() -> Iterator[str]:
    """Make an empty database of PostgreSQL, and remove it."""
    name = f"test_{uuid.uuid4().hex}"
    with psycopg.connect(f"{POSTGRESQL}/postgres", autocommit=True) as server:
        server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        yield f"postgresql+psycopg://{POSTGRESQL.partition('://')[2]}/{name}"
        server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


# What an example takes says more about the machine's other work than about the code.
settings.register_profile("any-machine", deadline=None)
settings.load_profile("any-machine")


@pytest.fixture
def upstream() -> Iterator[FakeUpstream]:
    fake = FakeUpstream()
    fake.start()
    yield fake
    fake.stop()


@pytest.fixture
def second() -> Iterator[FakeUpstream]:
    fake = FakeUpstream(text="Second")
    fake.start()
    yield fake
    fake.stop()


def provider(name: str, upstream: FakeUpstream, **more: Any) -> ProviderConfig:
    """Return the configuration of a provider that is `upstream`, with the model m."""
    given = {"models": ("m",), "first_chunk_timeout": 5.0, "deadline": 20.0, **more}
    return ProviderConfig(name=name, adapter="openai", base_url=upstream.url, **given)


@pytest.fixture
def make_client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MakeClient]:
    """A factory of test clients of services with the given providers and configuration."""
    services: list[tuple[Service, InProcess]] = []
    folder = tmp_path_factory.mktemp("state")

    def make(*providers: ProviderConfig, **config: Any) -> FlaskClient:
        given = {name: config.pop(name) for name in NAMES if name in config}
        own = {"database_url": f"sqlite:///{folder}/state{len(services)}.db"}
        app = create_app(Config(settings=Settings(providers=providers, **given), **own | config))
        service: Service = app.extensions[EXTENSION]
        running = InProcess(Asgi(app.respond, app.config["MAX_CONTENT_LENGTH"]))
        running.run(service.start())
        services.append((service, running))
        app.wsgi_app = running  # type: ignore[method-assign]
        return app.test_client()

    yield make
    for service, running in services:
        running.run(service.close())
        running.stop()


@pytest.fixture
def client(make_client: MakeClient, upstream: FakeUpstream) -> FlaskClient:
    return make_client(provider("first", upstream))


def on_loop(client: FlaskClient, coroutine: Coroutine[Any, Any, T]) -> T:
    """Run `coroutine` on the loop of the service that `client` asks, and return its result."""
    running = client.application.wsgi_app
    assert isinstance(running, InProcess)
    return running.run(coroutine)


def state_of(client: FlaskClient) -> State:
    """Return the state of the service that `client` asks."""
    service: Service = client.application.extensions[EXTENSION]
    return service.state


@dataclass
class Running:
    """The service as a process of its own."""

    process: subprocess.Popen[str]
    url: str
    log: Path

    @property
    def ready(self) -> bool:
        """Whether it answers requests."""
        try:
            return requests.get(f"{self.url}/health/ready", timeout=10).ok
        except requests.ConnectionError:
            return False

    def connect(self) -> socket.socket:
        """Open a connection to it."""
        port = int(self.url.rpartition(":")[2])
        return socket.create_connection(("127.0.0.1", port), timeout=10)


@contextmanager
def run_service(
    folder: Path, providers: list[dict[str, Any]], *arguments: str, **environ: str
) -> Iterator[Running]:
    """Run the service with `providers`, its files in `folder`, and end it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    file, log = folder / "providers.json", folder / "log"
    file.write_text(json.dumps(providers))
    fixed = {
        "PYTHONPATH": "src",
        "PORT": str(port),
        "PROVIDERS_FILE": str(file),
        "DATABASE_URL": f"sqlite:///{folder}/state.db",
    }
    env = os.environ | fixed | environ
    command = [sys.executable, "-m", "llm_api", *arguments]
    with log.open("w") as output:
        process = subprocess.Popen(command, env=env, stdout=output, text=True)
        try:
            running = Running(process, f"http://127.0.0.1:{port}", log)
            # On a machine that is busy with other things.
            until(lambda: running.ready, seconds=60)
            yield running
        finally:
            process.terminate()
            process.wait(30)


def until(condition: Callable[[], Any], seconds: float = 10) -> Any:
    """Return what `condition` returns once that is true."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if result := condition():
            return result
        time.sleep(0.01)
    raise AssertionError(f"it did not happen within {seconds} s")


def until_it_stands_still(figure: Callable[[], int], seconds: float = 10) -> None:
    """Return once `figure` is more than nothing, and has not changed for a moment."""
    last = 0

    def stands_still() -> bool:
        nonlocal last
        before, last = last, figure()
        time.sleep(0.5)
        return 0 < before == last

    until(stands_still, seconds)
