"""The state: what one replica writes, every replica sees."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from conftest import until

from llm_api.config import Config
from llm_api.settings import Settings, SettingsError
from llm_api.state import Snapshot, State, UsageEntry
from llm_api.state.history import History
from llm_api.state.passwords import is_password
from llm_api.state.sessions import WINDOW, of_user
from llm_api.state.tokens import TokenError, digest_of
from llm_api.state.users import UserError

MakeState = Callable[..., State]


@pytest.fixture
def make_state(database_url: str) -> Iterator[MakeState]:
    """A factory of started replicas on one database."""
    states: list[State] = []

    def make(**config: Any) -> State:
        state = State(Config(database_url=database_url, **config))
        state.start()
        states.append(state)
        return state

    yield make
    for state in states:
        state.stop()


def entry(token_id: int = 0, status: int = 200, tokens: int = 5) -> UsageEntry:
    return UsageEntry(token_id, "m", "p", status, 2, tokens - 2, 0.5, 0.1)


def test_a_changed_setting_reaches_the_other_replica(make_state: MakeState) -> None:
    one, other = make_state(), make_state()
    seen: list[Snapshot] = []
    other.on_change(seen.append)
    assert one.snapshot.settings == Settings()
    one.change_settings({"system_prompt": "Be brief.", "aliases": {"gpt-4": "m"}})
    begun = time.monotonic()
    assert one.snapshot.settings.system_prompt == "Be brief."
    until(lambda: other.snapshot.settings.system_prompt == "Be brief.")
    assert time.monotonic() - begun < 2
    until(lambda: seen)
    assert seen[0].stored == {"aliases": {"gpt-4": "m"}, "system_prompt": "Be brief."}
    other.reset_settings(["system_prompt"])
    until(lambda: one.snapshot.stored == {"aliases": {"gpt-4": "m"}})
    assert one.snapshot.settings.system_prompt == ""


def test_settings_that_do_not_go_together_are_refused(make_state: MakeState) -> None:
    state = make_state()
    with pytest.raises(SettingsError, match="gone"):
        state.change_settings({"provider": "gone"})
    entry = {"name": "far", "adapter": "openai", "base_url": "https://far.example/v1"}
    state.change_settings({"providers": [entry], "provider": "far"})
    with pytest.raises(SettingsError, match="far"):
        state.reset_settings(["providers"])
    assert state.snapshot.settings.provider == "far"
    state.reset_settings(["provider", "providers"])
    assert state.snapshot.settings == Settings()


def test_tokens(make_state: MakeState) -> None:
    one, other = make_state(), make_state()
    token, secret = one.tokens.create("ci", models=["m"], requests_per_minute=3)
    assert one.snapshot.tokens == {digest_of(secret): token}
    assert secret not in repr(token)
    until(lambda: other.snapshot.tokens == {digest_of(secret): token})
    own = str(uuid.uuid4())
    mine, same = other.tokens.create("own", secret=own, expires=time.time() - 1)
    assert same == own
    assert not mine.valid
    assert token.valid
    assert [t.name for t in one.tokens.list()] == ["ci", "own"]
    assert one.tokens.revoke(token.id)
    assert not one.tokens.revoke(token.id)
    assert digest_of(secret) not in one.snapshot.tokens
    until(lambda: digest_of(secret) not in other.snapshot.tokens)
    assert [t.name for t in one.tokens.list()] == ["own"]
    assert len(one.tokens.list(revoked=True)) == 2


def test_tokens_that_cannot_be(make_state: MakeState) -> None:
    tokens = make_state().tokens
    own = str(uuid.uuid4())
    tokens.create("own", secret=own)
    with pytest.raises(TokenError, match="another"):
        tokens.create("again", secret=own)
    for wrong in (
        {"secret": "short"},
        {"expires": -1},
        {"requests_per_minute": -1},
        {"tokens_per_day": 2**60},
    ):
        with pytest.raises(TokenError):
            tokens.create("wrong", **wrong)
    for name in ("", "a\nb", "x" * 201):
        with pytest.raises(TokenError):
            tokens.create(name)


def test_users(make_state: MakeState) -> None:
    state = make_state()
    token, _ = state.tokens.create("t")
    user, password = state.users.create("bob", token_id=token.id)
    assert password != "bob"
    assert is_password(user.password_hash, password)
    assert not is_password(user.password_hash, "wrong")
    assert not is_password("no hash", password)
    assert state.snapshot.users == {token.id: user}
    state.users.update(user.id, model="m", message_history=True, password="another one")
    changed = state.users.get("bob")
    assert changed == state.users.by_token(token.id) == state.users.list()[0]
    assert changed
    assert (changed.model, changed.message_history) == ("m", True)
    assert is_password(changed.password_hash, "another one")
    for wrong in ({"colour": 1}, {"username": "a b"}, {"password": "short"}, {"model": "\0"}):
        with pytest.raises(UserError):
            state.users.update(user.id, **wrong)
    with pytest.raises(UserError, match="another"):
        state.users.create("bob")
    second, _ = state.users.create("eve")
    with pytest.raises(UserError, match="another"):
        state.users.update(second.id, username="bob")
    state.users.update(second.id)
    state.users.delete(user.id)
    assert state.users.get("bob") is None
    assert state.snapshot.users == {}


def test_a_history_is_bounded_and_loses_nothing(make_state: MakeState) -> None:
    one, other = make_state(), make_state()
    pair = [{"role": "user", "content": "\0 é"}, {"role": "assistant", "content": "b"}]

    def append(state: State, name: str) -> None:
        for _ in range(10):
            state.history.append("token:1", pair, name)

    threads = [threading.Thread(target=append, args=(s, "c")) for s in (one, other, one, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert one.history.read("token:1", "c") == pair * 40
    assert one.history.read("token:1") == []
    assert one.history.read("") == []
    one.history.append("", pair)
    assert one.history.read("") == []
    few = History(one.database, most_messages=3, most_characters=10_000)
    few.append("token:1", [{"role": "user", "content": "new"}])
    assert [m["content"] for m in one.history.read("token:1")] == ["new"]
    assert one.history.read("token:1", "c") == pair
    short = History(one.database, most_messages=30, most_characters=100)
    short.append("token:1", [{"role": "user", "content": "x" * 60}])
    assert [m["content"] for m in one.history.read("token:1")] == ["x" * 60]
    one.history.clear("token:1")
    assert other.history.read("token:1") == []


def test_usage_of_all_replicas_is_summed_up(make_state: MakeState) -> None:
    one, other = make_state(), make_state()
    token, _ = one.tokens.create("t", tokens_per_day=100)
    for state in (one, other):
        for _ in range(50):
            state.usage.note(entry(token.id))
        state.usage.note(entry(status=504, tokens=2))
    other.usage.write()
    nobodys, tokens = one.usage.totals(time.time() - 3600)
    assert (nobodys.token_id, nobodys.requests, nobodys.failed) == (0, 2, 2)
    assert (tokens.requests, tokens.failed, tokens.seconds) == (100, 0, 50)
    assert (tokens.prompt_tokens, tokens.completion_tokens) == (200, 300)
    until(lambda: one.usage.of_today(token.id) == 500)
    until(lambda: other.usage.of_today(token.id) == 500)
    one.usage.note(entry(token.id))
    one.usage.forget()
    one.admissions.forget()


def test_stopping_writes_the_usage(make_state: MakeState) -> None:
    one = make_state()
    one.usage.note(entry())
    one.stop()
    assert make_state().usage.totals()[0].requests == 1


def test_sessions(make_state: MakeState, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = make_state(), make_state()
    session = one.sessions.create("admin")
    assert other.sessions.get(session) == "admin"
    assert other.sessions.get("none") is None
    other.sessions.delete(session)
    assert one.sessions.get(session) is None
    second = one.sessions.create("admin")
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 13 * 3600)
    assert other.sessions.get(second) is None


def test_sessions_end_with_their_password(make_state: MakeState) -> None:
    state = make_state()
    user, _ = state.users.create("alice")
    gone, _ = state.users.create("bob")
    names = ["admin", of_user(user.id), of_user(gone.id)]
    sessions = {name: state.sessions.create(name) for name in names}

    def alive() -> list[str]:
        return [name for name in names if state.sessions.get(sessions[name])]

    state.users.update(user.id, model="m")
    assert alive() == names
    state.users.update(user.id, password="a new password")
    assert alive() == ["admin", of_user(gone.id)]
    state.users.delete(gone.id)
    assert alive() == ["admin"]
    state.admin.set_password("hash")
    assert alive() == []


def test_logins_are_throttled_on_all_replicas(
    make_state: MakeState, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = make_state(), make_state()
    for _ in range(5):
        assert not other.sessions.login_wait("192.0.2.1")
        one.sessions.login_failed("192.0.2.1")
    assert 0 < other.sessions.login_wait("192.0.2.1") <= WINDOW
    assert not other.sessions.login_wait("192.0.2.2")
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 1000)
    assert not other.sessions.login_wait("192.0.2.1")
    one.sessions.login_failed("192.0.2.1")
    one.sessions.login_succeeded("192.0.2.1")
    assert not one.sessions.login_wait("192.0.2.1")


def test_the_secret_key_and_the_password_are_the_clusters(make_state: MakeState) -> None:
    one, other = make_state(), make_state(admin_password="first password")
    assert len(one.secret_key) > 32
    assert one.secret_key == other.secret_key
    assert make_state(secret_key="x" * 32).secret_key == "x" * 32
    assert is_password(one.admin.password_hash, "first password")
    make_state(admin_password="second password")
    assert is_password(one.admin.password_hash, "first password")
    one.admin.set_password("hash")
    assert other.admin.password_hash == "hash"


def test_limits_hold_across_replicas(make_state: MakeState) -> None:
    replicas = [make_state() for _ in range(3)]
    for limit in (1, 7, 200):
        token, _ = replicas[0].tokens.create("t", requests_per_minute=limit)
        for state in replicas:
            state.admissions._clock = lambda: 1_800_000_010.0
        answers = [replicas[i % 3].admissions.admit(token) for i in range(limit * 2)]
        passed = sum(answer.allowed for answer in answers)
        assert limit * 0.9 <= passed <= limit
        assert limit > 50 or passed == limit
        assert answers[-1].remaining <= limit * 0.1
        assert answers[-1].reset == 50
        for state in replicas:
            state.admissions._clock = lambda: 1_800_000_070.0
        assert replicas[1].admissions.admit(token).allowed
