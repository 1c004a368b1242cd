"""What every exchange that workers know must pass, by real attempts on its simulator."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.attempts import HASTY, HTTP, Attempts
from tests.support.own_faults import passing
from tests.support.polling import eventually
from tests.support.world import ALL_KEYS, MORE_KEYS, PAIRS, World
from worker import InvalidCommand, Outcome, State, SwitchOverlap
from worker.model.decisions import Again, Done, PutBack
from worker.simulator import Simulator
from worker.telemetry.metrics import REGISTRY

FAULTS = [
    "accept_then_drop",
    "drop_before",
    "half_body",
    "html_5xx",
    "garbage",
    "throttle",
    "delay",
    "drip",
]
OWN_FAULTS = passing(MORE_KEYS)
ACCEPT_ONLY = ("ok", "bb")
"""The success of a cancel is no proof there."""
NEVER_PLACED = {"kr": "OAAAAA-AAAAA-AAAAAA"}
"""An id of the exchange's form, where it is no number."""


@pytest.fixture
def world(sim: Simulator, redis_url: str, tmp_path: Path) -> Iterator[World]:
    """A world with an account at each of these exchanges."""
    made = World(sim, redis_url, tmp_path, aliases=tuple(MORE_KEYS))
    yield made
    made.close()


@pytest.fixture
def attempts(world: World) -> Attempts:
    return Attempts(world, http=HTTP)


@pytest.mark.parametrize("alias", MORE_KEYS)
def test_one_request_proves_a_cancel(world: World, attempts: Attempts, alias: str) -> None:
    """On a healthy exchange nothing else is needed; but a question where it only accepts."""
    world.sim.set_option("okx_cancel_ms", 0)
    world.sim.set_option("bybit_cancel_ms", 0)
    (order_id,) = world.place(alias)
    (job,) = attempts.run(alias, attempts.accept(alias, order_id))
    assert (job.state, job.outcome, job.attempts) == (
        State.DONE,
        Outcome.CANCELED,
        2 if alias in ACCEPT_ONLY else 1,
    )
    assert world.status(alias, order_id) == "canceled"


@pytest.mark.parametrize("alias", MORE_KEYS)
def test_a_filled_order_is_gone(world: World, attempts: Attempts, alias: str) -> None:
    """It is not called canceled."""
    (order_id,) = world.place(alias)
    world.sim.fill(ALL_KEYS[alias][0], order_id)
    (job,) = attempts.run(alias, attempts.accept(alias, order_id))
    assert (job.state, job.outcome) == (State.DONE, Outcome.GONE)


@pytest.mark.parametrize("alias", MORE_KEYS)
def test_an_order_that_never_was_is_not_called_canceled(world: World, alias: str) -> None:
    """It ends in the dead letters as unknown."""
    jobs = {"missing_max_ms": 1, "backoff_base_ms": 1, "max_attempts": 20}
    attempts = Attempts(world, http=HTTP, jobs=jobs)
    (job,) = attempts.run(alias, attempts.accept(alias, NEVER_PLACED.get(alias, "404404")))
    assert (job.state, job.outcome) == (State.DEAD, Outcome.UNKNOWN)


@pytest.mark.parametrize("alias", MORE_KEYS)
def test_a_pair_is_emptied_and_nothing_else(world: World, attempts: Attempts, alias: str) -> None:
    """By one request for the pair where there is one, proven by a list."""
    mine = world.place(alias, 20)
    (other,) = world.place(alias, pair="ETHUSDT")
    (job,) = attempts.run(alias, attempts.accept(alias))
    # By that request's reply, or by cancels of single orders; some replies say of no order.
    outcomes = {Outcome.GONE if alias in ("bu", "bc", "bb", "ku") else Outcome.CANCELED}
    if alias in ("bb", "ku"):  # orders go a moment later: a list that comes sooner has them
        outcomes.add(Outcome.CANCELED)
    assert job.state is State.DONE, job.history
    assert job.outcome in outcomes, job.history
    assert job.canceled == (len(mine) if outcomes == {Outcome.CANCELED} else job.canceled)
    assert {world.status(alias, order) for order in mine} == {"canceled"}
    assert world.status(alias, other) == "open"


