"""What g4f's classes are given: proxies, cookies, keys. And what they do to the process."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import AsyncGenerator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from conftest import MakeClient, on_loop, provider, run_service, until
from fake_proxy import FakeProxy
from fake_upstream import FakeUpstream
from flask.testing import FlaskClient
from test_g4f import FREE, FakeClass, fake, real
from test_openai import chat
from test_pool import change, service_of

from llm_api.config import ProviderConfig
from llm_api.providers import g4f
from llm_api.providers.g4f import connections as kept
from llm_api.providers.g4f import events
from llm_api.providers.g4f.connections import Kept, connections

__all__ = ["fake", "real"]


@pytest.fixture
def proxies(upstream: FakeUpstream) -> Iterator[list[FakeProxy]]:
    """Two proxies that lead to `upstream`, and one, the egress, that leads to the first of them."""
    made = [FakeProxy(upstream.port), FakeProxy(upstream.port)]
    for one in made:
        one.start()
    egress = FakeProxy(int(made[0].url.rpartition(":")[2]))
    egress.start()
    yield [*made, egress]
    for one in (*made, egress):
        one.stop()


def hosts(proxy: FakeProxy) -> list[str]:
    """Return for whom `proxy` was asked, by connections or by requests."""
    urls = [place if "://" in place else f"http://{place}" for place in proxy.asked]
    return [str(urlsplit(url).hostname) for url in urls]


@pytest.mark.parametrize("stream", [False, True])
def test_the_egress_proxy_is_used(
    make_client: MakeClient, real: type[Any], proxies: list[FakeProxy], stream: bool
) -> None:
    real.base_url = "http://far.invalid/v1"
    response = chat(make_client(FREE, egress_proxy=proxies[0].url), stream=stream)
    assert response.headers["X-Provider"] == "Free"
    assert response.text
    assert hosts(proxies[0]) == ["far.invalid"]


def test_proxies_are_used_in_turn_and_the_next_for_one_that_is_gone(
    make_client: MakeClient, real: type[Any], proxies: list[FakeProxy]
) -> None:
    real.base_url = "http://far.invalid/v1"
    first, other, _ = proxies
    first.user = "name:pass"
    dead = "socks5://name:secret@127.0.0.1:1"
    client = make_client(FREE, proxies=(first.url, other.url, dead))
    for _ in range(6):
        assert chat(client).status_code == 200
    assert first.asked == ["far.invalid:80"] * 4
    assert other.asked == ["far.invalid:80"] * 2


def test_proxies_are_reached_through_the_egress_proxy(
    make_client: MakeClient, real: type[Any], proxies: list[FakeProxy]
) -> None:
    real.base_url = "http://far.invalid/v1"
    private, _, egress = proxies
    client = make_client(FREE, proxies=("http://private.invalid:3128",), egress_proxy=egress.url)
    assert chat(client).status_code == 200
    assert egress.asked == ["private.invalid:3128"]
    assert private.asked == ["far.invalid:80"]


def test_no_proxy_that_answers_is_a_provider_that_fails(
    make_client: MakeClient,
    real: type[Any],
    upstream: FakeUpstream,
    caplog: pytest.LogCaptureFixture,
) -> None:
    del real
    client = make_client(
        FREE, provider("local", upstream), proxies=("http://name:secret@127.0.0.1:1",)
    )
    assert chat(client).headers["X-Provider"] == "local"
    assert "secret" not in caplog.text


def test_requests_without_tls_pass_the_forwarder_too(
    make_client: MakeClient, proxies: list[FakeProxy], fake: type[FakeClass]
) -> None:
    import aiohttp  # noqa: PLC0415 (as classes of g4f use it)

    class Plain(fake):  # type: ignore[misc,valid-type]  # made by the fixture
        @classmethod
        async def create_async_generator(cls, proxy: str, **_: Any) -> AsyncGenerator[str, None]:
            url = "http://far.invalid/v1/models?a=b"
            async with aiohttp.ClientSession() as session, session.get(url, proxy=proxy) as got:
                yield str(got.status)

    client = make_client(provider("unused", FakeUpstream(port=1)), proxies=(proxies[0].url,))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(g4f, "load_class", lambda _: Plain)
        change(client, providers=[FREE])
    assert chat(client).get_json()["choices"][0]["message"]["content"] == "404"
    assert proxies[0].asked == ["far.invalid:80"]


def test_new_proxies_are_used_while_running(
    make_client: MakeClient, real: type[Any], proxies: list[FakeProxy]
) -> None:
    real.base_url = "http://far.invalid/v1"
    client = make_client(FREE, proxies=(proxies[0].url,))
    assert chat(client).status_code == 200
    change(client, proxies=[proxies[1].url])
    assert chat(client).status_code == 200
    assert [len(proxy.asked) for proxy in proxies[:2]] == [1, 1]


COOKIES = {
    ".pages.example": {"a": "1"},
    "chat.pages.example": {"b": "2"},
    "else.example": {"c": ""},
}


def test_a_class_is_given_the_cookies_of_its_site(
    make_client: MakeClient, fake: type[FakeClass]
) -> None:
    class Baker(fake):  # type: ignore[misc,valid-type]  # made by the fixture
        url = "https://chat.pages.example/talk"

        @classmethod
        def create_async_generator(
            cls, *, cookies: Any = None, api_key: Any = None, **more: Any
        ) -> Any:
            return super().create_async_generator(cookies=cookies, api_key=api_key, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(g4f, "load_class", lambda _: Baker)
        client = make_client(replace(FREE, api_key="key"), cookies=COOKIES)
        chat(client)
        change(client, cookies={})
        chat(client)
    assert fake.calls[0]["cookies"] == {"a": "1", "b": "2"}
    assert fake.calls[0]["api_key"] == "key"
    assert fake.calls[1]["cookies"] is None


def test_a_class_that_takes_no_cookies_is_given_none(
    make_client: MakeClient, fake: type[FakeClass]
) -> None:
    fake.url = "https://pages.example"  # type: ignore[attr-defined]  # as g4f's have it
    chat(make_client(FREE, cookies=COOKIES))
    # Its `**more` would take anything.
    assert "cookies" not in fake.calls[0]


def test_a_class_that_looks_for_cookies_itself_finds_these_and_no_others(
    make_client: MakeClient, fake: type[FakeClass]
) -> None:
    del fake
    from g4f.cookies import get_cookies  # noqa: PLC0415 (after its home is set)

    client = make_client(FREE, cookies={"one.example": {"a": "1"}, ".two.example": {"b": "2"}})
    for domain in ("one.example", ".one.example"):
        assert get_cookies(domain, raise_requirements_error=False) == {"a": "1"}
    assert get_cookies(".two.example", raise_requirements_error=False) == {"b": "2"}
    change(client, cookies={})
    assert get_cookies("one.example", raise_requirements_error=False) == {}


def test_connections_live_as_long_as_any_class(make_client: MakeClient, real: type[Any]) -> None:
    del real
    client = make_client(FREE, replace(FREE, name="Other"))
    change(client, providers=[FREE])
    service = service_of(client)
    until(lambda: len(service._pool._links) == 1)
    assert chat(client).status_code == 200

    async def connector() -> Any:
        return connections()()

    mine = on_loop(client, connector())
    assert isinstance(mine, Kept)
    assert (mine.users, mine.limit, mine.limit_per_host) == (1, 0, 0)
    change(client, providers=[provider("last", FakeUpstream(port=1))])
    until(lambda: len(service._pool._links) == 1)
    assert mine.closed
    assert on_loop(client, connector()) is None


def test_the_next_request_finds_a_connection(
    make_client: MakeClient,
    real: type[Any],
    proxies: list[FakeProxy],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A machine that does much else can be slower than these allow.
    monkeypatch.setattr(events, "END_LIMIT", 30.0)
    monkeypatch.setattr(kept, "KEEP_ALIVE", 30.0)
    real.base_url = "http://far.invalid/v1"
    client = make_client(FREE, egress_proxy=proxies[0].url)
    for stream in (False, True, False):
        assert chat(client, stream=stream).text
    # It is asked for a connection, or for the first request on one.
    assert hosts(proxies[0]) == ["far.invalid"]


def test_each_call_has_a_deadline(make_client: MakeClient, fake: type[FakeClass]) -> None:
    class Endless(fake):  # type: ignore[misc,valid-type]  # made by the fixture
        @classmethod
        async def create_async_generator(cls, **_: Any) -> AsyncGenerator[str, None]:
            while True:
                yield "word "
                await asyncio.sleep(0.05)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(g4f, "load_class", lambda _: Endless)
        client = make_client(replace(FREE, deadline=0.5))
    assert "took longer than its deadline" in chat(client, stream=True).text
    assert "no answer in time" in chat(client).get_json()["error"]["message"]


# Those that the role asks by default.
ROLE = Path(__file__).parents[2] / "roles/llm_api/defaults/main.yml"
DEFAULTS = re.findall(r"- name: (\w+)\n +adapter: g4f\n", ROLE.read_text())
# Whatever a class does when it is loaded or asked would show up here.
WATCHED = """
import sys, os, tempfile
# It tries the folder out.
tempfile.gettempdir()
def watch(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname"):
        print("network", event, arguments[1:], flush=True)
    if event == "open" and isinstance(arguments[0], str) and isinstance(arguments[2], int):
        if arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) and arguments[0] != os.devnull:
            print("file", arguments[0], flush=True)
    if event in ("os.mkdir", "subprocess.Popen"):
        print(event, arguments[0], flush=True)
