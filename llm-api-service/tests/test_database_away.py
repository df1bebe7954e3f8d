"""What holds while PostgreSQL cannot be reached, and how it goes on afterwards."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from conftest import (
    POSTGRESQL,
    MakeClient,
    empty_postgresql,
    provider,
    run_service,
    state_of,
    until,
)
from fake_upstream import FakeUpstream
from flask.testing import FlaskClient
from relay import ADDRESS, Relay
from test_access import chat

from llm_api.config import Config
from llm_api.state import State, StateError, UsageEntry
from llm_api.state import state as state_module
from llm_api.state.database import SILENCE, Database

pytestmark = pytest.mark.skipif(not POSTGRESQL, reason="there is no PostgreSQL")


@pytest.fixture
def relay() -> Iterator[Relay]:
    parts = urlsplit(POSTGRESQL)
    found = Relay(parts.hostname or "", parts.port or 5432)
    yield found
    found.close()


@pytest.fixture
def url(relay: Relay) -> Iterator[str]:
    """A database of PostgreSQL at the end of the relay."""
    with empty_postgresql() as direct:
        parts = urlsplit(direct)
        yield f"{parts.scheme}://{parts.username}@{ADDRESS}:{relay.port}{parts.path}"


@pytest.fixture
def client(url: str, make_client: MakeClient, upstream: FakeUpstream) -> FlaskClient:
    return make_client(provider("p", upstream), private_mode=True, database_url=url)


@pytest.mark.parametrize("silent", [False, True])
def test_all_goes_on_without_the_database(
    client: FlaskClient, relay: Relay, silent: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    state = state_of(client)
    state.admissions._clock = lambda: 1_800_000_010.0
    token, free = state.tokens.create("free")
    minute, per_minute = state.tokens.create("minute", requests_per_minute=3)
    day, per_day = state.tokens.create("day", tokens_per_day=1000)
    assert chat(client, per_minute).status_code == 200
    relay.cut(silent=silent)
    until(lambda: "cannot be reached, the last state holds" in caplog.text, seconds=30)
    begun = time.monotonic()
    assert [chat(client, free).status_code for _ in range(5)] == [200] * 5
    assert [chat(client, per_minute).status_code for _ in range(4)] == [200, 200, 429, 429]
    assert chat(client, per_day).status_code == 200
    state.usage.note(UsageEntry(day.id, "m", "p", 200, 500, 600, 1, 1))
    assert chat(client, per_day).status_code == 429
    assert chat(client, "sk-unknown").status_code == 401
    assert client.get("/health/ready").status_code == 200
    page = client.get("/settings")
    assert (page.status_code, page.headers["Retry-After"]) == (503, "5")
    assert "cannot reach its database" in page.text
    # None of them has waited for a connection.
    assert time.monotonic() - begun < SILENCE
    relay.mend()
    until(lambda: "can be reached again" in caplog.text, seconds=30)
    assert client.get("/settings").status_code == 303
    assert chat(client, free).status_code == 200
    assert state.tokens.revoke(minute.id)
    assert chat(client, per_minute).status_code == 401
    asked = {total.token_id: total.requests for total in state.usage.totals() if total.model}
    assert asked == {token.id: 6, minute.id: 3, day.id: 2}


def test_nobody_waits_behind_others_for_a_host_that_is_silent(
    client: FlaskClient, relay: Relay
) -> None:
    tokens = state_of(client).tokens
    secrets = [tokens.create(f"t{i}", requests_per_minute=9)[1] for i in range(20)]
    answers: list[int] = []

    def ask(secret: str) -> None:
        answers.append(chat(client.application.test_client(), secret).status_code)

    threads = [threading.Thread(target=ask, args=(secret,)) for secret in secrets]
    relay.cut(silent=True)
    begun = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # The first ones wait until the host is taken for gone: twice, if they find it anew.
    assert time.monotonic() - begun < 3 * SILENCE
    assert answers == [200] * 20
    relay.mend()


def test_a_connection_that_gets_no_answer_is_given_up(relay: Relay, url: str) -> None:
    relay.cut(silent=True)
    begun = time.monotonic()
    with pytest.raises(StateError, match="timeout"):
        Database(url).revision()
    assert time.monotonic() - begun < 3 * SILENCE


def test_a_host_that_is_gone_is_noticed_on_connections_that_are_open(url: str) -> None:
    state = State(Config(database_url=url))
    state.start()
    with state.database.read() as connection:
        opened = connection.connection.dbapi_connection
        assert opened
        with socket.socket(fileno=socket.dup(opened.fileno())) as same:
            # A packet that nobody confirms ends the connection. By itself, that takes a quarter of
            # an hour.
            wait = same.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
            assert wait == SILENCE * 1000
            # So does silence while an answer is waited for.
            assert same.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
            assert same.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == SILENCE
            assert same.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL) == 1
    state.stop()


def test_a_service_waits_for_the_database(
    upstream: FakeUpstream, relay: Relay, url: str, tmp_path: Path
) -> None:
    entry = {"name": "p", "adapter": "openai", "base_url": upstream.url, "models": ["m"]}
    relay.cut(silent=False)
    log = tmp_path / "log"

    def mend() -> None:
        until(lambda: log.exists() and "waiting for the database" in log.read_text(), seconds=60)
        relay.mend()

    mending = threading.Thread(target=mend)
    mending.start()
    with run_service(tmp_path, [entry], DATABASE_URL=url) as running:
        mending.join()
        assert running.ready
        assert "Traceback" not in running.log.read_text()


def test_a_start_does_not_wait_forever(
    relay: Relay, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    relay.cut(silent=False)
    monkeypatch.setattr(state_module, "START_PATIENCE", 0.5)
    with pytest.raises(StateError, match="refused"):
        State(Config(database_url=url)).start()


def test_stopping_tries_once_more_to_write_the_usage(relay: Relay, url: str) -> None:
    state = State(Config(database_url=url))
    state.start()
    relay.cut(silent=False)
    until(lambda: not state._reachable)
    state.usage.note(UsageEntry(0, "m", "p", 200, 1, 1, 1, 1))
    # The state's thread does not find it again any more.
    state._stopping = True
    assert state._thread
    state._thread.join()
    relay.mend()
    state.stop()
    again = State(Config(database_url=url))
    again.start()
    assert again.usage.totals()[0].requests == 1
    again.stop()
