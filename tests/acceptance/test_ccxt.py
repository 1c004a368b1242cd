"""Exchanges of ccxt through a real worker: four of different families, as profiled, and one not.

Bitvavo answers with bare objects, WhiteBIT counts nonces and reports what it has canceled,
WOO only accepts a cancel, and Bitget wraps everything. Coins.ph has no profile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.support.polling import eventually
from tests.support.secret_leaks import leaks
from tests.support.world import CCXT_KEYS, PAIRS, World
from worker import Outcome, Producer, State
from worker.client.ticket import Ticket
from worker.simulator import Simulator

WITHIN_MS = 60_000
ALIASES = tuple(CCXT_KEYS)
UNPROVEN = "cp"
PROFILED = tuple(alias for alias in ALIASES if alias != UNPROVEN)
ACCOUNTS = {"bv": (), "wb": (PAIRS["wb"],), "wo": ()}
"""Accounts with a timer, and the pairs that it is for; it is for everything without."""


@pytest.fixture
def world(sim: Simulator, redis_url: str, tmp_path: Path) -> Iterator[World]:
    """A world with these accounts alone, whose worker logs everything."""
    tables: dict[str, dict[str, Any]] = {
        "worker": {"log_level": "DEBUG"},
        "jobs": {"missing_max_ms": 2_000, "backoff_max_ms": 1_000},
    }
    with closing(World(sim, redis_url, tmp_path, aliases=ALIASES, tables=tables)) as made:
        yield made


KINDS = {"key": 1, "secret": 2}


def outcome(ticket: Ticket) -> Outcome | None:
    """Return the outcome of a job."""
    return ticket.wait(timeout_ms=WITHIN_MS).outcome


def without_profile(world: World, producer: Producer) -> Callable[[], None]:
    """Begin what only a report of an order can end; return the rest of the test."""
    pair = PAIRS[UNPROVEN]
    (filled,), mine = world.place(UNPROVEN), world.place(UNPROVEN, 2)
    world.sim.fill(CCXT_KEYS[UNPROVEN][0], filled)
    gone, never = (producer.cancel(UNPROVEN, order, pair=pair) for order in (filled, "404404"))
    scope = producer.cancel_all(UNPROVEN, pair=pair)

    def lists() -> int:
        """Return how often open orders were listed."""
        asked = ("open_orders", CCXT_KEYS[UNPROVEN][1])
        return sum((each.operation, each.api_key) == asked for each in world.sim.journal())

    def ends() -> None:
        """The filled order is reported; an unknown one, and an empty list, prove nothing."""
        assert outcome(gone) is Outcome.GONE
        eventually(
            lambda: {world.status(UNPROVEN, order) for order in mine} == {"canceled"},
            within_ms=WITHIN_MS,
            what="the orders of the scope are canceled",
        )
        before = lists()
        eventually(lambda: lists() > before + 1, within_ms=WITHIN_MS, what="empty lists")
        assert scope.result().state is not State.DONE
        eventually(
            lambda: never.result().state is State.DEAD, within_ms=WITHIN_MS, what="it is given up"
        )
        assert never.result().outcome is Outcome.UNKNOWN

    return ends


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
        assert outcome(ticket) is Outcome.CANCELED, alias
        eventually(
            lambda: world.status(alias, single[alias]) == "canceled",  # noqa: B023
            within_ms=WITHIN_MS,
            what=f"the order is canceled: {alias}",
        )
    unproven = without_profile(world, producer)
    for alias in ALIASES:
        (order_id,) = world.place(alias)
        assert outcome(producer.cancel(alias, order_id, pair=PAIRS[alias])) is Outcome.CANCELED
    for alias in PROFILED:
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
    unproven()
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
