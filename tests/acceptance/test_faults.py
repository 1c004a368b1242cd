"""Cancels through real workers while the exchanges inject every fault."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest

from tests.support.polling import eventually
from tests.support.world import KEYS, World
from worker import Outcome, State
from worker.client.ticket import Ticket

ORDERS = {"ev": 180, "ix": 40, "it": 100, "bm": 80}
"""By account, in the suite; with `--rounds 4` or more, two and a half times as many."""
RATE = 0.05
DEADLINE_MS, RESEND_MS = 400, 1_000
SUITE_ROUNDS = 3
TOKENS_LOST = 3
ORDER_PATHS = ("cancel", "query", "open_orders", "scope")
FAULTS = (
    "accept_then_drop",
    "drop_before",
    "delay",
    "drip",
    "half_body",
    "html_5xx",
    "throttle",
    "throttle_retry_after",
    "everstrike_503",
    "indodax_error",
    "reject_nonce",
    "garbage",
)
TRUTH = {"canceled": Outcome.CANCELED, "filled": Outcome.GONE}
WITHIN_MS = 100_000


@pytest.mark.timeout(1_300)
def test_outcomes_match_the_order_book_under_every_fault(world: World, rounds: int) -> None:
    """Every order is closed, and each outcome is what the exchange did."""
    thorough = rounds > SUITE_ROUNDS
    world.tables = {
        "http": {"deadline_ms": DEADLINE_MS, "resend_budget_ms": RESEND_MS},
        "jobs": {"lease_ms": 3_000, "backoff_max_ms": 1_000},
    }
    orders = {alias: count * (5 if thorough else 2) // 2 for alias, count in ORDERS.items()}
    placed = {alias: world.place(alias, count) for alias, count in orders.items()}
    for exchange in {exchange for exchange, *_ in KEYS.values()}:
        world.sim.fill_race(exchange, 0.05)
    world.sim.set_faults(dict.fromkeys(FAULTS, RATE))
    # An account gets 5 tokens a minute: losing 5 % of them would take minutes.
    if thorough:
        rates = {**dict.fromkeys(FAULTS, RATE), "expire_token": RATE}
        world.sim.set_faults(rates, exchange="bitmart")
    else:
        world.sim.set_faults(dict.fromkeys(FAULTS, RATE), exchange="bitmart", paths=ORDER_PATHS)
        world.sim.fault_next("expire_token", exchange="bitmart", times=TOKENS_LOST)
    world.worker()
    world.worker()
    producer = world.producer()
    tickets: list[tuple[str, Ticket]] = []
    for alias, ids in placed.items():
        scope = {"pair": "btc_idr", "side": "buy"} if KEYS[alias][0] == "indodax" else {}
        half = len(ids) // 2
        tickets += [(alias, t) for t in producer.cancel_many(alias, ids[:half], **scope)]
        tickets += [(alias, producer.cancel(alias, i, **scope)) for i in ids[half:]]
    eventually(
        lambda: all(ticket.result().state is not State.PENDING for _, ticket in tickets),
        within_ms=1_200_000 if thorough else WITHIN_MS,
        pause_ms=500,
    )
    results = [(alias, ticket.order_id or "", ticket.result()) for alias, ticket in tickets]
    wrong = [
        (alias, order_id, world.status(alias, order_id), result)
        for alias, order_id, result in results
        if result.state is not State.DONE
        or result.outcome is not TRUTH.get(world.status(alias, order_id))
    ]
    assert not wrong, wrong[:5]
    assert len(results) == sum(orders.values())
    journal = world.sim.journal()
    refusals = Counter(a.refusal for a in journal if a.refusal)
    assert not refusals.keys() & {"signature", "nonce", "rate", "timestamp", "key"}, refusals
    assert not any(a.operation == "scope" for a in journal)
    used: dict[str, list[float]] = {}
    for arrival in journal:
        used.setdefault(arrival.token_fingerprint or "", []).append(arrival.at_ms)
    used.pop("", None)
    # A request that was signed before the new token came may arrive after it.
    for old, new in itertools.pairwise(used.values()):
        assert max(old) < min(new) + DEADLINE_MS + RESEND_MS, "two tokens at once"
    assert thorough or len(used) <= TOKENS_LOST + 1
