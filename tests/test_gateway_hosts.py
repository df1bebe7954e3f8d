"""Which host names are answered how, for what the role wants and what certificates there are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from gateway_control import certificates
from gateway_control.certificates import Certificate
from gateway_control.hosts import Wishes, named, others, secure

from tests.lab.certificates import Authority

ANY = Wishes(names=[], redirect=True, https_port=443)
API = Certificate("api.example.com", ("api.example.com", "www.example.com"), Path("1"))
WILD = Certificate("example.org", ("*.example.org", "api.example.com"), Path("1"))


def servers(wishes: Wishes, *certificates: Certificate) -> dict[str, list[str]]:
    """Return the names of the servers, by what they are."""
    found: dict[str, list[str]] = {}
    text = named(wishes, certificates, secure(certificates))
    for body in re.findall(r"server \{\n(.*?)^\}", text, re.M | re.S):
        kind = "https" if "https.conf" in body else "redirect" if "308" in body else "http"
        found.setdefault(kind, []).extend(re.findall(r"server_name (.*);", body)[0].split())
    return found


def test_without_certificates_there_is_no_server_for_any_name() -> None:
    assert named(ANY, [], []) == ""
    assert others(ANY, []) == "include site.conf;\n"


def test_a_certificate_brings_tls_and_a_redirect() -> None:
    names = list(API.hosts)
    assert servers(ANY, API) == {"redirect": names, "https": names}
    assert "return 308 https://api.example.com$request_uri;" in others(ANY, API.hosts)


def test_a_redirect_comes_after_the_certificate() -> None:
    assert "308" not in named(ANY, [API], [])
    assert others(ANY, []) == "include site.conf;\n"


def test_a_name_in_two_certificates_is_served_once() -> None:
    everything = ["api.example.com", "www.example.com", "*.example.org"]
    assert servers(ANY, API, WILD) == {"redirect": everything, "https": everything}


def test_a_wildcard_leads_nobody_to_itself() -> None:
    assert "https://api.example.com" in others(ANY, WILD.hosts)
    assert others(ANY, ["*.example.org"]) == "include site.conf;\n"


def test_named_hosts_without_a_certificate_are_served_plainly() -> None:
    wishes = Wishes(names=["api.example.com", "plain.example.com"], redirect=True, https_port=443)
    assert servers(wishes, API)["http"] == ["plain.example.com"]
    assert "return 421;" in others(wishes, API.hosts)


def test_without_redirect_http_is_served_too() -> None:
    wishes = Wishes(names=["plain.example.com"], redirect=False, https_port=443)
    assert servers(wishes, API) == {
        "http": ["plain.example.com", *API.hosts],
        "https": list(API.hosts),
    }
    anybody = Wishes(names=[], redirect=False, https_port=443)
    assert servers(anybody, API) == {"https": list(API.hosts)}
    assert others(anybody, API.hosts) == "include site.conf;\n"


def test_another_port_is_named() -> None:
    wishes = Wishes(names=[], redirect=True, https_port=8443)
    assert "https://$host:8443$request_uri" in named(wishes, [API], API.hosts)
    assert "https://api.example.com:8443$request_uri" in others(wishes, API.hosts)


def test_a_certificate_without_a_sound_version_refuses_handshakes() -> None:
    text = named(ANY, [Certificate("a", ("a.example",), None)], ["a.example"])
    assert "ssl_reject_handshake on;" in text
    assert "ssl_certificate" not in text


@pytest.fixture
def store(tmp_path: Path, authority: Authority) -> Path:
    for version in ("1", "2"):
        names = ["a.example", f"v{version}.example"]
        authority.issue(names).write(tmp_path / "store/a.example" / version, names)
    return tmp_path / "store"


def test_the_newest_version_is_chosen(store: Path, tmp_path: Path) -> None:
    assert certificates.versions(store) == {"a.example": ("2", "1")}
    [chosen] = certificates.choose(store, tmp_path / "none")
    assert chosen == Certificate("a.example", ("a.example", "v2.example"), store / "a.example/2")


@pytest.mark.parametrize("spoilt", ["privkey.pem", "fullchain.pem"])
@pytest.mark.parametrize("content", [b"", b"junk", None])
def test_an_unsound_version_is_passed_over(
    store: Path, tmp_path: Path, authority: Authority, spoilt: str, content: bytes | None
) -> None:
    # None: a key, or a chain, that is sound but belongs to something else.
    other = authority.issue(["other.example"])
    foreign = other.key if spoilt == "privkey.pem" else other.chain
    (store / "a.example/2" / spoilt).write_bytes(foreign if content is None else content)
    [chosen] = certificates.choose(store, tmp_path / "none")
    assert chosen.folder == store / "a.example/1"
    assert chosen.hosts == ("a.example", "v1.example")


def test_what_is_served_already_is_the_last_resort(
    store: Path, tmp_path: Path, authority: Authority
) -> None:
    authority.issue(["a.example"]).write(tmp_path / "served/a.example", ["a.example"])
    for version in ("1", "2"):
        (store / "a.example" / version / "privkey.pem").write_text("junk")
    [chosen] = certificates.choose(store, tmp_path / "served")
    assert chosen.folder == tmp_path / "served/a.example"
    [chosen] = certificates.choose(store, tmp_path / "none")
    assert chosen.folder is None


def test_what_is_being_written_is_not_seen(store: Path) -> None:
    (store / "a.example/.3").mkdir()
    (store / "b.example").mkdir()
    (store / "README").touch()
    assert certificates.versions(store) == {"a.example": ("2", "1")}


def test_no_folder_is_no_certificate(tmp_path: Path) -> None:
    assert certificates.versions(tmp_path / "none") == {}