@pytest.mark.parametrize(
    ("alias", "fault"),
    [(alias, fault) for alias in MORE_KEYS for fault in [*FAULTS, *OWN_FAULTS[alias]]],
)
def test_an_order_is_off_the_book_after_a_fault(world: World, alias: str, fault: str) -> None:
    """Whatever the result of the first request, the outcome is the truth."""
    attempts = Attempts(world, http=HASTY)
    world.sim.set_option("delay_ms", 600)
    (order_id,) = world.place(alias)
    world.sim.fault_next(fault, exchange=ALL_KEYS[alias][0], paths=["cancel"])
    (job,) = attempts.run(alias, attempts.accept(alias, order_id))
    assert (job.state, job.outcome) == (State.DONE, Outcome.CANCELED), job.history
    assert world.status(alias, order_id) == "canceled"
    assert job.attempts >= 2


@pytest.mark.parametrize("alias", ["bn", "bu"])
def test_a_ban_stops_all_requests_of_that_address(
    world: World, attempts: Attempts, alias: str
) -> None:
    """Of other jobs, too, and of questions; other exchanges are asked as ever."""
    labels = {"kind": "banned", "exchange": ALL_KEYS[alias][0]}
    before = REGISTRY.get_sample_value("cancel_worker_alerts_total", labels) or 0
    first, second = world.place(alias, 2)
    world.sim.fault_next("binance_banned", exchange=ALL_KEYS[alias][0])
    answered = attempts.first(alias, first)
    assert isinstance(answered.decision, Again)
    assert answered.decision.outcome is Outcome.THROTTLED
    held = attempts.first(alias, second)
    assert isinstance(held.decision, PutBack)
    assert held.pause_ms > 500
    assert len(attempts.arrivals()) == 1
    assert REGISTRY.get_sample_value("cancel_worker_alerts_total", labels) == before + 1
    (other,) = world.place("i2")
    assert isinstance(attempts.first("i2", other).decision, Done)


@pytest.mark.parametrize("alias", ["bu", "bc"])
def test_a_silent_switch_ends_by_the_timers_of_its_pairs(world: World, alias: str) -> None:
    """Each pair has a timer of its own, set by a request of its own; others stay."""
    pairs = [PAIRS[alias], "ETHUSDT"]
    mine = [order for pair in pairs for order in world.place(alias, 2, pair=pair)]
    (other,) = world.place(alias, pair="XRPUSDT")
    world.worker()
    producer = world.producer()
    switch = producer.arm(alias, pairs=pairs, timeout_ms=8_000)

    def timed() -> bool:
        return sorted(timer.pair for timer in world.sim.timers()) == sorted(pairs)

    eventually(timed, what="each pair has a timer")
    record = switch.record()
    assert record is not None
    assert record.held == "both"  # stop orders are left to workers
    eventually(
        lambda: {world.status(alias, order) for order in mine} == {"canceled"}, within_ms=12_000
    )
    closed = {world.sim.order(ALL_KEYS[alias][0], order).closed_by for order in mine}
    assert closed <= {"countdown", "scope"}  # workers cancel as well once it must have fired
    assert world.status(alias, other) == "open"


def test_a_timer_of_the_account_is_used_for_everything_alone(world: World) -> None:
    """A switch on a pair is held by workers; one on everything by the timer, for all pairs."""
    sim, name = world.sim, ALL_KEYS["kr"][0]
    world.worker()
    producer = world.producer()
    pair = producer.arm("kr", pairs=["XBTUSD"], timeout_ms=20_000)
    record = pair.record()
    assert record is not None
    assert record.held == "workers"
    assert not sim.timers()
    with pytest.raises(SwitchOverlap):
        producer.arm("kr", everything=True, timeout_ms=8_000)
    pair.disarm()
    mine = world.place("kr", 2) + world.place("kr", pair="ETHUSD")
    sim.add_key(name, "other-key", "b3RoZXI=")
    (other,) = sim.place(name, "other-key", pair="XBTUSD")
    whole = producer.arm("kr", everything=True, timeout_ms=11_000)
    assert whole.held == "exchange", whole.held_why
    eventually(lambda: len(sim.timers()) == 1, what="a timer")
    eventually(
        lambda: {world.status("kr", order) for order in mine} == {"canceled"}, within_ms=14_000
    )
    # Workers cancel as well once the timer must have fired.
    assert {sim.order(name, order).closed_by for order in mine} <= {"countdown", "scope"}
    assert sim.order(name, other).status == "open"


