"""The chain follows the settings while answers are under way."""

from __future__ import annotations

import time
from typing import Any

import pytest
from conftest import MakeClient, on_loop, provider, until
from fake_upstream import FakeUpstream
from flask.testing import FlaskClient
from test_openai import chat

from llm_api.config import ProviderConfig
from llm_api.providers.breaker import MINIMUM
from llm_api.service import EXTENSION, Service
from llm_api.settings import to_stored


def service_of(client: FlaskClient) -> Service:
    service: Service = client.application.extensions[EXTENSION]
    return service


def change(client: FlaskClient, **settings: Any) -> None:
    """Change settings, in the form that they are stored in, and follow them now."""
    service = service_of(client)
    service.state.change_settings({name: to_stored(value) for name, value in settings.items()})
    service._follow(service.state.snapshot)


def names(client: FlaskClient) -> list[str]:
    return [status.name for status in service_of(client).providers()]


def test_a_new_list_of_providers_is_followed_within_two_seconds(
    make_client: MakeClient, upstream: FakeUpstream, second: FakeUpstream
) -> None:
    client = make_client(provider("first", upstream))
    new = [provider("other", second), provider("first", upstream)]
    service_of(client).state.change_settings({"providers": to_stored(new)})
    begun = time.monotonic()
    until(lambda: chat(client).headers["X-Provider"] == "other")
    assert time.monotonic() - begun < 2
    service_of(client).state.change_settings({"provider": "first"})
    until(lambda: chat(client).headers["X-Provider"] == "first")
    service_of(client).state.reset_settings(["provider", "providers"])
    until(lambda: names(client) == ["first"])


def test_what_is_stored_holds_from_the_start(
    make_client: MakeClient, upstream: FakeUpstream, second: FakeUpstream, tmp_path: Any
) -> None:
    url = f"sqlite:///{tmp_path}/shared.db"
    one = make_client(provider("first", upstream), database_url=url)
    service_of(one).state.change_settings({"providers": to_stored([provider("other", second)])})
    two = make_client(provider("first", upstream), database_url=url)
    assert chat(two).headers["X-Provider"] == "other"


def test_answers_under_way_finish_on_the_chain_they_began_on(
    make_client: MakeClient, upstream: FakeUpstream, second: FakeUpstream
) -> None:
    upstream.gap, upstream.repeat = 0.02, 10_000
    client = make_client(provider("first", upstream))
    held = chat(client, stream=True)
    answer = iter(held.response)
    next(answer)
    change(client, providers=[provider("other", second)])
    assert chat(client).headers["X-Provider"] == "other"
    sent = upstream.sent
    until(lambda: upstream.sent > sent + 5)
    assert next(answer)
    service = service_of(client)
    gone = next(link for link in service._pool._links if link.name == "first")
    assert gone.under_way == 1
    held.close()
    until(lambda: gone not in service._pool._links)
    asked = gone.provider._provider._origin  # type: ignore[attr-defined]  # of the adapter
    until(lambda: asked.connections == 0)


def test_providers_that_stay_the_same_keep_what_is_known_of_them(
    make_client: MakeClient, upstream: FakeUpstream, second: FakeUpstream
) -> None:
    upstream.status = 500
    first, other = provider("first", upstream), provider("other", second)
    client = make_client(first, other)
    for _ in range(MINIMUM):
        chat(client)
    before = {status.name: status for status in service_of(client).providers()}
    assert before["first"].state == "failing"
    links = set(service_of(client)._pool._links)
    # Another order and a weight change nothing about a provider; a key makes it another.
    heavier = provider("first", upstream, weight=3)
    change(client, providers=[provider("other", second, api_key="new"), heavier])
    after = {status.name: status for status in service_of(client).providers()}
    assert after["first"] == before["first"]
    assert (before["other"].requests, after["other"].requests) == (MINIMUM, 0)
    until(lambda: len(service_of(client)._pool._links) == 2)
    assert len(links & set(service_of(client)._pool._links)) == 1


@pytest.mark.parametrize(
    "settings",
    [
        {"model": "gone"},
        {"providers": [ProviderConfig(name="NoSuchProvider", adapter="g4f")]},
    ],
)
def test_settings_that_leave_nobody_are_logged_and_the_old_chain_goes_on(
    make_client: MakeClient,
    upstream: FakeUpstream,
    caplog: pytest.LogCaptureFixture,
    settings: dict[str, Any],
) -> None:
    client = make_client(provider("first", upstream))
    change(client, **settings)
    assert "the providers stay as they were" in caplog.text
    assert chat(client, model="m").headers["X-Provider"] == "first"
    assert names(client) == ["first"]
    service_of(client).state.reset_settings(list(settings))
    change(client, aliases={"nick": "m"})
    assert chat(client, model="nick").status_code == 200


def test_a_change_of_other_settings_touches_no_provider(client: FlaskClient) -> None:
    pool = service_of(client)._pool
    chain = pool._chain
    change(client, system_prompt="Be brief.")
    until(lambda: service_of(client).settings.system_prompt)
    time.sleep(0.6)
    assert pool._chain is chain


def test_no_change_is_followed_once_the_service_is_closed(
    make_client: MakeClient, upstream: FakeUpstream, second: FakeUpstream
) -> None:
    client = make_client(provider("first", upstream))
    service = service_of(client)
    service.state.change_settings({"providers": to_stored([provider("other", second)])})
    on_loop(client, service.close())
    service._follow(service.state.snapshot)
    assert service.providers() == []
