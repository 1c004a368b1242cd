"""Looking up names: in bounded time, with bounded threads, by the last good answer if need be."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.support.polling import eventually
from worker import clock
from worker.net import dns
from worker.net.dns import Resolver, Row

HOST, PORT = "exchange.test", 443
SHORT_MS, LONG_MS = 60, 5_000


def row(address: str) -> Row:
    """Return what `getaddrinfo` says of an address."""
    return (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, PORT))


class Names:
    """A resolver of names that a test can stop, start and have fail."""

    def __init__(self) -> None:
        self.answers: Any = [row("192.0.2.1")]
        self.running = threading.Event()
        self.running.set()
        self.asked = 0
        self.stuck = 0

    def getaddrinfo(self, *_: Any, **__: Any) -> Any:
        """Answer once it runs."""
        self.asked += 1
        self.stuck += 1
        self.running.wait(30)
        self.stuck -= 1
        if isinstance(self.answers, Exception):
            raise self.answers
        return self.answers


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Iterator[Names]:
    """What `getaddrinfo` asks."""
    made = Names()
    monkeypatch.setattr(socket, "getaddrinfo", made.getaddrinfo)
    yield made
    made.running.set()
    eventually(lambda: not made.stuck)


def look_up(resolver: Resolver, within_ms: float = LONG_MS, host: str = HOST) -> list[Row]:
    """Look a name up."""
    return resolver.addresses(host, PORT, until_ms=clock.monotonic_ms() + within_ms)


def test_answer_is_that_of_the_system(names: Names) -> None:
    """Each call asks again while the resolver answers."""
    resolver = Resolver()
    assert look_up(resolver) == [row("192.0.2.1")]
    names.answers = [row("192.0.2.2")]
    assert look_up(resolver) == [row("192.0.2.2")]


@pytest.mark.parametrize("address", ["192.0.2.7", "2001:db8::7"])
def test_an_address_needs_no_look_up(address: str) -> None:
    """It is returned by the caller's own thread, with no time left too."""
    before = threading.active_count()
    ((family, *_, found),) = Resolver().addresses(address, PORT, until_ms=0)
    assert found[0] == address
    assert family == (socket.AF_INET6 if ":" in address else socket.AF_INET)
    assert threading.active_count() == before


def test_a_dead_resolver_holds_no_caller(names: Names) -> None:
    """A caller waits for its own time, and no longer."""
    names.running.clear()
    resolver = Resolver()
    began = clock.monotonic_ms()
    with pytest.raises(TimeoutError, match="resolver"):
        look_up(resolver, SHORT_MS)
    assert clock.monotonic_ms() - began >= SHORT_MS
    names.running.set()
    assert look_up(resolver) == [row("192.0.2.1")]


def test_last_good_answer_is_used_and_its_age_logged(
    names: Names, caplog: pytest.LogCaptureFixture
) -> None:
    """A slow or failing resolver costs a part of the time, then the last answer holds."""
    caplog.set_level(logging.WARNING)
    resolver = Resolver()
    assert look_up(resolver) == [row("192.0.2.1")]
    names.running.clear()
    names.answers = socket.gaierror(socket.EAI_AGAIN, "try again")
    assert look_up(resolver, SHORT_MS) == [row("192.0.2.1")]
    assert f"slow for {HOST}; using its addresses from 0 s ago" in caplog.text
    names.running.set()
    assert look_up(resolver) == [row("192.0.2.1")]
    assert len(caplog.records) == 1, "logged again within a minute"


def test_too_old_an_answer_is_not_used(names: Names, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a day another host may have the address."""
    resolver = Resolver()
    look_up(resolver)
    monkeypatch.setattr(dns, "STALE_MAX_MS", 0)
    names.running.clear()
    with pytest.raises(TimeoutError):
        look_up(resolver, SHORT_MS)


def test_a_name_without_an_address_has_none(names: Names) -> None:
    """An answer that says so is believed; one that the resolver could not get is not an answer."""
    resolver = Resolver()
    look_up(resolver)
    names.answers = socket.gaierror(socket.EAI_NONAME, "unknown")
    with pytest.raises(socket.gaierror, match="unknown"):
        look_up(resolver)


@pytest.mark.parametrize(
    "error", [socket.gaierror(socket.EAI_AGAIN, "x"), UnicodeError("x"), ValueError("x"), []]
)
def test_an_error_without_a_last_answer_is_raised(names: Names, error: Any) -> None:
    """As `getaddrinfo` raised it; no address is an error too."""
    names.answers = error
    with pytest.raises(type(error) if error else OSError):
        look_up(Resolver())


def test_callers_share_a_look_up(names: Names, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten threads that ask for one name at once cause one look-up."""
    monkeypatch.setattr(dns, "SHARE_MS", 60_000)
    names.running.clear()
    resolver = Resolver()
    # A caller that came after the look-up had ended would rightly start another.
    waiters: Any = resolver._changed  # noqa: SLF001
    with ThreadPoolExecutor(10) as pool:
        asked = [pool.submit(look_up, resolver, 60_000) for _ in range(10)]
        eventually(lambda: len(waiters._waiters) == 10)  # noqa: SLF001
        names.running.set()
        assert all(each.result() == [row("192.0.2.1")] for each in asked)
    assert names.asked == 1


def test_stuck_look_ups_are_bounded(names: Names, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often and for however many names it is asked, so many threads wait at most."""
    monkeypatch.setattr(dns, "SHARE_MS", 0)
    names.running.clear()
    resolver = Resolver()
    for number in range(2 * dns.LOOKUPS_MAX):
        with pytest.raises(TimeoutError):
            look_up(resolver, 1, host=f"host{number}.test")
    assert names.stuck <= dns.LOOKUPS_MAX
    # Once there is room, a waiting caller is served.
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(look_up, resolver, LONG_MS, "another.test")
        names.running.set()
        assert waiting.result() == [row("192.0.2.1")]


def test_a_resolver_that_is_back_is_asked_beside_a_stuck_look_up(
    names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stuck one asks again after 5 s; a new look-up has the answer at once."""
    monkeypatch.setattr(dns, "SHARE_MS", 0)
    names.running.clear()
    resolver = Resolver()
    with pytest.raises(TimeoutError):
        look_up(resolver, 1)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [row("192.0.2.9")])
    assert look_up(resolver) == [row("192.0.2.9")]
    assert names.stuck == 1


def test_known_hosts_are_bounded(names: Names, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that meets ever new names keeps the answers of some."""
    monkeypatch.setattr(dns, "HOSTS_MAX", 4)
    resolver = Resolver()
    for number in range(20):
        look_up(resolver, host=f"host{number}.test")
    assert len(resolver._hosts) <= 4  # noqa: SLF001
    assert names.asked == 20
