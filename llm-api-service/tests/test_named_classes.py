"""Providers of g4f that are named and not listed, as the old program took them."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import pytest
from conftest import MakeClient, provider, state_of
from fake_upstream import FakeUpstream

from llm_api.config import ProviderConfig
from llm_api.providers import g4f
from llm_api.providers.registry import with_named_classes
from llm_api.settings import Settings


class Free:
    """A provider class as g4f has them."""

    default_model = "free"
    models = ("free",)

    @classmethod
    async def create_async_generator(
        cls, model: str, messages: list[Any], **_: Any
    ) -> AsyncGenerator[str, None]:
        yield f"{model}: {messages[-1]['content']}"


@pytest.fixture(autouse=True)
def classes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let g4f have one class."""

    def load(name: str) -> type[Free]:
        if name == "Free":
            return Free
        raise g4f.UnknownClassError(name)

    g4f.load_class("Pollinations")
    monkeypatch.setattr(g4f, "load_class", load)


def test_a_class_that_is_named_is_listed(caplog: pytest.LogCaptureFixture) -> None:
    settings = Settings(provider="Free, local")
    listed = with_named_classes(settings).providers
    assert listed == (ProviderConfig(name="Free", adapter="g4f"), *settings.providers)
    assert "third party of g4f, which sees the prompts: Free" in caplog.text


@pytest.mark.parametrize("named", ["Auto", "You", "local", "Gone", "a/b", "local,Gone"])
def test_nothing_else_is(named: str, caplog: pytest.LogCaptureFixture) -> None:
    settings = Settings(provider=named)
    assert with_named_classes(settings) == settings
    assert caplog.text == ""


def test_it_is_asked_and_settings_can_be_changed(
    make_client: MakeClient, upstream: FakeUpstream
) -> None:
    client = make_client(provider("first", upstream), provider="Free")
    response = client.get("/?text=Hi")
    assert (response.text, response.headers["X-Provider"]) == ("free: Hi", "Free")
    assert client.get("/models?provider=Free").get_json() == ["free"]
    state_of(client).change_settings({"system_prompt": "Be brief."})
    assert client.get("/?text=Hi").text == "free: Hi"
