"""Images by provider classes of g4f."""

from __future__ import annotations

import base64
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from conftest import MakeClient, provider
from fake_upstream import FakeUpstream
from flask.testing import FlaskClient
from test_openai import chat
from werkzeug.test import TestResponse

from llm_api.config import ProviderConfig
from llm_api.operations import Operation
from llm_api.providers import g4f

PAINTER = ProviderConfig(name="Painter", adapter="g4f")


class FakePainter:
    """An image provider as g4f has them."""

    default_model = "flux"
    default_image_model = "flux"
    image_models = ("flux", "turbo")
    models = image_models
    urls: tuple[str, ...] = ("https://images.example/1.png",)
    error: Exception | None = None
    calls: list[dict[str, Any]]

    @classmethod
    async def create_async_generator(
        cls,
        model: str,
        messages: list[Any],
        *,
        prompt: str | None = None,
        width: int | None = None,
        height: int | None = None,
        n: int = 1,
        proxy: str | None = None,
        **_: Any,
    ) -> AsyncGenerator[Any, None]:
        from g4f.providers import response  # noqa: PLC0415 (after its home is set)

        size = (width, height)
        cls.calls.append(
            {"model": model, "messages": messages, "prompt": prompt, "size": size, "n": n}
        )
        del proxy
        yield response.Reasoning(status="Painting")
        yield response.ImagePreview("https://images.example/preview.png", "alt")
        if cls.error:
            raise cls.error
        if cls.urls:
            yield response.ImageResponse(list(cls.urls), "alt")


@pytest.fixture
def painter(monkeypatch: pytest.MonkeyPatch) -> type[FakePainter]:
    class Fresh(FakePainter):
        calls: list[dict[str, Any]] = []  # noqa: RUF012 (one for each test)

    g4f.load_class("Pollinations")
    monkeypatch.setattr(g4f, "load_class", lambda _name: Fresh)
    return Fresh


@pytest.fixture
def client(make_client: MakeClient, painter: type[FakePainter]) -> FlaskClient:
    del painter
    return make_client(PAINTER)


def paint(client: FlaskClient, **body: Any) -> TestResponse:
    return client.post("/v1/images/generations", json={"prompt": "A cat", **body})


def test_an_image(client: FlaskClient, painter: type[FakePainter]) -> None:
    response = paint(client, size="512x768", n=2, quality="auto", user="me")
    assert response.status_code == 200
    assert response.get_json()["data"] == [{"url": "https://images.example/1.png"}]
    assert response.headers["X-Provider"] == "Painter"
    messages = [{"role": "user", "content": "A cat"}]
    call = {"model": "flux", "messages": messages, "prompt": "A cat", "size": (512, 768), "n": 2}
    assert painter.calls == [call]
    assert paint(client, model="turbo").status_code == 200
    assert paint(client, model="gpt-4").status_code == 404


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"quality": "hd"}, "quality"),
        ({"size": "large"}, "size"),
        ({"seed": 1}, "seed"),
        # Images that are elsewhere are fetched only through the proxy.
        ({"response_format": "b64_json"}, "response_format"),
    ],
)
def test_what_would_be_dropped_is_refused(
    client: FlaskClient, painter: type[FakePainter], body: dict[str, Any], param: str
) -> None:
    response = paint(client, **body)
    assert response.status_code == 400
    assert response.get_json()["error"]["param"] == param
    assert painter.calls == []


def test_images_in_the_answer(
    make_client: MakeClient, painter: type[FakePainter], upstream: FakeUpstream
) -> None:
    upstream.body = b"an image"
    proxy = f"http://127.0.0.1:{upstream.port}"
    there = "http://images.example/v1/pictures/1"
    here = "data:image/png;base64," + base64.b64encode(b"another").decode()
    painter.urls = (there, here)
    client = make_client(PAINTER, egress_proxy=proxy)
    data = paint(client, response_format="b64_json").get_json()["data"]
    assert [base64.b64decode(image["b64_json"]) for image in data] == [b"an image", b"another"]
    for odd in ("file:///etc/passwd", "/media/1.png", f"http://{'x' * 70}.example/"):
        painter.urls = (odd,)
        upstream.status = 404
        assert paint(client, response_format="b64_json").status_code == 504


@pytest.mark.parametrize("error", [None, RuntimeError("no Chrome")])
def test_the_next_paints_for_one_that_does_not(
    make_client: MakeClient,
    painter: type[FakePainter],
    upstream: FakeUpstream,
    error: Exception | None,
) -> None:
    painter.error, painter.urls = error, ()
    other = provider("other", upstream, models=("flux",), operations=("images",))
    assert paint(make_client(PAINTER, other)).headers["X-Provider"] == "other"


def test_a_painter_does_not_chat(client: FlaskClient, painter: type[FakePainter]) -> None:
    response = chat(client)
    assert response.status_code == 400
    assert response.get_json()["error"]["code"] == "unsupported_operation"
    assert painter.calls == []


@pytest.mark.parametrize(
    ("name", "operations"),
    [
        ("PollinationsImage", {"images"}),
        ("BlackForestLabs_Flux1Dev", {"images"}),
        ("OperaAria", {"chat", "images"}),
        ("Pollinations", {"chat"}),
        ("DeepInfra", {"chat"}),
    ],
)
def test_what_the_real_classes_are_for(name: str, operations: set[str]) -> None:
    found = g4f.G4FProvider(ProviderConfig(name=name, adapter="g4f"), g4f.load_class(name))
    assert found.operations == operations
    if Operation.IMAGES in found.operations:
        assert found.default_for(Operation.IMAGES)
