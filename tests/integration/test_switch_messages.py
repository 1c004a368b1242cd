"""`worker.countdown` of plain Celery clients, through a real worker to the exchange."""

from __future__ import annotations

import pytest
from celery import Celery

from tests.support.polling import eventually
from tests.support.world import KEYS, World
from worker import State, clock

PAIRS = ["a_idr", "b_idr"]
T_MS = 30_000


@pytest.fixture
def client(world: World) -> Celery:
    """Another Celery client: defaults alone."""
    return Celery("stranger", broker=world.redis_url)


def timers(world: World, alias: str = "ix") -> dict[str, float]:
    """Return when the exchange's timers fire, by pair."""
    key = KEYS[alias][1]
    return {timer.pair: timer.fires_at_ms for timer in world.sim.timers() if timer.api_key == key}


def test_a_client_arms_moves_and_disarms(world: World, client: Celery) -> None:
    """Its messages move one switch; late ones shorten, old ones do nothing, 0 stops the timer."""
    world.worker()
    ledger, producer = world.ledger(), world.producer()

    def send(timeout_ms: object, late_ms: int | None = None, pairs: object = PAIRS) -> None:
        kwargs = {"account": "ix", "pairs": pairs, "timeout_ms": timeout_ms}
        if late_ms is not None:
            kwargs["sent_ms"] = clock.now_ms() - late_ms
        client.send_task("worker.countdown", kwargs=kwargs)

    send(T_MS)
    eventually(lambda: sorted(timers(world)) == PAIRS)
    (switch,) = producer.switches()
    send(T_MS, late_ms=10_000)
    send(T_MS // 2, pairs=",".join(PAIRS))
    eventually(lambda: max(timers(world).values()) <= clock.now_ms() + T_MS // 2)
    (again,) = producer.switches()
    assert (again.id, again.epoch) == (switch.id, switch.epoch)
    send(0, late_ms=10_000)
    wrong: list[tuple[object, object, str]] = [
        (T_MS, ["b_idr", "c_idr"], "covers part of this scope (a_idr,b_idr)"),
        (0, ["b_idr"], "covers a_idr, b_idr"),
        (1, ["c_idr"], "timeout_ms must be from"),
        ("30000", ["c_idr"], "timeout_ms must be a whole number"),
        (T_MS, [], "pairs must be a list"),
    ]
    for n, (timeout_ms, pairs, reason) in enumerate(wrong, start=1):
        send(timeout_ms, pairs=pairs)
        eventually(lambda: ledger.dead_count() == n)  # noqa: B023
        (letter,) = ledger.dead(limit=1)
        assert reason in letter.detail
        assert letter.state is State.DEAD
    assert [row.state for row in producer.switches()] == ["armed"]
    send(0)
    eventually(lambda: not timers(world))
    eventually(lambda: [row.state for row in producer.switches()] == ["disarmed"])
    send(T_MS, late_ms=5_000)
    send(T_MS, pairs=["z_idr"])
    eventually(lambda: sorted(timers(world)) == ["z_idr"])
    positive = [a for a in world.sim.journal() if a.operation == "countdown" and a.countdown_ms]
    assert not [a for a in positive if a.refusal]
    assert {pair for a in positive for pair in a.pairs} == {*PAIRS, "z_idr"}
    assert ledger.dead_count() == len(wrong)


def test_a_client_that_falls_silent(world: World, client: Celery) -> None:
    """Its orders are off the book at the deadline, emulated too, and not before."""
    world.worker()
    (order_id,) = world.place("ev", pair="a_idr")
    sent_ms = clock.now_ms()
    kwargs = {"account": "ev", "pairs": ["a_idr"], "timeout_ms": 1_000, "sent_ms": sent_ms}
    client.send_task("worker.countdown", kwargs=kwargs)
    eventually(lambda: world.status("ev", order_id) == "canceled")
    closed_ms = world.sim.order("everstrike", order_id).closed_ms
    assert closed_ms is not None
    assert closed_ms >= sent_ms + 1_000
