"""Cancels through real workers at exchanges that inject every fault they have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.polling import eventually
from tests.support.world import ALL_KEYS, PAIRS, World
from worker import Outcome, State
from worker.simulator import Simulator

FAULTS = (
    "accept_then_drop",
    "drop_before",
    "delay",
    "drip",
    "half_body",
    "html_5xx",
    "throttle",
    "throttle_retry_after",
    "garbage",
)
OWN = {
    "ga": ("gate_internal", "gate_cancel_fail"),
    "gf": ("gate_internal", "gate_cancel_fail"),
    "bb": ("bybit_timeout", "bybit_server"),
    "de": ("deribit_retry", "deribit_timed_out"),
    "ku": ("kucoin_open", "kucoin_internal"),
    "hl": ("hyperliquid_internal", "hyperliquid_spent", "reject_nonce"),
}
"""By alias, the faults of its exchange alone."""
ORDERS, ALL_ORDERS = 12, 300
"""An exchange's, in the suite and with `--rounds 4` or more."""
SUITE_ROUNDS = 3
RATE = 0.05
TRUTH = {"canceled": Outcome.CANCELED, "filled": Outcome.GONE}
OURS = {"signature", "nonce", "rate", "timestamp", "key", "request"}
"""Refusals that a mistake of ours would cause."""


@pytest.fixture
def world(sim: Simulator, redis_url: str, tmp_path: Path) -> Iterator[World]:
    """A world with an account at each exchange."""
    made = World(sim, redis_url, tmp_path, aliases=tuple(OWN))
    made.tables = {
        "http": {"deadline_ms": 400},
        "jobs": {"lease_ms": 3_000, "backoff_max_ms": 1_000},
    }
    yield made
    made.close()


@pytest.mark.timeout(1_300)
def test_outcomes_match_the_order_books_under_every_fault(world: World, rounds: int) -> None:
    """Every order is closed, and each outcome is what the exchange did."""
    thorough = rounds > SUITE_ROUNDS
    placed = {alias: world.place(alias, ALL_ORDERS if thorough else ORDERS) for alias in OWN}
    for alias, own in OWN.items():
        exchange = ALL_KEYS[alias][0]
        world.sim.fill_race(exchange, RATE)
        world.sim.set_faults(dict.fromkeys((*FAULTS, *own), RATE), exchange=exchange)
    for _ in range(2 if thorough else 1):
        world.worker()
    producer = world.producer()
    tickets = [
        (alias, ticket)
        for alias, ids in placed.items()
        for ticket in producer.cancel_many(alias, ids, pair=PAIRS[alias])
    ]
    eventually(
        lambda: all(ticket.result().state is not State.PENDING for _, ticket in tickets),
        within_ms=1_200_000 if thorough else 100_000,
        pause_ms=500,
        what="every job has ended",
    )
    results = [(alias, ticket.order_id or "", ticket.result()) for alias, ticket in tickets]
    wrong = [
        (alias, order_id, world.status(alias, order_id), result)
        for alias, order_id, result in results
        if result.state is not State.DONE
        or result.outcome is not TRUTH.get(world.status(alias, order_id))
    ]
    assert not wrong, wrong[:5]
    journal = world.sim.journal()
    refusals = Counter(arrival.refusal for arrival in journal if arrival.refusal)
    assert not refusals.keys() & OURS, refusals
    met = {arrival.fault for arrival in journal if arrival.fault}
    assert met
