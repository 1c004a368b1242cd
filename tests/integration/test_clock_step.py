"""The clock of Redis's host steps: shared time does not follow, and no switch is affected."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import pytest
import redis

from tests.support.polling import eventually
from tests.support.world import World
from worker import clock
from worker.client.switch import Switch
from worker.dispatch.dispatcher import Dispatcher
from worker.errors import StoreUnavailable, SwitchTripped
from worker.factory import build_dispatcher
from worker.model.constants import PRESENCE_MS
from worker.simulator import Simulator
from worker.store import scripts
from worker.store.connection import Store, connect
from worker.store.embedded import EmbeddedRedis

AHEAD = "host:ahead"
RAW = f"""local function raw_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000) + tonumber(redis.call('GET', '{AHEAD}') or 0)
end"""
WINDOW_MS = 10_000


@pytest.fixture(autouse=True)
def _host_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have scripts see a clock that the test can step."""
    real = scripts.source
    monkeypatch.setattr(
        scripts, "source", lambda name: RAW if name == "lib/raw_time" else real(name)
    )


@contextmanager
def engines(world: World, count: int) -> Iterator[list[Dispatcher]]:
    """Run workers in this process, until each has given a sign of life."""
    with ExitStack() as stack:
        started = []
        for _ in range(count):
            engine = build_dispatcher(world.settings())
            engine.start()
            stack.callback(engine.stop)
            started.append(engine)
        workers = world.store().client
        eventually(lambda: workers.zcard("cx:workers") == count, what="the workers live")
        # Only who has read the clock can see it step.
        eventually(lambda: all(engine._membership._offset_ms is not None for engine in started))  # noqa: SLF001
        yield started


def step(client: redis.Redis, ms: int) -> None:
    """Step the clock of Redis's host."""
    client.incrby(AHEAD, ms)


def offset_ms(client: redis.Redis) -> int:
    """Return what shared time is ahead of that clock."""
    value: Any = client.hget("cx:clock", "offset")
    return int(value or 0)


def beat_for(ms: float, *switches: Switch) -> None:
    """Beat for a while; any refusal fails the test."""
    until = clock.monotonic_ms() + ms

    def beaten() -> bool:
        for switch in switches:
            switch.beat()
        return clock.monotonic_ms() > until

    eventually(beaten, within_ms=ms + 5_000, pause_ms=50)


def state(switch: Switch) -> str:
    """Return a switch's state as Redis has it."""
    record = switch.record()
    assert record is not None
    return record.state


@pytest.mark.parametrize("workers", [1, 2])
def test_a_clock_set_back_stops_nothing(
    world: World, workers: int, caplog: pytest.LogCaptureFixture
) -> None:
    """A silent switch trips on time, a renewed one stays, and cancels continue."""
    strategy, client = world.producer(), world.store().client
    with engines(world, workers):
        (order,) = world.place("ev", pair="btc_idr")
        silent = strategy.arm("ev", pairs=["btc_idr"], timeout_ms=3_000)
        armed = clock.monotonic_ms()
        native = strategy.arm("ix", pairs=["btc_idr"], timeout_ms=6_000)
        (kept,) = world.place("ix", pair="btc_idr")
        step(client, -60_000)
        (other,) = world.place("ev", pair="eth_idr")
        ticket = strategy.cancel("ev", other)
        assert ticket.wait(timeout_ms=5_000).outcome == "CANCELED"
        beat_for(3_000 - (clock.monotonic_ms() - armed), native)
        eventually(lambda: world.status("ev", order) == "canceled", what="the silent one trips")
        assert clock.monotonic_ms() - armed < 5_000
        assert state(silent) == "tripped"
        beat_for(3_500, native)
        assert state(native) == "armed"
        assert world.status("ix", kept) == "open"
        eventually(lambda: "stepped by -6" in caplog.text or "stepped by -59" in caplog.text)
    assert abs(offset_ms(client) - 60_000) < 150