sys.dont_write_bytecode = True
from llm_api.providers import g4f
sys.addaudithook(watch)
for name in sys.argv[1:]:
    g4f.load_class(name)
"""


def test_loading_classes_asks_nobody_and_writes_nothing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, *DEFAULTS, "Pollinations", "Groq", "DeepInfra"],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": "src", "HOME": "/nowhere"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert list(tmp_path.iterdir()) == []


# What these need is not installed.
HEAVY = ("curl_cffi", "nodriver", "zendriver", "webview", "browser_cookie3")


# As in a container with a read-only root and a tmpfs.
READ_ONLY = """
import asyncio, errno, os, sys, tempfile
writable = tempfile.gettempdir()
def refuse(event, arguments):
    writing = event in ("os.mkdir", "os.remove", "os.rename") or (
        event == "open" and isinstance(arguments[2], int)
        and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
    )
    path = arguments[0] if writing and isinstance(arguments[0], str) else ""
    if path and not path.startswith((writable, "/dev/")):
        raise OSError(errno.EROFS, "read-only", path)
sys.dont_write_bytecode = True
sys.addaudithook(refuse)
from llm_api.chat_request import parse
from llm_api.config import ProviderConfig
from llm_api.providers import g4f
g4f.load_class("LLM7")
from g4f.Provider.template import OpenaiTemplate
class Real(OpenaiTemplate):
    base_url, default_model, models, working = sys.argv[1], "m", ["m"], True