@pytest.mark.parametrize("alias", ["bu", "bc"])
def test_a_disarmed_switch_leaves_no_timer(world: World, alias: str) -> None:
    """Each pair's timer is stopped."""
    world.worker()
    producer = world.producer()
    switch = producer.arm(alias, pairs=[PAIRS[alias], "ETHUSDT"], timeout_ms=20_000)
    eventually(lambda: len(world.sim.timers()) == 2, what="each pair has a timer")
    switch.disarm()
    eventually(lambda: not world.sim.timers(), what="the timers are stopped")


def test_another_account_of_the_user_holds_the_timers(
    sim: Simulator, redis_url: str, tmp_path: Path
) -> None:
    """A pair is one scope, through whichever of the two it is armed."""
    with closing(World(sim, redis_url, tmp_path, aliases=("i2", "ix"))) as world:
        world.worker()
        producer = world.producer()
        first = producer.arm("i2", pairs=["BTC/IDR"], timeout_ms=20_000)
        record = first.record()
        assert record is not None
        assert (record.account, record.pairs, record.held) == ("ix", ("btc_idr",), "exchange")
        eventually(lambda: [timer.pair for timer in sim.timers()] == ["btc_idr"], what="a timer")
        again = producer.arm("ix", pairs=["btc_idr"], timeout_ms=20_000)
        assert (again.id, again.epoch) == (first.id, 2)
        with pytest.raises(InvalidCommand, match="two switches"):
            producer.arm("i2", pairs=["BTCIDR"], order_ids=["1"], timeout_ms=20_000)
        producer.arm("i2", pairs=["BTCIDR"], timeout_ms=20_000).disarm()
        eventually(lambda: not sim.timers(), what="the timer is stopped")


def test_pairs_of_spot_are_held_by_workers(world: World) -> None:
    """No timer there is for a pair."""
    pairs = {"bn": ("BTC/USDT", "BTCUSDT"), "kr": ("BTC/USD", "XBTUSD")}
    placed = {alias: world.place(alias)[0] for alias in pairs}
    (other,) = world.place("kr", pair="ETHUSD")
    world.worker()
    producer = world.producer()
    for alias, (given, spelled) in pairs.items():
        record = producer.arm(alias, pairs=[given], timeout_ms=1_500).record()
        assert record is not None
        assert (record.held, record.pairs) == ("workers", (spelled,))

    def all_canceled() -> bool:
        return {world.status(alias, order) for alias, order in placed.items()} == {"canceled"}

    eventually(all_canceled, what="the switches have tripped")
    assert world.status("kr", other) == "open"


def test_a_timer_of_the_account_is_set_for_everything_alone(world: World) -> None:
    """It fires by the deadline, in whole seconds; a switch of a pair is held by workers."""
    world.worker()
    producer = world.producer()
    pair = producer.arm("ok", pairs=["BTC/USDT"], timeout_ms=20_000)
    assert pair.held == "workers"
    assert "every order of the account" in pair.held_why
    with pytest.raises(SwitchOverlap):
        producer.arm("ok", everything=True, timeout_ms=20_000)
    pair.disarm()
    whole = producer.arm("ok", everything=True, timeout_ms=20_000)
    assert whole.held == "both"
    eventually(world.sim.timers, what="the account's timer is set")
    (timer,) = world.sim.timers()
    assert timer.pair == ""
    record = whole.record()
    assert record is not None
    assert record.deadline_ms - 5_000 < timer.fires_at_ms <= record.deadline_ms
    with pytest.raises(SwitchOverlap, match="covers everything"):
        producer.arm("ok", pairs=["ETH/USDT"], timeout_ms=20_000)
    whole.disarm()
    eventually(lambda: not world.sim.timers(), what="the timer is stopped")
    assert producer.arm("ok", everything=True, timeout_ms=180_000).held == "workers"
