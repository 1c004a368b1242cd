"""Redis down: a producer raises within a second, however it is down."""

from __future__ import annotations

import functools
import signal
import socket
from collections.abc import Callable, Iterator

import pytest

from tests.support.persistence import until_written
from worker import Producer, StoreUnavailable, Ticket, clock
from worker.config.settings import Settings
from worker.store.embedded import EmbeddedRedis, own_port

WITHIN_MS = 1_000
SECRET = "Zk9-planted-secret-0123456789"
CALLS: dict[str, Callable[[Producer, Ticket | None], object]] = {
    "cancel": lambda producer, _: producer.cancel("ev", "a1"),
    "cancel many": lambda producer, _: producer.cancel_many("ev", [f"o{n}" for n in range(2_000)]),
    "cancel all": lambda producer, _: producer.cancel_all("ev"),
    "unknown account": lambda producer, _: producer.cancel("elsewhere", "a1"),
    "ticket": lambda producer, _: producer.ticket("j1"),
    "result": lambda _, ticket: ticket and ticket.result(),
    "wait": lambda _, ticket: ticket and ticket.wait(timeout_ms=60_000),
}


@pytest.fixture(autouse=True)
def no_config(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKER_CONFIG", "")


def producer_at(url: str) -> Producer:
    """Return a producer that has not yet spoken to Redis."""
    return Producer(Settings(redis_url=url, accounts={"ev": {"exchange": "everstrike"}}))


def assert_away(call: Callable[[], object]) -> None:
    """A call fails in time, and without the address."""
    began = clock.monotonic_ms()
    with pytest.raises(StoreUnavailable) as caught:
        call()
    assert clock.monotonic_ms() - began < WITHIN_MS
    text = str(caught.value)
    assert text
    assert "\n" not in text
    assert SECRET not in text
    assert "127.0.0.1" not in text


@pytest.mark.parametrize("name", ["cancel", "cancel many", "cancel all", "unknown account"])
def test_nothing_listens(name: str) -> None:
    """A cold call where no Redis is fails at once."""
    producer = producer_at(f"redis://:{SECRET}@127.0.0.1:{own_port()}/0")
    assert_away(lambda: CALLS[name](producer, None))


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_silent_server(silent_port: int) -> None:
    """A cold call into silence, password and all, fails within a second."""
    producer = producer_at(f"redis://:{SECRET}@127.0.0.1:{silent_port}/3")
    assert_away(lambda: producer.cancel("ev", "a1"))


def test_killed_redis(own_redis: EmbeddedRedis) -> None:
    """Every warm call fails in time once Redis is gone, and works once it is back."""
    producer = producer_at(own_redis.url)
    ticket = producer.cancel("ev", "a1")
    until_written(own_redis)
    assert own_redis.process is not None
    own_redis.process.kill()
    own_redis.process.wait(10)
    for call in CALLS.values():
        assert_away(functools.partial(call, producer, ticket))
    own_redis.start()
    assert producer.cancel("ev", "a1").id == ticket.id
    assert ticket.result().detail == "not attempted yet"


def test_frozen_redis(own_redis: EmbeddedRedis) -> None:
    """Warm and cold calls into a frozen Redis fail within a second, after one more try."""
    warm, cold = producer_at(own_redis.url), producer_at(own_redis.url)
    ticket = warm.cancel("ev", "a1")
    assert own_redis.process is not None
    own_redis.process.send_signal(signal.SIGSTOP)
    try:
        assert_away(lambda: warm.cancel("ev", "a2"))
        assert_away(lambda: cold.cancel("ev", "a3"))
        assert_away(ticket.result)
    finally:
        own_redis.process.send_signal(signal.SIGCONT)
    # What was asked of it while it was frozen may have been done: asking again is safe.
    again = [warm.cancel("ev", "a2"), warm.cancel("ev", "a2")]
    assert again[0].id == again[1].id
    assert not again[1].fresh


@pytest.mark.parametrize(("setting", "value"), [("maxmemory", "1"), ("min-replicas-to-write", "3")])
def test_redis_that_refuses(own_redis: EmbeddedRedis, setting: str, value: str) -> None:
    """A Redis without memory or replicas takes nothing, says why, and half a job is not kept."""
    producer = producer_at(own_redis.url)
    client = producer._ledger._store.client  # noqa: SLF001
    client.config_set(setting, value)
    with pytest.raises(StoreUnavailable, match=r"Redis refused: .*(OOM|NOREPLICAS)"):
        producer.cancel("ev", "a1")
    client.config_set(setting, "0")
    assert client.dbsize() == 0
    assert producer.cancel("ev", "a1").fresh


def test_wrong_password(own_redis: EmbeddedRedis) -> None:
    """A Redis that does not let us in counts as down, and the password is not shown."""
    client = producer_at(own_redis.url)._ledger._store.client  # noqa: SLF001
    client.config_set("requirepass", "another")
    assert_away(
        lambda: producer_at(own_redis.url.replace("//", f"//:{SECRET}@")).cancel("ev", "a1")
    )
    assert_away(lambda: producer_at(own_redis.url).cancel("ev", "a1"))
