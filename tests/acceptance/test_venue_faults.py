"""Cancels through real workers at exchanges that inject every fault they have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.own_faults import passing
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
OWN = passing(("ga", "gf", "bb", "de", "ku", "hl"))
"""By alias, the faults of its exchange alone."""
LONG = passing(("bn", "bu", "ok", "kr", "i2", "ev", "ix", "bm"))
"""Those of exchanges that `test_faults` and `test_venues` try in the suite."""
OF_CCXT: dict[str, tuple[str, ...]] = {"bv": (), "wb": (), "wo": (), "bg": ()}
"""Those of ccxt: `-k ccxt` runs them alone."""
KRAKEN_CALLS = 20
"""Of a key at once, and in 20 s: the highest tier."""
SIDES = {"ix": "buy"}
"""Where a cancel names a side."""
ORDERS, ALL_ORDERS = 8, 300
"""An exchange's, in the suite and with `--rounds 4` or more."""
SUITE_ROUNDS = 3
RATE = 0.05
TRUTH = {"canceled": Outcome.CANCELED, "filled": Outcome.GONE}
OURS = {"signature", "nonce", "rate", "timestamp", "key", "request"}
"""Refusals that a mistake of ours would cause."""


@pytest.fixture
def world(sim: Simulator, redis_url: str, tmp_path: Path) -> Iterator[World]:
    """A world with an account at each exchange."""
    made = World(sim, redis_url, tmp_path, aliases=(*OWN, *LONG, *OF_CCXT))
    made.limits = {
        **made.limits,
        "kr": {"calls": {"max_requests": KRAKEN_CALLS, "window_ms": 20_000}},
    }
    sim.set_option("kraken_calls", KRAKEN_CALLS)
    sim.set_option("kraken_calls_per_s", 1.0)
    made.top = {"redis_timeout_ms": 10_000}  # a busy machine is no outage
    made.tables = {
        "http": {"deadline_ms": 400},
        "jobs": {"lease_ms": 3_000, "backoff_max_ms": 1_000},
    }
    yield made
    made.close()


@pytest.mark.timeout(3_700)
def test_outcomes_match_the_order_books_under_every_fault(world: World, rounds: int) -> None:
    """Every order is closed, and each outcome is what the exchange did."""
    thorough = rounds > SUITE_ROUNDS
    _judge(world, {**OWN, **(LONG if thorough else {})}, thorough=thorough)


@pytest.mark.timeout(3_700)
def test_outcomes_match_the_order_books_at_exchanges_of_ccxt(world: World, rounds: int) -> None:
    """The same through profiles."""
    _judge(world, OF_CCXT, thorough=rounds > SUITE_ROUNDS)


def _judge(world: World, faults: dict[str, tuple[str, ...]], *, thorough: bool) -> None:
    placed = {alias: world.place(alias, ALL_ORDERS if thorough else ORDERS) for alias in faults}
    for alias, own in faults.items():
        exchange = ALL_KEYS[alias][0]
        world.sim.fill_race(exchange, RATE)
        world.sim.set_faults(dict.fromkeys((*FAULTS, *own), RATE), exchange=exchange)
    for _ in range(2 if thorough else 1):
        world.worker()
    producer = world.producer()
    tickets = [
        (alias, ticket)
        for alias, ids in placed.items()
        for ticket in producer.cancel_many(
            alias, ids, pair=PAIRS.get(alias, "btc_idr"), side=SIDES.get(alias)
        )
    ]
    eventually(
        lambda: all(ticket.result().state is not State.PENDING for _, ticket in tickets),
        within_ms=3_600_000 if thorough else 100_000,
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
    jumps = {ALL_KEYS[alias][0] for alias, own in faults.items() if "reject_nonce" in own}
    refusals = Counter(
        arrival.refusal
        for arrival in journal
        # Once the last nonce has jumped, the exchange refuses what is under way.
        if arrival.refusal and not (arrival.refusal == "nonce" and arrival.exchange in jumps)
    )
    assert not refusals.keys() & OURS, refusals
    met = Counter(arrival.exchange for arrival in journal if arrival.fault)
    assert met.keys() == {ALL_KEYS[alias][0] for alias in faults}
    ends = Counter((alias, str(result.outcome)) for alias, _, result in results)
    for alias in faults:
        exchange, attempts = (
            ALL_KEYS[alias][0],
            sum(r.attempts for a, _, r in results if a == alias),
        )
        told = ", ".join(f"{count} {end}" for (which, end), count in ends.items() if which == alias)
        print(f"{exchange}: {told}; {attempts} attempts, {met[exchange]} faults")  # noqa: T201
