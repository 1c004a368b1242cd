"""Cancels through real processes: strategy → Redis → worker → exchange → proof."""

from __future__ import annotations

import json

from tests.support.polling import eventually
from tests.support.world import KEYS, World
from worker import Outcome


def scope(alias: str) -> dict[str, str]:
    """Return what an exchange needs beyond the order's id."""
    return {"pair": "btc_idr", "side": "buy"} if KEYS[alias][0] == "indodax" else {}


def test_cancels_are_proven_on_every_exchange(world: World) -> None:
    """One order on each exchange is canceled and reported as proven."""
    world.worker()
    producer = world.producer()
    for alias in KEYS:
        (order_id,) = world.place(alias)
        result = producer.cancel(alias, order_id, **scope(alias)).wait(timeout_ms=10_000)
        assert result.outcome is Outcome.CANCELED, result
        assert result.proven
        assert world.status(alias, order_id) == "canceled"


def test_each_order_of_a_batch_has_its_own_log_line(world: World) -> None:
    """Lines of a batch are written together, but each order has one with its outcome."""
    worker = world.worker()
    orders = world.place("ev", 120)
    tickets = world.producer().cancel_many("ev", orders)

    def said() -> set[tuple[str, str, str]]:
        written, _, _ = worker.text().rpartition("\n")  # the last line may yet be coming
        lines = [json.loads(line) for line in written.splitlines() if line.startswith("{")]
        return {
            (line["job"], line["order_id"], line["outcome"])
            for line in lines
            if line["message"] == "done"
        }

    wanted = {(ticket.id, order, "CANCELED") for ticket, order in zip(tickets, orders, strict=True)}
    eventually(lambda: said() == wanted, what="a line for each")
