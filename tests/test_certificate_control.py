"""Certificates are got when they are due, and deployed when they are sound and served."""

from __future__ import annotations

import errno
import json
import os
import smtplib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from certificate_control import certbot, keeper
from certificate_control.certbot import Certbot
from certificate_control.errors import CertificateError
from certificate_control.gateway import wait_until_served
from certificate_control.keeper import Keeper
from certificate_control.orders import Order, read_orders
from certificate_control.pair import Pair, self_signed
from certificate_control.report import Outcome, forget, notify, write_metrics
from certificate_control.store import KEPT, Store
from certificate_control.timing import Window, ask_for_window, renewal_time

from tests.lab.certificates import DAY, Authority, Issued

NAMES = ("api.example.com", "www.example.com")
DIRECTORY = "https://ca.example/directory"
NOW = datetime.now(UTC)


def pair_of(issued: Issued) -> Pair:
    return Pair(issued.chain, issued.key)


def order(tmp_path: Path, **changes: Any) -> Order:
    wanted = Order(
        folder=tmp_path / "letsencrypt/wanted/api.example.com",
        names=NAMES,
        source="acme",
        key_type="ecdsa",
        directory=DIRECTORY,
        email="admin@example.com",
        eab={},
        dns_plugin="",
        dns_propagation=60,
    )
    wanted.folder.mkdir(parents=True, exist_ok=True)
    return replace(wanted, **changes)


# When a certificate is due


@pytest.mark.parametrize("days", [6, 45, 90])
def test_a_certificate_is_due_after_two_thirds_of_its_life(authority: Authority, days: int) -> None:
    pair = pair_of(authority.issue(NAMES, lifetime=days * DAY, age=timedelta(0)))
    due = renewal_time(pair, None) - pair.start
    assert abs(due - days * DAY * 2 / 3) < timedelta(seconds=1)
    # Twice a day is often enough to try again.
    assert days * DAY - due >= 2 * DAY


def test_the_authority_may_say_when(authority: Authority) -> None:
    pair = pair_of(authority.issue(NAMES))
    window = Window(pair.start + 10 * DAY, pair.start + 12 * DAY)
    assert window.start <= renewal_time(pair, window) <= window.end
    assert renewal_time(pair, window) == renewal_time(pair, window)
    # What would be too late is not believed.
    late = Window(pair.start, pair.end + DAY)
    assert renewal_time(pair, late) == renewal_time(pair, None)


@contextmanager
def server(answer: Callable[[str, bytes], bytes]) -> Iterator[str]:
    """Serve what `answer` makes of a path and a body."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = answer(self.path, self.rfile.read(int(self.headers.get("Content-Length", 0))))
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815 - as http.server wants

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Keep quiet."""

    httpd = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{httpd.server_port}"
    finally:
        httpd.shutdown()
        httpd.server_close()


def test_the_authority_is_asked_by_the_identifier_of_the_certificate(authority: Authority) -> None:
    pair = pair_of(authority.issue(NAMES))
    asked: list[str] = []

    def answer(path: str, _: bytes) -> bytes:
        asked.append(path)
        if path == "/directory":
            return json.dumps({"renewalInfo": f"{url}/info"}).encode()
        window = {"start": "2026-01-02T00:00:00Z", "end": "2026-01-03T00:00:00.123456789Z"}
        return json.dumps({"suggestedWindow": window}).encode()

    with server(answer) as url:
        window = ask_for_window(f"{url}/directory", None, pair)
    assert window
    assert (window.start.day, window.end.day) == (2, 3)
    # Both parts are base64 for URLs, without padding.
    assert asked[1].startswith("/info/")
    assert all(part and "=" not in part for part in asked[1].removeprefix("/info/").split("."))
    with server(lambda *_: b"{}") as url:
        assert ask_for_window(url, None, pair) is None


# What may be deployed


