"""Plain countdown messages take effect in the order of sending, across threads and workers."""

from __future__ import annotations

import pytest
from celery import Celery

from tests.support.polling import eventually
from tests.support.world import World
from worker import clock

COUNT = 300
T_MS = 600_000


@pytest.mark.parametrize(("workers", "timed"), [(1, True), (2, True), (1, False)])
def test_a_switch_armed_and_disarmed_in_quick_succession_ends_disarmed(
    world: World, workers: int, *, timed: bool
) -> None:
    """Many threads process hundreds of pairs of messages at once."""
    for _ in range(workers):
        world.worker()
    client = Celery("stranger", broker=world.redis_url)

    def send(pair: str, timeout_ms: int, sent_ms: int) -> None:
        kwargs = {"account": "ev", "pairs": [pair], "timeout_ms": timeout_ms}
        kwargs |= {"sent_ms": sent_ms} if timed else {}
        client.send_task("worker.countdown", kwargs=kwargs)

    for n in range(COUNT):
        now_ms = clock.now_ms()
        send(f"p{n}_usd", T_MS, now_ms)
        send(f"p{n}_usd", 0, now_ms + 1)
    last_ms = clock.now_ms()
    send("last_usd", T_MS, last_ms)
    store = world.store()
    eventually(lambda: not store.client.exists("celery", "cx:unacked"), what="all are read")
    states = {s.pairs: s.state for s in world.producer().switches(limit=2 * COUNT)}
    assert states.pop(("last_usd",)) == "armed"
    assert "armed" not in states.values()


def test_a_newer_message_waits_for_an_older_disarm_of_overlapping_pairs(world: World) -> None:
    """A newer arm or disarm of some of the pairs still takes effect."""
    world.worker()
    client = Celery("stranger", broker=world.redis_url)
    ledger, producer = world.ledger(), world.producer()

    def send(pairs: list[str], timeout_ms: int, sent_ms: int) -> None:
        kwargs = {"account": "ev", "pairs": pairs, "timeout_ms": timeout_ms, "sent_ms": sent_ms}
        client.send_task("worker.countdown", kwargs=kwargs)

    def states() -> dict[tuple[str, ...], str]:
        return {switch.pairs: switch.state for switch in producer.switches()}

    first_ms = clock.now_ms()
    for both in (["a_usd", "b_usd"], ["c_usd", "d_usd"]):
        send(both, T_MS, first_ms)
    eventually(lambda: len(states()) == 2)
    send(["a_usd"], T_MS, first_ms + 2)
    send(["c_usd"], T_MS, first_ms + 2)
    send(["c_usd"], 0, first_ms + 3)
    eventually(lambda: len(ledger.deferred()) == 3)
    for both in (["a_usd", "b_usd"], ["c_usd", "d_usd"]):
        send(both, 0, first_ms + 1)
    eventually(lambda: not ledger.deferred())
    assert states()["a_usd",] == "armed"
    assert states()["a_usd", "b_usd"] == states()["c_usd", "d_usd"] == "disarmed"
    assert states().get(("c_usd",), "disarmed") == "disarmed"
    assert not ledger.dead_count()
    send(["a_usd", "e_usd"], T_MS, clock.now_ms())
    eventually(ledger.dead_count)
    assert "covers part of this scope" in ledger.dead(limit=1)[0].detail
    eventually(lambda: not ledger.deferred())
