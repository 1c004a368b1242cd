"""The main job on real processes: strategy → Redis → worker → exchange → proof."""

from __future__ import annotations

from tests.support.world import KEYS, World
from worker import Outcome


def scope(alias: str) -> dict[str, str]:
    """Return what an exchange needs beyond the order's id."""
    return {"pair": "btc_idr", "side": "buy"} if KEYS[alias][0] == "indodax" else {}


def test_cancels_are_proven_on_every_exchange(world: World) -> None:
    """One order on each exchange is taken off the book and reported so."""
    world.worker()
    producer = world.producer()
    for alias in KEYS:
        (order_id,) = world.place(alias)
        result = producer.cancel(alias, order_id, **scope(alias)).wait(timeout_ms=10_000)
        assert result.outcome is Outcome.CANCELED, result
        assert result.proven
        assert world.status(alias, order_id) == "canceled"