def test_a_sound_pair_passes(authority: Authority) -> None:
    pair_of(authority.issue(["api.example.com", "*.example.com"])).check(NAMES, NOW)
    pair_of(authority.issue(NAMES, rsa_key=True)).check(NAMES, NOW)
    self_signed(NAMES, NOW).check(NAMES, NOW)


def test_an_unsound_pair_is_refused(authority: Authority) -> None:
    good, other = authority.issue(NAMES), authority.issue(NAMES)
    foreign = Authority().issue(NAMES)
    expired = authority.issue(NAMES, lifetime=DAY, age=2 * DAY)
    leaf = good.chain[: good.chain.index(b"-----END") + 26]
    for pair, message in (
        (Pair(good.chain, other.key), "the key does not belong to the certificate"),
        (Pair(good.chain, b"junk"), "the key is no PEM"),
        (Pair(b"junk", good.key), "the chain is no PEM"),
        (Pair(leaf + foreign.chain, good.key), "did not issue it"),
        (pair_of(authority.issue(NAMES[:1])), "is not for www.example.com"),
        (pair_of(expired), "has expired, at"),
    ):
        with pytest.raises(CertificateError, match=message):
            pair.check(NAMES, NOW)


# The store


def test_a_version_is_added_whole_and_private(tmp_path: Path, authority: Authority) -> None:
    store = Store(tmp_path)
    pair = pair_of(authority.issue(NAMES))
    assert store.newest("api.example.com") is None
    version = store.add("api.example.com", pair, NOW)
    assert store.newest("api.example.com") == pair
    assert (version / "names").read_text().split() == list(NAMES)
    assert (version / "privkey.pem").stat().st_mode & 0o777 == 0o600
    assert version.stat().st_mode & 0o777 == 0o700


def test_old_versions_go(tmp_path: Path, authority: Authority) -> None:
    store = Store(tmp_path)
    pairs = [pair_of(authority.issue(NAMES)) for _ in range(KEPT + 2)]
    for number, pair in enumerate(pairs):
        store.add("a", pair, NOW + number * DAY)
    store.prune("a")
    assert len(list((tmp_path / "a").iterdir())) == KEPT
    assert store.newest("a") == pairs[-1]


def test_a_full_disk_leaves_what_there_was(
    tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path)
    first = pair_of(authority.issue(NAMES))
    store.add("a", first, NOW)

    def full(path: Path, _: bytes) -> int:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(CertificateError, match="No space left on device"):
        store.add("a", pair_of(authority.issue(NAMES)), NOW + DAY)
    assert store.newest("a") == first
    assert len(list((tmp_path / "a").iterdir())) == 1


# The keeper


@dataclass
class Lab:
    """A keeper before an authority that does as its test says."""

    keeper: Keeper
    order: Order
    authority: Authority
    served: list[Pair] = field(default_factory=list)
    lifetime: timedelta = 90 * DAY
    failure: str = ""
    gateway_serves: bool = True
    obtained: int = 0

    @property
    def lineage(self) -> Path:
        return self.keeper.certbot.lineage(self.order.name)

    def obtain(self, order: Order) -> None:
        if self.failure:
            raise CertificateError(self.failure)
        self.obtained += 1
        issued = self.authority.issue(order.names, lifetime=self.lifetime, age=timedelta(0))
        self.lineage.mkdir(parents=True, exist_ok=True)
        (self.lineage / "fullchain.pem").write_bytes(issued.chain)
        (self.lineage / "privkey.pem").write_bytes(issued.key)

    def serve(self, pair: Pair) -> None:
        if not self.gateway_serves:
            raise CertificateError("the gateway does not serve it")
        self.served.append(pair)


@pytest.fixture
def lab(tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch) -> Lab:
    certbot = Certbot(tmp_path / "letsencrypt", tmp_path / "acme", tmp_path)
    store = Store(tmp_path / "certificates")
    unserved = Keeper(certbot, store, print, lambda: NOW)
    made = Lab(unserved, order(tmp_path), authority)
    made.keeper = replace(unserved, wait_until_served=made.serve)
    monkeypatch.setattr(Certbot, "obtain", lambda _, order: made.obtain(order))
    monkeypatch.setattr(Certbot, "directory", lambda *_: DIRECTORY)
    monkeypatch.setattr(keeper, "_window", lambda *_: None)
    return made