@pytest.mark.parametrize(("workers", "ms"), [(1, 12_000), (2, 12_000), (2, 2_000), (2, 600)])
def test_a_clock_set_forward_trips_nothing(
    world: World, workers: int, ms: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Renewed switches stay, no beat is refused, and the step is taken back once."""
    strategy, client = world.producer(), world.store().client
    with engines(world, workers):
        (order,) = world.place("ev", pair="btc_idr")
        emulated = strategy.arm("ev", pairs=["btc_idr"], timeout_ms=3_000)
        native = strategy.arm("ix", pairs=["btc_idr"], timeout_ms=6_000)
        beat_for(300, emulated, native)
        step(client, ms)
        beat_for(3_500, emulated, native)
        assert (state(emulated), state(native)) == ("armed", "armed")
        assert world.status("ev", order) == "open"
        eventually(lambda: abs(offset_ms(client) + ms) < 100, what="the step is taken back")
        eventually(lambda: "the clock of Redis's host stepped by" in caplog.text)
        eventually(lambda: world.status("ev", order) == "canceled", what="it trips in the end")


@pytest.mark.parametrize("ms", [12_000, 2_000])
def test_a_clock_set_forward_forgets_no_window(world: World, ms: int) -> None:
    """The exchange counts no more countdowns in 10 s than it allows."""
    strategy, client, sim = world.producer(), world.store().client, world.sim

    def countdowns(sim: Simulator) -> list[float]:
        return sorted(each.at_ms for each in sim.journal() if each.operation == "countdown")

    with engines(world, 2):
        for i in range(10):
            strategy.arm("ix", pairs=[f"c{i}_idr"], timeout_ms=round(30_000 * 1.35**i))
        eventually(lambda: len(countdowns(sim)) == 10, within_ms=20_000)
        step(client, ms)
        for i in range(10, 14):
            strategy.arm("ix", pairs=[f"c{i}_idr"], timeout_ms=round(30_000 * 1.35**i))
        eventually(lambda: len(countdowns(sim)) > 10, within_ms=20_000)
    at = countdowns(sim)
    assert all(later - earlier >= WINDOW_MS for earlier, later in zip(at, at[10:], strict=False))


def test_a_frozen_redis_is_no_step(world: World, own_redis: EmbeddedRedis) -> None:
    """What the workers have lived through too is real time: a silent switch trips."""
    world.redis_url = own_redis.url
    strategy, client = world.producer(), world.store().client
    assert own_redis.process is not None
    with engines(world, 2):
        (order,) = world.place("ev", pair="btc_idr")
        strategy.arm("ev", pairs=["btc_idr"], timeout_ms=3_000)
        armed = clock.monotonic_ms()
        os.kill(own_redis.process.pid, signal.SIGSTOP)
        try:
            eventually(lambda: clock.monotonic_ms() - armed > 3_000, pause_ms=50)
        finally:
            os.kill(own_redis.process.pid, signal.SIGCONT)
        eventually(lambda: world.status("ev", order) == "canceled", within_ms=2_500)
    assert offset_ms(client) == 0


@pytest.mark.parametrize("ms", [12_000, -12_000])
def test_one_worker_alone_moves_nothing_while_another_lives(world: World, ms: int) -> None:
    """Its own clock is wrong; it finds that others live by the time, and continues."""
    strategy, client = world.producer(), world.store().client
    with engines(world, 2) as (liar, _):
        time = liar._due_poll._store.time  # noqa: SLF001
        time._local = lambda: clock.monotonic_ms() - ms  # noqa: SLF001
        liar._due_poll._store.local_ms = time._local  # noqa: SLF001
        (order,) = world.place("ev", pair="btc_idr")
        emulated = strategy.arm("ev", pairs=["btc_idr"], timeout_ms=3_000)
        beat_for(4_000, emulated)
        assert world.status("ev", order) == "open"
        since: Any = client.zscore("cx:workers", liar.name)
        eventually(lambda: client.zscore("cx:workers", liar.name) != since, what="it goes on")
    assert offset_ms(client) == 0


@pytest.mark.parametrize("seen", [False, True])
def test_a_worker_that_starts_right_after_a_step_trips_nothing(world: World, *, seen: bool) -> None:
    """Beside one that sees it, before or after, and waits for one that was killed a moment ago."""
    strategy, client = world.producer(), world.store().client
    with engines(world, 1):
        (order,) = world.place("ev", pair="btc_idr")
        beaten = strategy.arm("ev", pairs=["btc_idr"], timeout_ms=4_000)
        beat_for(300, beaten)
        client.zadd("cx:workers", {"killed": clock.now_ms() + offset_ms(client)})
        newcomer = build_dispatcher(world.settings())
        step(client, 12_000)
        if seen:
            eventually(lambda: client.hget("cx:clock", "doubt"), what="the one has seen it")
        newcomer.start()
        try:
            until = clock.monotonic_ms() + 8_000
            while clock.monotonic_ms() < until:
                # It waits for workers for as long as a call may take.
                with suppress(StoreUnavailable):
                    beaten.beat()
                clock.sleep_ms(50)
        finally:
            newcomer.stop()
        assert state(beaten) == "armed"
        assert world.status("ev", order) == "open"
    assert abs(offset_ms(client) + 12_000) < 600


def test_a_strategy_that_starts_right_after_a_step_waits_for_workers(world: World) -> None:
    """It knows of no earlier time, and would find every switch past its deadline."""
    client = world.store().client
    with engines(world, 2):
        switch = world.producer().arm("ev", pairs=["btc_idr"], timeout_ms=3_000)
        for _ in range(5):
            step(client, 12_000)
            again = world.producer().switch(switch.id)
            again.beat()
            switch.beat()
            assert state(switch) == "armed"


def test_what_a_strategy_writes_in_stepped_time_counts_from_real_time(world: World) -> None:
    """It started after the step, while no worker could say so; one takes the step back later."""
    client, worker = world.store().client, world.store()
    worker.time.voter = "w"
    worker.run("heartbeat", "w", PRESENCE_MS, "digest", PRESENCE_MS, "")
    step(client, 12_000)
    armed = world.producer().arm("ev", pairs=["btc_idr"], timeout_ms=4_000)
    beaten = world.producer().arm("ev", pairs=["eth_idr"], timeout_ms=4_000)
    world.producer().switch(beaten.id).beat()
    world.producer().cancel("ev", "a1")
    worker.time.suspect = True
    now = worker.run("tick")
    assert abs(offset_ms(client) + 12_000) < 100
    for switch in (armed, beaten):
        record = switch.record()
        assert record is not None
        assert 0 < record.deadline_ms - now <= 4_000
    due: Any = client.zrange("cx:due:everstrike:ev:switch", 0, -1, withscores=True)
    assert [at <= now + 4_000 for _, at in due] == [True, True]
    due = client.zrange("cx:due:everstrike:ev", 0, -1, withscores=True)
    assert [at <= now for _, at in due] == [True]


def test_a_strategy_alone_moves_nothing(world: World) -> None:
    """Where no worker is alive, time is followed as it is."""
    strategy, client = world.producer(), world.store().client
    switch = strategy.arm("ev", pairs=["btc_idr"], timeout_ms=3_000)
    switch.beat()
    step(client, 12_000)
    with pytest.raises(SwitchTripped):
        switch.beat()
    assert offset_ms(client) == 0


def test_an_idle_script_writes_nothing_of_time(redis_url: str) -> None:
    """Shared time is written down when it has moved, and by no script that only reads."""
    store = Store(connect(redis_url, timeout_ms=2_000), prefix="cx:")
    store.run("lease", "beat", "a", 1_000)
    assert not store.client.exists("cx:clock")
    store.run("tick")
    noted: Any = store.client.hget("cx:clock", "last")
    eventually(lambda: store.run("tick") >= int(noted) + 50)
    later: Any = store.client.hget("cx:clock", "last")
    assert int(later) >= int(noted) + 50
