"""Plain countdown messages in the order of sending, whatever threads and workers make of it."""

from __future__ import annotations

import pytest
from celery import Celery

from tests.support.polling import eventually
from tests.support.world import World
from worker import clock

COUNT = 300
T_MS = 600_000


@pytest.mark.parametrize(("workers", "timed"), [(1, True), (2, True), (1, False)])
def test_what_is_armed_and_disarmed_at_once_ends_disarmed(
    world: World, workers: int, *, timed: bool
) -> None:
    """Hundreds of pairs of messages, worked off by many threads at once."""
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