def keep(lab: Lab, **changes: Any) -> Outcome:
    """Keep the lab's order, with `changes`, as it will be `later`."""
    later = changes.pop("later", timedelta(0))
    return replace(lab.keeper, now=lambda: NOW + later).keep(replace(lab.order, **changes))


def test_the_first_certificate_is_got_and_deployed_and_then_left_alone(lab: Lab) -> None:
    assert keep(lab).done == "issued because there was none, deployed"
    again = keep(lab)
    assert (again.done, again.failure, lab.obtained) == ("", "", 1)
    assert lab.served[0] == lab.keeper.store.newest("api.example.com")


@pytest.mark.parametrize("days", [6, 45, 90])
def test_a_certificate_is_renewed_in_time(lab: Lab, days: int) -> None:
    lab.lifetime = days * DAY
    keep(lab)
    assert keep(lab, later=days * DAY * 0.6).done == ""
    done = keep(lab, later=days * DAY * 0.7).done
    assert done == "issued because the one before had to be renewed, deployed"


def test_a_certificate_that_is_to_be_another_is_got_anew(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(lab)
    assert "the names are others" in keep(lab, names=NAMES[:1]).done
    assert "the kind of key is another" in keep(lab, names=NAMES[:1], key_type="rsa").done
    monkeypatch.setattr(Certbot, "directory", lambda *_: "https://staging.example/directory")
    assert "the authority is another" in keep(lab, names=NAMES[:1]).done


def test_a_failed_renewal_leaves_what_is_deployed(lab: Lab) -> None:
    keep(lab)
    before = lab.keeper.store.newest("api.example.com")
    lab.failure = "the authority gave no certificate: connection refused"
    outcome = keep(lab, later=70 * DAY)
    assert outcome.failure == lab.failure
    assert lab.keeper.store.newest("api.example.com") == before
    # Also after it has expired, which is worse than no renewal but better than no site.
    assert lab.failure in keep(lab, later=100 * DAY).failure
    assert lab.keeper.store.newest("api.example.com") == before


def test_what_is_not_served_is_taken_back(lab: Lab) -> None:
    keep(lab)
    before = lab.keeper.store.newest("api.example.com")
    lab.gateway_serves = False
    outcome = keep(lab, names=NAMES[:1], later=DAY)
    assert outcome.failure == "the gateway does not serve it"
    assert lab.keeper.store.newest("api.example.com") == before
    lab.gateway_serves = True
    assert keep(lab, names=NAMES[:1], later=2 * DAY).done == "deployed"


@pytest.mark.parametrize("file", ["privkey.pem", "fullchain.pem"])
def test_junk_in_the_deployed_place_is_replaced(lab: Lab, tmp_path: Path, file: str) -> None:
    keep(lab)
    [path] = (tmp_path / "certificates/api.example.com").glob(f"*/{file}")
    path.write_text("junk")
    assert keep(lab, later=DAY).done == "deployed"
    assert lab.obtained == 1


def test_files_are_deployed_as_they_are(lab: Lab) -> None:
    issued = lab.authority.issue(NAMES)
    outcome = keep(lab, source="files")
    assert "fullchain.pem: No such file" in outcome.failure
    (lab.order.folder / "fullchain.pem").write_bytes(issued.chain)
    (lab.order.folder / "privkey.pem").write_bytes(lab.authority.issue(NAMES).key)
    assert "the key does not belong" in keep(lab, source="files").failure
    (lab.order.folder / "privkey.pem").write_bytes(issued.key)
    assert keep(lab, source="files").done == "deployed"
    assert keep(lab, source="files").done == ""
    assert lab.obtained == 0


def test_self_signed_certificates_renew_themselves(lab: Lab) -> None:
    assert "issued because there was none" in keep(lab, source="self_signed").done
    assert keep(lab, source="self_signed").done == ""
    assert "had to be renewed" in keep(lab, source="self_signed", later=61 * DAY).done


# certbot


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file to which a certbot that succeeds writes what it is called with."""
    program = tmp_path / "bin/certbot"
    program.parent.mkdir()
    program.write_text(
        '#!/bin/sh\necho "$@" >>"$CALLS"\ncat "$4" >>"$CALLS"\n'
        '[ ! -e "$FAIL" ] || { tee -a "$LOG" <"$FAIL"; rm "$FAIL"; exit 1; }\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    monkeypatch.setenv("FAIL", str(tmp_path / "fail"))
    monkeypatch.setenv("LOG", str(tmp_path / "letsencrypt.log"))
    return tmp_path / "calls"


def run_certbot(tmp_path: Path, **changes: Any) -> None:
    state = tmp_path / "letsencrypt"
    Certbot(state, tmp_path / "acme", tmp_path).obtain(order(tmp_path, **changes))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "--webroot --webroot-path"),
        ({}, "--key-type ecdsa --elliptic-curve secp256r1"),
        ({}, "--domain api.example.com --domain www.example.com --email admin@example.com"),
        ({"key_type": "rsa"}, "--key-type rsa --rsa-key-size 2048"),
        ({"email": ""}, "--register-unsafely-without-email"),
        (
            {"dns_plugin": "rfc2136"},
            "--authenticator dns-rfc2136 --dns-rfc2136-propagation-seconds 60",
        ),
        ({"dns_plugin": "manual"}, "--manual --preferred-challenges dns --manual-auth-hook"),
        ({"eab": {"key_id": "k", "hmac_key": "secret"}}, "\neab-kid = k\neab-hmac-key = secret\n"),
    ],
)
def test_certbot_is_called_with(
    calls: Path, tmp_path: Path, changes: dict[str, Any], expected: str
) -> None:
    run_certbot(tmp_path, **changes)
    assert expected in calls.read_text()
    assert "secret" not in calls.read_text().splitlines()[0]


def test_an_account_that_the_authority_has_lost_is_made_anew(calls: Path, tmp_path: Path) -> None:
    account = tmp_path / "letsencrypt/accounts/ca.example/directory"
    account.mkdir(parents=True)
    (tmp_path / "fail").write_text("urn:ietf:params:acme:error:accountDoesNotExist :: no such\n")
    run_certbot(tmp_path)
    assert not account.exists()
    assert calls.read_text().count("certonly") == 2


def test_what_cannot_be_removed_is_an_error(
    calls: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_certbot(tmp_path)
    before = calls.read_text()

    def refuse(path: str, **_: Any) -> None:
        raise OSError(errno.EROFS, "Read-only file system", path)

    for folder in ("letsencrypt/archive", "letsencrypt/accounts", "certificates"):
        (tmp_path / folder / "api.example.com").mkdir(parents=True, exist_ok=True)
    with monkeypatch.context() as patch:
        patch.setattr(os, "rmdir", refuse)
        with pytest.raises(OSError, match="Read-only"):
            run_certbot(tmp_path)
        with pytest.raises(OSError, match="Read-only"):
            Store(tmp_path / "certificates").remove("api.example.com")
    assert calls.read_text() == before
    # What is not there need not be removed.
    Store(tmp_path / "certificates").remove("www.example.com")


def test_the_fault_is_named(calls: Path, tmp_path: Path) -> None:
    (tmp_path / "fail").write_text("Saving debug log to x\nDNS problem: SERVFAIL\nAsk for help\n")
    with pytest.raises(CertificateError, match=r"no certificate: DNS problem: SERVFAIL$"):
        run_certbot(tmp_path)
    assert calls.read_text().count("certonly") == 1


# What the gateway serves


def test_it_is_served_when_the_handshake_shows_it(authority: Authority, tmp_path: Path) -> None:
    issued = authority.issue(NAMES)
    issued.write(tmp_path / "served", NAMES)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "served/fullchain.pem", tmp_path / "served/privkey.pem")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        wrapped = context.wrap_socket(listener, server_side=True)

        def accept() -> None:
            while True:
                try:
                    wrapped.accept()[0].close()
                except ssl.SSLError:
                    continue
                except OSError:
                    return

        threading.Thread(target=accept, daemon=True).start()
        address = listener.getsockname() if listener.fileno() >= 0 else wrapped.getsockname()
        wait_until_served(address, pair_of(issued), proxy_protocol=False, patience=5)
        other = pair_of(authority.issue(NAMES))
        with pytest.raises(CertificateError, match=r"does not serve it for api\.example\.com, www"):
            wait_until_served(address, other, proxy_protocol=False, patience=0)
        wrapped.close()


# What is told


def test_metrics_are_of_all_certificates(tmp_path: Path) -> None:
    path = tmp_path / "certificates.prom"
    ends = datetime.fromtimestamp(2_000_000_000, UTC)
    write_metrics(path, [Outcome("a", "", "", ends), Outcome("b", "", "", ends)], NOW)
    write_metrics(path, [Outcome("b", "", "it failed", ends)], NOW)
    lines = path.read_text().splitlines()
    assert 'freegpt4_certificate_not_after_seconds{name="a"} 2000000000' in lines
    assert 'freegpt4_certificate_renewal_ok{name="a"} 1' in lines
    assert 'freegpt4_certificate_renewal_ok{name="b"} 0' in lines
    assert len([line for line in lines if '{name="b"}' in line]) == 2
    forget(path, "b")
    assert '"b"' not in path.read_text()
    assert '"a"' in path.read_text()


def settings(**changes: str) -> dict[str, str]:
    return {"webhook": "", "mail_to": "", "mail_from": "", "mail_server": "", **changes}


def test_a_webhook_hears_of_failures_only() -> None:
    heard: list[dict[str, str]] = []

    def answer(_: str, body: bytes) -> bytes:
        heard.append(json.loads(body))
        return b""

    with server(answer) as url:
        notify(settings(webhook=url), "host1", [Outcome("a", "deployed", "", None)])
        notify(settings(webhook=url), "host1", [Outcome("a", "", "it failed", None)])
    assert heard == [{"text": "Certificates on host1:\na: it failed", "host": "host1"}]


def test_a_mail_tells_of_failures(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Any] = []

    class Mailer:
        def __init__(self, host: str, port: int, **_: float) -> None:
            sent.append((host, port))

        def __enter__(self) -> Mailer:
            return self

        def __exit__(self, *_: object) -> None:
            """Do nothing."""

        def send_message(self, message: Any) -> None:
            sent.append((message["To"], message.get_content()))

    monkeypatch.setattr(smtplib, "SMTP", Mailer)
    mail = {"mail_to": "a@x.example", "mail_from": "b@x.example", "mail_server": "mail.example:587"}
    notify(settings(**mail), "host1", [Outcome("a", "", "it failed", None)])
    assert sent[0] == ("mail.example", 587)
    assert sent[1][0] == "a@x.example"
    assert "a: it failed" in sent[1][1]


def test_nobody_to_tell_is_no_failure(caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    notify(settings(webhook=url), "host1", [Outcome("a", "", "it failed", None)])
    assert "nobody was told by webhook" in caplog.text


def test_orders_are_read_as_the_role_writes_them(tmp_path: Path) -> None:
    folder = tmp_path / "api.example.com"
    folder.mkdir()
    content = {
        "names": list(NAMES),
        "source": "acme",
        "key_type": "ecdsa",
        "directory": DIRECTORY,
        "email": "",
        "eab": {},
        "dns_plugin": "",
        "dns_propagation": 60,
    }
    (folder / "order.json").write_text(json.dumps(content))
    [read] = read_orders(tmp_path)
    assert (read.name, read.names) == ("api.example.com", NAMES)


def test_certbots_noise_is_left_out() -> None:
    assert certbot._fault("a\n\nSee the logfile x\nb\n") == "a b"
