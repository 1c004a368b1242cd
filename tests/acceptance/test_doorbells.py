"""Doorbells cost no bookkeeping in Redis, and workers prefetch no more than their limit."""

from __future__ import annotations

from celery import Celery

from tests.support.polling import eventually
from tests.support.world import World
from worker import Outcome
from worker.model.jobs import State


def test_doorbells_are_acknowledged_at_once_and_plain_messages_late(world: World) -> None:
    """A running cancel has no doorbell in Redis; a plain message is kept until it is recorded."""
    world.tables = {"worker": {"concurrency": 2}}
    world.sim.set_option("delay_ms", 2_000)
    world.sim.fault_next("delay", exchange="everstrike")
    world.sim.fault_next("delay", exchange="indodax")
    (mine,), (theirs,) = world.place("ev"), world.place("ix")
    redis = world.store().client
    world.worker()
    ticket = world.producer().cancel("ev", mine)
    eventually(lambda: len(world.sim.journal()) == 1)
    assert not redis.exists("cx:unacked", "cx:unacked_index")
    plain = Celery("stranger", broker=world.redis_url)
    plain.send_task("worker.cancel", args=["ix", theirs, "btc_idr", "buy"])
    eventually(lambda: len(world.sim.journal()) == 2)
    assert redis.hlen("cx:unacked") == 1
    assert ticket.wait(timeout_ms=10_000).outcome is Outcome.CANCELED
    eventually(lambda: world.status("ix", theirs) == "canceled")
    eventually(lambda: not redis.exists("cx:unacked", "cx:unacked_index"))


def test_a_worker_prefetches_no_more_doorbells_than_its_limit(world: World) -> None:
    """With all threads busy, the other doorbells stay in the queue for other workers."""
    world.tables = {"worker": {"concurrency": 1, "exchange_threads": 1}}
    world.sim.set_option("delay_ms", 2_000)
    orders = world.place("ev", count=30)
    for _ in orders:
        world.sim.fault_next("delay", exchange="everstrike")
    producer = world.producer()
    world.worker()
    for order_id in orders:
        producer.cancel("ev", order_id)
    eventually(lambda: len(world.sim.journal()) >= 1)
    assert int(world.store().client.llen("cx:everstrike")) >= 30 - 2 * 4  # type: ignore[arg-type]


def test_plain_messages_are_read_while_an_exchange_hangs(world: World) -> None:
    """Doorbells that wait for its threads leave room for what is for others."""
    world.tables = {
        "worker": {"concurrency": 1, "exchange_threads": 1},
        "http": {"deadline_ms": 20_000},
        "jobs": {"lease_ms": 30_000},
    }
    world.sim.set_option("delay_ms", 15_000)
    orders, (theirs,) = world.place("ev", count=30), world.place("ix")
    world.sim.fault_next("delay", exchange="everstrike", times=len(orders))
    producer = world.producer()
    world.worker()
    tickets = [producer.cancel("ev", order_id) for order_id in orders]
    redis = world.store().client
    eventually(
        lambda: int(redis.llen("cx:everstrike")) <= 30 - 4,  # type: ignore[arg-type]
        what="waiting doorbells",
    )
    plain = Celery("stranger", broker=world.redis_url)
    plain.send_task("worker.cancel", args=["ix", theirs, "btc_idr", "buy"])
    eventually(lambda: world.status("ix", theirs) == "canceled")
    assert all(ticket.result().state is State.PENDING for ticket in tickets)