async def answer():
    provider = g4f.G4FProvider(ProviderConfig(name="Real", adapter="g4f"), Real)
    await provider.start()
    asked = parse(b'{"messages":[{"role":"user","content":"Hi"}]}', model="m", system_prompt="")
    async with provider.open(asked, "m") as answer:
        print(answer.first.decode())
    await provider.close()
asyncio.run(answer())
"""


def test_a_class_answers_where_only_the_temporary_folder_can_be_written(
    upstream: FakeUpstream, tmp_path: Path
) -> None:
    environ = {"PYTHONPATH": "src", "HOME": "/nowhere", "TMPDIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", READ_ONLY, upstream.url],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert '"content": "Hello"' in done.stdout, done.stderr
    assert "read-only" not in done.stderr


def test_the_default_list_has_several_classes() -> None:
    assert len(DEFAULTS) > 2


@pytest.mark.parametrize("name", DEFAULTS)
def test_the_classes_of_the_default_list_need_neither_a_key_nor_a_browser(name: str) -> None:
    found = g4f.load_class(name)
    assert found.working
    assert not found.needs_auth
    assert not getattr(found, "use_nodriver", None)
    assert not any(word in vars(sys.modules[found.__module__]) for word in HEAVY)
    made = g4f.G4FProvider(ProviderConfig(name=name, adapter="g4f"), found)
    assert made.models
    assert made.way
    # Who asks for the embedded model by name asks none of these.
    assert "smollm2-135m" not in made.models


@pytest.mark.parametrize("name", ["NoSuchProvider", "APIRoute", "OrcaRouter", "PhindAi"])
def test_a_class_that_an_upgrade_has_lost_or_broken_is_left_out_and_the_service_starts(
    make_client: MakeClient, upstream: FakeUpstream, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    gone = ProviderConfig(name=name, adapter="g4f")
    client = make_client(gone, provider("local", upstream))
    assert f"{name} left out" in caplog.text
    assert chat(client).headers["X-Provider"] == "local"


def test_without_third_parties_no_class_is_even_loaded(
    make_client: MakeClient, upstream: FakeUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(_: str) -> None:
        raise AssertionError("a class was loaded")

    monkeypatch.setattr(g4f, "load_class", load)
    client = make_client(FREE, provider("local", upstream), third_parties=False)
    assert chat(client).headers["X-Provider"] == "local"


def test_one_variable_runs_the_service_without_third_parties(
    upstream: FakeUpstream, tmp_path: Path
) -> None:
    entry = {"name": "local", "adapter": "openai", "base_url": upstream.url, "models": ["m"]}
    entries: list[dict[str, Any]] = [{"name": "LLM7", "adapter": "g4f"}, entry]
    environ = {"THIRD_PARTIES": "false", "EGRESS_PROXY": "http://127.0.0.1:1"}
    with run_service(tmp_path, entries, **environ) as service:
        import requests  # noqa: PLC0415 (a client, here only)

        listed = requests.get(f"{service.url}/v1/providers", timeout=10).json()["data"]
        assert [(each["name"], each["state"]) for each in listed] == [
            ("local", "available"),
            ("LLM7", "off"),
        ]
        assert "LLM7 left out: third parties are off" in service.log.read_text()


def test_third_parties_are_turned_off_while_running(
    make_client: MakeClient, fake: type[FakeClass], upstream: FakeUpstream
) -> None:
    client: FlaskClient = make_client(FREE, provider("local", upstream))
    assert chat(client).headers["X-Provider"] == "Free"
    change(client, third_parties=False)
    assert chat(client).headers["X-Provider"] == "local"
    assert len(fake.calls) == 1
