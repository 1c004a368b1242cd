"""A Redis at `maxmemory`: accepted work is completed, new work is refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from tests.support.full_redis import VERSIONS, a_redis, fill
from tests.support.polling import eventually
from tests.support.world import World
from worker import Producer, StoreUnavailable
from worker.dispatch.dispatcher import Dispatcher
from worker.factory import build_dispatcher
from worker.model.outcomes import Outcome
from worker.simulator import Simulator
from worker.store.embedded import EmbeddedRedis

SOON_MS = 15_000


@pytest.fixture(params=VERSIONS)
def server(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[EmbeddedRedis]:
    """A Redis of each version."""
    with a_redis(request.param, tmp_path, monkeypatch) as server:
        yield server


@pytest.fixture
def client(server: EmbeddedRedis) -> Iterator[redis.Redis]:
    """A client of it."""
    with redis.Redis(port=server.port, decode_responses=True) as client:
        yield client


@pytest.fixture
def world(server: EmbeddedRedis, sim: Simulator, tmp_path: Path) -> World:
    """Exchanges and settings on it."""
    return World(sim, server.url, tmp_path, tables={"switches": {"min_timeout_ms": 500}})


@pytest.fixture
def engine(world: World) -> Iterator[Dispatcher]:
    """A worker's engine."""
    engine = build_dispatcher(world.settings())
    engine.register()
    engine.start()
    yield engine
    engine.stop()


@pytest.fixture
def producer(world: World) -> Producer:
    """A strategy's producer."""
    return world.producer()


def test_new_work_is_refused(client: redis.Redis, producer: Producer, world: World) -> None:
    """With an error that names the reason; nothing is recorded."""
    armed = producer.arm("ev", order_ids=["a1"], timeout_ms=60_000)
    fill(client)
    for refused in (
        lambda: producer.cancel("ev", "a2"),
        lambda: producer.cancel_all("ev", pair="btc_idr"),
        lambda: producer.arm("ev", pairs=["btc_idr"], timeout_ms=60_000),
        lambda: armed.track("a2"),
    ):
        with pytest.raises(StoreUnavailable, match="it is full"):
            refused()
    assert world.ledger().pending(limit=9) == []


def test_an_armed_switch_is_served(client: redis.Redis, producer: Producer) -> None:
    """Its holder beats, untracks, takes it over and disarms."""
    switch = producer.arm("ev", order_ids=["a1", "a2"], timeout_ms=60_000)
    native = producer.arm("ix", pairs=["btc_idr"], timeout_ms=60_000)
    fill(client)
    for held in (switch, native):
        held.beat()
    again = producer.arm("ix", pairs=["btc_idr"], timeout_ms=60_000)
    again.disarm()
    switch.disarm()


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize("alias", ["ev", "bm"])
def test_a_silent_strategys_orders_come_off(
    client: redis.Redis, producer: Producer, world: World, alias: str
) -> None:
    """Those named, and where workers list a pair's, those found; a token is fetched if needed."""
    named = world.place(alias, 2)
    producer.arm(alias, order_ids=named, timeout_ms=1_000)
    found = world.place("ev", 2, pair="eth_idr")
    producer.arm("ev", pairs=["eth_idr"], timeout_ms=1_000)
    fill(client)
    eventually(
        lambda: (
            {
                *(world.status(alias, order) for order in named),
                *(world.status("ev", order) for order in found),
            }
            == {"canceled"}
        ),
        within_ms=SOON_MS,
        what="the orders are canceled",
    )


@pytest.mark.usefixtures("engine")
def test_a_native_switch_is_kept_and_stopped(
    client: redis.Redis, producer: Producer, world: World
) -> None:
    """The exchange's timer follows the beats, and a disarm stops it."""
    fired = world.place("ix")
    switch = producer.arm("ix", pairs=["btc_idr"], timeout_ms=60_000)
    fill(client)

    def fires_ms() -> int:
        record = producer.switches()[0]
        return record.fires_ms or 0

    eventually(lambda: fires_ms() > 0, within_ms=SOON_MS, what="the exchange holds a timer")
    switch.disarm()
    eventually(
        lambda: client.zcard("cx:due:indodax:ix:switch") == 0,
        within_ms=SOON_MS,
        what="the timer is stopped",
    )
    assert world.status("ix", fired[0]) == "open"


@pytest.mark.usefixtures("engine")
def test_a_pending_job_is_proven(client: redis.Redis, producer: Producer, world: World) -> None:
    """One accepted before is attempted and settled, and one given up is a dead letter."""
    (order,) = world.place("ev")
    world.sim.set_faults({"html_5xx": 1.0}, exchange="everstrike", paths=("cancel",))
    ticket = producer.cancel("ev", order)
    eventually(lambda: ticket.result().attempts > 0, within_ms=SOON_MS, what="it is attempted")
    fill(client)
    world.sim.set_faults({})
    assert ticket.wait(timeout_ms=SOON_MS).outcome is Outcome.CANCELED
