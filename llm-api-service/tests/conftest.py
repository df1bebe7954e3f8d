"""Fixtures: fake providers, and the service in front of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fake_upstream import FakeUpstream
from flask.testing import FlaskClient

from llm_api.app import create_app
from llm_api.config import Config, ProviderConfig
from llm_api.service import EXTENSION, Service

MakeClient = Callable[..., FlaskClient]


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
def make_client() -> Iterator[MakeClient]:
    """A factory of test clients of services with the given providers and configuration."""
    services: list[Service] = []

    def make(*providers: ProviderConfig, **config: Any) -> FlaskClient:
        app = create_app(Config(providers=providers, **config))
        service: Service = app.extensions[EXTENSION]
        service.start()
        services.append(service)
        return app.test_client()

    yield make
    for service in services:
        service.close()


@pytest.fixture
def client(make_client: MakeClient, upstream: FakeUpstream) -> FlaskClient:
    return make_client(provider("first", upstream))


def until(condition: Callable[[], Any]) -> Any:
    """Return what `condition` returns once that is true."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if result := condition():
            return result
        time.sleep(0.01)
    raise AssertionError("it did not happen within 10 s")
