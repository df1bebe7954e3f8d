"""Nobody waits for providers outside while there is no way out."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from conftest import MakeClient, on_loop, provider, until
from fake_proxy import FakeProxy
from fake_upstream import FakeUpstream
from flask.testing import FlaskClient
from test_openai import chat
from test_pool import change, service_of
from yarl import URL

from llm_api.config import ProviderConfig
from llm_api.providers import way_out
from llm_api.providers.base import Way


@pytest.fixture
def proxy(upstream: FakeUpstream) -> Iterator[FakeProxy]:
    """The egress proxy, which leads to `upstream` wherever one wants to go."""
    fake = FakeProxy(upstream.port)
    fake.start()
    yield fake
    fake.stop()


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in (("SILENCE", 0.2), ("CALM", 0.2), ("PATIENCE", 0.4), ("INTERVAL", 0.1)):
        monkeypatch.setattr(way_out, name, seconds)


def far(name: str, upstream: FakeUpstream) -> ProviderConfig:
    near = provider(name, upstream, first_chunk_timeout=30.0)
    return replace(near, base_url=f"http://{name}.invalid/v1", via_egress=True)


def states(client: FlaskClient) -> dict[str, str]:
    return {status.name: status.state for status in service_of(client).providers()}


def who_answers(client: FlaskClient, **body: Any) -> str:
    response = chat(client, **body)
    response.close()
    return response.headers["X-Provider"]


@pytest.fixture
def client(
    make_client: MakeClient, proxy: FakeProxy, upstream: FakeUpstream, second: FakeUpstream
) -> FlaskClient:
    """Five providers outside, and one in the cluster."""
    outside = [far(f"far{number}", upstream) for number in range(5)]
    return make_client(*outside, provider("local", second), egress_proxy=proxy.url)


@pytest.mark.parametrize("stream", [False, True])
def test_the_first_request_does_not_wait_for_one_dead_provider_after_the_other(
    client: FlaskClient, proxy: FakeProxy, stream: bool
) -> None:
    assert who_answers(client, stream=stream) == "far0"
    proxy.silent = True
    begun = time.monotonic()
    assert who_answers(client, stream=stream) == "local"
    assert time.monotonic() - begun < 3
    assert set(states(client).values()) == {"available", "offline"}


def test_while_there_is_no_way_nobody_outside_is_asked_but_by_the_probe(
    client: FlaskClient, proxy: FakeProxy, second: FakeUpstream
) -> None:
    proxy.status = 503
    assert chat(client).headers["X-Provider"] == "local"
    until(lambda: states(client)["far4"] == "offline")
    asked = len(second.requests)
    begun = time.monotonic()
    for _ in range(20):
        assert chat(client).headers["X-Provider"] == "local"
    took = time.monotonic() - begun
    assert len(second.requests) == asked + 20
    # The probe asks for the server, a request for its interface.
    assert len([place for place in proxy.asked if "/v1/chat" in place]) <= 5
    probes = len([place for place in proxy.asked if "/v1/" not in place])
    assert probes <= 5 * (2 + took / way_out.INTERVAL * 1.5)


def test_the_way_back_is_found_within_seconds(
    client: FlaskClient, proxy: FakeProxy, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    proxy.status = 502
    chat(client)
    until(lambda: states(client)["far0"] == "offline")
    proxy.status = 200
    until(lambda: states(client)["far0"] == "available")
    assert chat(client).headers["X-Provider"] == "far0"
    assert "there is no way out" in caplog.text
    assert "there is a way out again" in caplog.text
    asked = len(proxy.asked)
    time.sleep(3 * way_out.INTERVAL)
    assert len(proxy.asked) == asked


def test_one_that_fails_is_not_held_for_the_whole_way(
    make_client: MakeClient, proxy: FakeProxy, upstream: FakeUpstream, second: FakeUpstream
) -> None:
    # Nobody listens there, and the proxy is in order.
    dead = replace(far("dead", upstream), base_url="http://127.0.0.1:1/v1")
    client = make_client(
        replace(dead, via_egress=False), far("far0", second), egress_proxy=proxy.url
    )
    assert chat(client).headers["X-Provider"] == "far0"
    assert set(states(client).values()) == {"available"}
    upstream.status = 500
    for _ in range(3):
        chat(client)
    time.sleep(2 * way_out.PATIENCE)
    assert "offline" not in states(client).values()


def test_what_the_proxy_may_not_reach_says_nothing_of_a_way(
    client: FlaskClient, proxy: FakeProxy
) -> None:
    proxy.status = 403
    chat(client)
    until(lambda: states(client)["far0"] == "offline")
    assert states(client)["local"] == "available"


def test_the_cluster_itself_is_never_outside(
    make_client: MakeClient, upstream: FakeUpstream, second: FakeUpstream, proxy: FakeProxy
) -> None:
    upstream.status = 500
    near = [provider("first", upstream), provider("other", second)]
    client = make_client(*near, egress_proxy=proxy.url)
    for _ in range(3):
        chat(client)
    second.silence = 1.0
    chat(client)
    assert proxy.asked == []
    assert "offline" not in states(client).values()


def test_nothing_is_probed_for_once_no_provider_is_outside(
    client: FlaskClient, proxy: FakeProxy, second: FakeUpstream
) -> None:
    proxy.status = 503
    chat(client)
    until(lambda: states(client)["far0"] == "offline")
    change(client, providers=[provider("local", second)])
    until(lambda: not service_of(client)._pool._way_out.gone)
    asked = len(proxy.asked)
    time.sleep(3 * way_out.INTERVAL)
    assert len(proxy.asked) == asked
    # Who is new is asked at once.
    proxy.status = 200
    change(client, providers=[far("new", second)])
    assert chat(client).headers["X-Provider"] == "new"


def test_a_slow_answer_is_waited_for_while_there_is_a_way(
    client: FlaskClient, upstream: FakeUpstream
) -> None:
    upstream.silence = 1.5
    assert chat(client).headers["X-Provider"] == "far0"
    assert "offline" not in states(client).values()


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_the_probe_says_who_it_is_to_a_proxy_that_asks(
    make_client: MakeClient, upstream: FakeUpstream, proxy: FakeProxy, scheme: str
) -> None:
    proxy.user = "name:pass"
    way = Way(URL(f"{scheme}://far.invalid/v1"), URL(proxy.url))

    async def reached(proxy: Any) -> bool:
        return await way_out._any_reached([replace(way, proxy=proxy)])

    client = make_client(provider("local", upstream))
    assert on_loop(client, reached(way.proxy))
    assert not on_loop(client, reached(URL(proxy.url).with_user(None)))
    assert proxy.asked[0] == {"https": "far.invalid:443", "http": "http://far.invalid:80/"}[scheme]
