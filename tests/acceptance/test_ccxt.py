"""Exchanges of ccxt through real workers: four of different families, as profiled.

Bitvavo answers with bare objects, WhiteBIT counts nonces and reports what it has canceled,
WOO only accepts a cancel, and Bitget wraps everything.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.support.polling import eventually
from tests.support.secret_leaks import leaks
from tests.support.world import CCXT_KEYS, PAIRS, World
from worker import Outcome
from worker.client.ticket import Ticket
from worker.simulator import Simulator

WITHIN_MS = 60_000
ALIASES = tuple(CCXT_KEYS)
ACCOUNTS = {"bv": (), "wb": (PAIRS["wb"],), "wo": ()}
"""Accounts with a timer, and the pairs that it is for; it is for everything without."""


@pytest.fixture
def world(sim: Simulator, redis_url: str, tmp_path: Path) -> Iterator[World]:
    """A world with these accounts alone, whose worker logs everything."""
    tables = {"worker": {"log_level": "DEBUG"}}
    with closing(World(sim, redis_url, tmp_path, aliases=ALIASES, tables=tables)) as made:
        yield made


def outcome(ticket: Ticket) -> Outcome | None:
    """Return the outcome of a job."""
    return ticket.wait(timeout_ms=WITHIN_MS).outcome


@pytest.mark.timeout(600)
def test_the_whole_way_on_exchanges_of_ccxt(world: World, redis_url: str) -> None:
    """Cancels, scopes and timers end as the exchange has them, and no secret is left behind."""
    sim = world.sim
    worker = world.worker()
    producer = world.producer()
    single = {alias: world.place(alias)[0] for alias in ALIASES}
    for alias in ALIASES:
        sim.fault_next("garbage", exchange=CCXT_KEYS[alias][0], paths=["cancel"])
    tickets = {
        alias: producer.cancel(alias, order_id, pair=PAIRS[alias])
        for alias, order_id in single.items()
    }
    for alias, ticket in tickets.items():
        # An order of WhiteBIT's that was canceled unseen is in no list, and is not guessed.
        if alias != "wb":
            assert outcome(ticket) is Outcome.CANCELED, alias
        eventually(
            lambda: world.status(alias, single[alias]) == "canceled",  # noqa: B023
            within_ms=WITHIN_MS,
            what=f"the order is canceled: {alias}",
        )
    for alias in ALIASES:
        (order_id,) = world.place(alias)
        assert outcome(producer.cancel(alias, order_id, pair=PAIRS[alias])) is Outcome.CANCELED
        mine = world.place(alias, 3)
        (other,) = world.place(alias, pair="ETH-EUR")
        scope = producer.cancel_all(alias, pair=PAIRS[alias])
        assert outcome(scope) in (Outcome.CANCELED, Outcome.GONE), alias
        assert {world.status(alias, order) for order in mine} == {"canceled"}
        assert world.status(alias, other) == "open"
    switches = [
        producer.arm(alias, pairs=list(pairs), everything=not pairs, timeout_ms=40_000)
        for alias, pairs in ACCOUNTS.items()
    ]
    eventually(
        lambda: {timer.api_key for timer in sim.timers()} == {CCXT_KEYS[a][1] for a in ACCOUNTS},
        within_ms=30_000,
        what="each account's timer is set",
    )
    assert {switch.held for switch in switches} == {"both"}
    for switch in switches:
        switch.disarm()
    eventually(lambda: not sim.timers(), within_ms=30_000, what="the timers are stopped")
    refusals = {arrival.refusal for arrival in sim.journal() if arrival.refusal}
    assert refusals <= {"order"}
    planted = {kind: [keys[at] for keys in CCXT_KEYS.values()] for kind, at in KINDS.items()}
    with closing(redis.Redis.from_url(redis_url)) as client:
        client.config_set("rdbcompression", "no")
        dumps: list[Any] = [client.dump(key) for key in client.scan_iter()]
    assert (
        leaks(planted, {"log": worker.text().encode(), "Redis": b"".join(filter(None, dumps))})
        == []
    )


KINDS = {"key": 1, "secret": 2}
