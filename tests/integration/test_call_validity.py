"""A call that its caller has given up changes nothing when Redis runs it."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
import redis

from tests.support.delaying_proxy import Held
from tests.support.polling import eventually
from tests.support.stepped_time import KEY, START_MS, Stepped
from tests.support.switchboard import Board
from worker import Producer, clock
from worker.client.switch import Switch
from worker.config.settings import Settings
from worker.errors import StoreUnavailable
from worker.store.connection import Store, connect
from worker.store.embedded import EmbeddedRedis
from worker.store.tokens import Tokens

SECRETS = {"api_key": "key-0123456789", "api_secret": "secret-0123456789"}
ACCOUNTS = {"ev": {"exchange": "everstrike", **SECRETS}, "ix": {"exchange": "indodax", **SECRETS}}
T_MS = 60_000


@pytest.fixture
def stepped(redis_url: str) -> Stepped:
    """Redis on stepped time."""
    return Stepped(redis_url)


def producer(port: int) -> Producer:
    """Return a producer that waits for Redis no longer than it must."""
    url = f"redis://127.0.0.1:{port}/0"
    return Producer(Settings(redis_url=url, redis_timeout_ms=300, accounts=ACCOUNTS))


@contextmanager
def frozen(own_redis: EmbeddedRedis) -> Iterator[None]:
    """Freeze the server's process."""
    assert own_redis.process is not None
    os.kill(own_redis.process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(own_redis.process.pid, signal.SIGCONT)


def late(client: redis.Redis) -> int:
    """Return how many calls were refused as late."""
    errors: Any = client.info("errorstats")
    return int(errors.get("errorstat_LATE", {}).get("count", 0))


def contents(client: redis.Redis) -> dict[str, Any]:
    """Return all that Redis holds, but for what time it was when a script last ran."""
    return {key: client.dump(key) for key in client.scan_iter("*") if key != "cx:clock"}


CALLS: dict[str, Callable[[Producer, Switch, str], object]] = {
    "beat": lambda _, switch, __: switch.beat(),
    "track": lambda _, switch, name: switch.track(name),
    "untrack": lambda _, switch, __: switch.untrack("ev-tracked"),
    "disarm": lambda _, switch, __: switch.disarm(),
    "arm": lambda strategy, _, name: strategy.arm("ev", order_ids=[name], timeout_ms=T_MS),
    "cancel": lambda strategy, _, name: strategy.cancel("ev", name),
    "told": lambda strategy, _, name: strategy._switches.told(name),  # noqa: SLF001
}


@pytest.mark.parametrize("verb", CALLS)
def test_nothing_that_was_given_up_takes_effect(own_redis: EmbeddedRedis, verb: str) -> None:
    """Redis is frozen, the call fails, and once Redis continues nothing has changed."""
    client = connect(own_redis.url, timeout_ms=5_000)
    client.zadd("cx:tripped", {"second": 1})
    strategy = producer(own_redis.port)
    first = strategy.arm("ev", order_ids=["a1"], timeout_ms=T_MS)
    second = strategy.arm("ev", order_ids=["ev-tracked"], timeout_ms=T_MS)
    CALLS[verb](strategy, first, "first")  # from now on Redis knows the script
    before = contents(client)
    with frozen(own_redis), pytest.raises(StoreUnavailable):
        CALLS[verb](strategy, second, "second")
    eventually(lambda: late(client) == 1, what="the call was refused")
    assert contents(client) == before


@pytest.mark.parametrize("verb", ["begin_refresh", "put"])
def test_no_token_that_was_given_up_is_shared(own_redis: EmbeddedRedis, verb: str) -> None:
    """Nor is a turn to fetch one taken."""
    access = Settings(accounts=ACCOUNTS).access("ev")
    tokens = Tokens(Store(connect(own_redis.url, timeout_ms=300), prefix="cx:"))
    assert tokens.get("ev", access, now_ms=0) is None
    tokens.drop("ev", tokens.put("ev", access, "t", until_ms=T_MS, now_ms=0))
    assert tokens.begin_refresh("ev", lease_ms=T_MS)
    tokens.end_refresh("ev")
    calls: dict[str, Callable[[], object]] = {
        "put": lambda: tokens.put("ev", access, "t", until_ms=T_MS, now_ms=0),
        "begin_refresh": lambda: tokens.begin_refresh("ev", lease_ms=T_MS),
    }
    with frozen(own_redis), pytest.raises(StoreUnavailable):
        calls[verb]()
    client = connect(own_redis.url, timeout_ms=5_000)
    eventually(lambda: late(client) >= 1, what="the call was refused")
    assert contents(client) == {}


def test_an_arm_that_comes_after_a_later_disarm_is_refused(own_redis: EmbeddedRedis) -> None:
    """The network held it back, and delivers it once the strategy has armed and disarmed."""
    client = connect(own_redis.url, timeout_ms=5_000)
    with Held(own_redis.port) as way:
        strategy = producer(way.port)
        strategy.arm("ev", pairs=["b_x"], timeout_ms=T_MS).disarm()
        way.hold()
        with pytest.raises(StoreUnavailable):
            strategy.arm("ev", pairs=["a_x"], timeout_ms=T_MS)
        way.pass_new()
        switch = strategy.arm("ev", pairs=["a_x"], timeout_ms=T_MS)
        switch.beat()
        switch.disarm()
        way.deliver()
        eventually(lambda: late(client) == 1, what="the call was refused")
        record = switch.record()
    assert record is not None
    assert record.state == "disarmed"


@pytest.mark.parametrize("verb", sorted(CALLS.keys() - {"beat", "told"}))
def test_a_call_that_failed_early_is_not_carried_out_later(
    own_redis: EmbeddedRedis, verb: str
) -> None:
    """Its connection broke while it was on its way; it arrives once its caller continues."""
    client = connect(own_redis.url, timeout_ms=5_000)
    with Held(own_redis.port) as way, ThreadPoolExecutor(1) as caller:
        strategy = producer(way.port)
        first = strategy.arm("ev", order_ids=["a1"], timeout_ms=T_MS)
        second = strategy.arm("ev", order_ids=["ev-tracked"], timeout_ms=T_MS)
        CALLS[verb](strategy, first, "first")
        before = contents(client)
        way.hold()
        call = caller.submit(CALLS[verb], strategy, second, "second")
        assert way.held.wait(5)
        way.cut()
        with pytest.raises(StoreUnavailable):
            call.result()
        way.deliver()
        eventually(lambda: late(client) == 1, what="the call was refused")
    assert contents(client) == before


def test_who_is_refused_a_connection_need_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing was sent that could be carried out later."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    waits: list[float] = []
    monkeypatch.setattr(clock, "sleep_ms", waits.append)
    with pytest.raises(StoreUnavailable):
        producer(port).cancel("ev", "a1")
    assert not waits


@pytest.mark.parametrize("verb", ["beat", "arm"])
def test_a_deadline_counts_from_the_call(redis_url: str, verb: str) -> None:
    """Not from when Redis runs it."""
    board = Board(redis_url)
    armed = board.arm(pairs=["a_x"])
    board.clock.client.set(KEY, START_MS + 2_000)  # Redis was held up; no clock was
    if verb == "beat":
        board.beat(armed)
    else:
        board.arm(pairs=["a_x"])
    record = board.switches.get(armed.switch_id)
    assert record is not None
    assert 0 <= record.deadline_ms - (START_MS + record.timeout_ms) <= 2


def test_a_beat_never_moves_a_deadline_back(redis_url: str) -> None:
    """One that another overtook counts for nothing."""
    board = Board(redis_url)
    armed = board.arm()
    other = Board(redis_url, board.clock)
    board.clock.set(START_MS + 2_000)
    other.beat(armed)
    board.clock.now_ms = START_MS + 1_000  # this one was called before
    board.beat(armed)
    record = board.switches.get(armed.switch_id)
    assert record is not None
    assert record.deadline_ms == START_MS + 2_000 + record.timeout_ms


def test_a_live_call_is_sent_again_when_only_the_measurement_is_stale(stepped: Stepped) -> None:
    """Redis's clock is not where it was measured: it is measured again, within the call."""
    store = stepped.store()
    assert store.run("tick") == START_MS
    stepped.client.config_resetstat()
    stepped.client.set(KEY, START_MS + 3_600_000)
    assert store.run("tick") == START_MS + 3_600_000
    assert late(stepped.client) == 1


def test_measuring_costs_one_round_trip_a_connection(own_redis: EmbeddedRedis) -> None:
    """Calls cost one command each; a new connection is measured before its first script."""
    client = connect(own_redis.url, timeout_ms=5_000)
    store = Store(connect(own_redis.url, timeout_ms=5_000), prefix="cx:")
    store.run("tick")

    def commands(count: int) -> int:
        client.config_resetstat()
        for _ in range(count):
            store.run("tick")
        stats: Any = client.info("commandstats")
        return int(stats["cmdstat_evalsha"]["calls"])

    assert commands(10) == 10
    client.client_kill_filter(_type="normal", skipme=True)
    assert commands(10) == 11


def test_an_old_measurement_is_made_again(own_redis: EmbeddedRedis) -> None:
    """Two clocks drift apart: what was measured long ago would refuse live calls."""
    client = connect(own_redis.url, timeout_ms=5_000)
    ahead_ms = 0.0
    store = Store(
        connect(own_redis.url, timeout_ms=5_000),
        prefix="cx:",
        local=lambda: clock.monotonic_ms() + ahead_ms,
    )
    store.run("tick")
    client.config_resetstat()
    ahead_ms = 120_000
    store.run("tick")
    stats: Any = client.info("commandstats")
    assert stats["cmdstat_evalsha"]["calls"] == 2


def test_the_local_clock_counts_a_suspend() -> None:
    """CLOCK_MONOTONIC stops in one: a call from before it would look valid after it."""
    before = time.clock_gettime(time.CLOCK_BOOTTIME) * 1_000
    assert 0 <= clock.monotonic_ms() - before < 1_000
