"""A call of a Redis that answers late or not at all ends within `redis_timeout_ms`."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pydantic import SecretStr

from tests.support.raw_server import Peer, Server
from worker import clock
from worker.config.settings import Settings
from worker.errors import StoreUnavailable
from worker.store.connection import Store
from worker.store.opening import build_store

TIMEOUT_MS = 400
SLACK_MS = 150
LATE_MS = 350


def later(peer: Peer, answer: bytes = b"") -> None:
    """Take a command, and answer it nearly too late."""
    peer.sock.recv(65_536)
    peer.stopping.wait(LATE_MS / 1_000)
    peer.send(answer)


def silent(peer: Peer) -> None:
    """Accept, and answer nothing."""
    peer.hold()


def slow_to_log_in(peer: Peer) -> None:
    """Take most of the time for the password, and answer nothing more."""
    peer.sock.recv(65_536)
    peer.stopping.wait(TIMEOUT_MS * 0.45 / 1_000)
    peer.send(b"+OK\r\n")
    peer.hold()


def slow_to_tell_the_time(peer: Peer) -> None:
    """Take most of the time for the first question, and answer nothing more."""
    peer.sock.recv(65_536)
    peer.send(b"+OK\r\n")
    later(peer, b"*3\r\n:%d\r\n:0\r\n:0\r\n" % clock.now_ms())
    peer.hold()


def slow_to_know_no_script(peer: Peer) -> None:
    """Take most of the time to ask for the script, and answer nothing more."""
    peer.sock.recv(65_536)
    peer.send(b"+OK\r\n")
    later(peer, b"-NOSCRIPT No matching script.\r\n")
    peer.hold()


def run(store: Store) -> None:
    """Run a script."""
    store.run("nonce", "name", "0", 0)


@pytest.mark.parametrize(
    ("scheme", "act"),
    [
        ("redis", silent),
        ("rediss", silent),
        ("redis", slow_to_log_in),
        ("redis", slow_to_tell_the_time),
        ("redis", slow_to_know_no_script),
    ],
)
def test_cold_call_ends_in_time(scheme: str, act: Callable[[Peer], None]) -> None:
    """Connecting, TLS, logging in, asking for the time and the call share one time-out."""
    with Server(act) as server:
        url = f"{scheme}://:password@127.0.0.1:{server.port}/0"
        store = build_store(Settings(redis_url=SecretStr(url), redis_timeout_ms=TIMEOUT_MS))
        began = clock.monotonic_ms()
        with pytest.raises(StoreUnavailable):
            run(store)
        assert clock.monotonic_ms() - began < TIMEOUT_MS + SLACK_MS
