"""What an exchange's timer can be set to, and which switches it may be used for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest

from worker.errors import InvalidCommand
from worker.exchanges.base import Capabilities, Exchange
from worker.exchanges.binance.adapter import BINANCE_USDM
from worker.exchanges.checks import NUMBER_ID, Checker
from worker.exchanges.timer import Reach, Timer
from worker.model.commands import Command, ListStopOrders, SetCountdown
from worker.model.holders import who_holds, why_held
from worker.policy.holding import Holding, holding_of
from worker.policy.phases import check_switch

ACCOUNT = Timer(reach=Reach.ACCOUNT, pairs_max=1, unit_ms=1_000, longest_ms=120_000)
PAIRS = Timer()


@dataclass(frozen=True)
class Case:
    """One setting: the timer, what is left, and what it is set to."""

    timer: Timer
    left_ms: int
    wanted_ms: int


SETTINGS: dict[str, Case] = {
    "a timer of ms takes what is left": Case(Timer(), 12_345, 12_345),
    "however little": Case(Timer(), 1, 1),
    "but not nothing, which would stop it": Case(Timer(), 0, 0),
    "one of seconds is rounded down": Case(Timer(unit_ms=1_000), 12_999, 12_000),
    "to a whole second": Case(Timer(unit_ms=1_000), 13_000, 13_000),
    "never to what stops it": Case(Timer(unit_ms=1_000), 999, 0),
    "no longer than the exchange allows": Case(Timer(longest_ms=5_000), 9_000, 5_000),
    "just as short as it allows": Case(Timer(unit_ms=1_000, shortest_ms=10_000), 10_999, 10_000),
    "no shorter": Case(Timer(unit_ms=1_000, shortest_ms=10_000), 9_999, 0),
    "a shortest setting between two units": Case(Timer(unit_ms=1_000, shortest_ms=1_500), 1_999, 0),
}


@pytest.mark.parametrize("case", SETTINGS.values(), ids=SETTINGS)
def test_a_setting_fires_by_the_deadline_or_is_not_made(case: Case) -> None:
    """Rounded down, within the bounds, and 0 only where no request may be sent."""
    setting_ms = case.timer.setting_ms(case.left_ms)
    assert setting_ms == case.wanted_ms
    assert setting_ms <= case.left_ms


def test_a_setting_is_written_in_the_unit_of_the_exchange() -> None:
    """What stops the timer is the exchange's own word for it."""
    kept = Timer(unit_ms=1_000, off=-1)
    assert [kept.written(ms) for ms in (0, 1_000, 86_400_000)] == [-1, 1, 86_400]
    assert Timer().written(0) == 0


def on(timer: Timer | None) -> Exchange:
    """Return an exchange with this timer."""
    capabilities: Capabilities = replace(BINANCE_USDM.capabilities, timer=timer)
    return replace(BINANCE_USDM, capabilities=capabilities)


HOLDINGS: dict[str, tuple[Timer | None, bool, Holding]] = {
    "no timer at all": (None, False, Holding(timer=False)),
    "by pair": (PAIRS, False, Holding(timer=True)),
    "by pair cannot take all": (PAIRS, True, Holding(timer=True, by_workers="narrow")),
    "of the account takes all": (ACCOUNT, True, Holding(timer=True)),
    "of the account reaches more": (ACCOUNT, False, Holding(timer=True, by_workers="wide")),
    "stops are left to workers": (
        replace(ACCOUNT, leaves_stops=True),
        True,
        Holding(timer=True, partly="stops"),
    ),
    "markets that it may leave are left to workers": (
        replace(ACCOUNT, leaves_others=True),
        True,
        Holding(timer=True, partly="others"),
    ),
    "stops are named first": (
        replace(ACCOUNT, leaves_others=True, leaves_stops=True),
        True,
        Holding(timer=True, partly="stops"),
    ),
    "it would fire again": (
        replace(PAIRS, one_shot=False),
        False,
        Holding(timer=True, by_workers="repeats"),
    ),
    "it cannot run for so long": (
        replace(PAIRS, longest_ms=59_999),
        False,
        Holding(timer=True, by_workers="long 59999"),
    ),
}


@pytest.mark.parametrize("case", HOLDINGS)
def test_a_timer_never_reaches_more_than_the_scope(case: str) -> None:
    """What a timer cannot do for a switch is done by workers, for a reason."""
    timer, everything, wanted = HOLDINGS[case]
    found = holding_of(on(timer), everything=everything, timeout_ms=60_000)
    assert found == wanted
    assert found.by_workers == "" or "the exchange" in why_held(found.by_workers, native=False)


@pytest.mark.parametrize("leaves", [True, False])
def test_a_timer_that_may_take_stop_orders_holds_no_switch_that_keeps_them(*, leaves: bool) -> None:
    """Also where the exchange lists them apart from others."""
    exchange = on(replace(PAIRS, leaves_stops=leaves))
    found = holding_of(exchange, everything=False, timeout_ms=60_000, keeps_stops=True)
    assert found.by_workers == ("" if leaves else "kept")


@pytest.mark.parametrize(
    ("pairs", "everything", "by_workers"),
    [
        (1, False, ""),
        (3, False, ""),
        (4, False, "many 3"),
        (0, False, "narrow"),
        (0, True, ""),
        (4, True, ""),
    ],
)
def test_a_timer_of_one_list_takes_as_many_pairs_as_the_list(
    pairs: int,
    everything: bool,  # noqa: FBT001
    by_workers: str,
) -> None:
    """A scope without pairs is no list, and everything needs none."""
    listed = on(Timer(reach=Reach.LIST, pairs_max=3))
    found = holding_of(listed, everything=everything, timeout_ms=60_000, pairs=pairs)
    assert found == Holding(timer=True, by_workers=by_workers)


def test_only_a_timer_of_one_list_counts_pairs() -> None:
    """One by pair takes more in further requests. A switch covers one pair by default."""
    by_pair = holding_of(on(Timer(pairs_max=3)), everything=False, timeout_ms=60_000, pairs=4)
    of_one = on(Timer(reach=Reach.LIST, pairs_max=1))
    assert by_pair == Holding(timer=True)
    assert holding_of(of_one, everything=False, timeout_ms=60_000) == Holding(timer=True)


def test_a_timer_is_used_up_to_its_longest_setting() -> None:
    """A timeout of just that is kept by the exchange."""
    longest = on(replace(PAIRS, longest_ms=60_000))
    assert holding_of(longest, everything=False, timeout_ms=60_000) == Holding(timer=True)


def test_kept_stop_orders_need_a_list_of_their_own() -> None:
    """Else the timer would cancel them too; with one it leaves them, and so do workers."""

    def holding(timer: Timer, *commands: type[Command]) -> Holding:
        capabilities = replace(BINANCE_USDM.capabilities, timer=timer, commands=frozenset(commands))
        listing = replace(BINANCE_USDM, capabilities=capabilities)
        return holding_of(listing, everything=False, timeout_ms=60_000, keeps_stops=True)

    leaves = replace(PAIRS, leaves_stops=True)
    assert holding(leaves, ListStopOrders) == Holding(timer=True)
    assert holding(leaves) == Holding(timer=True, by_workers="kept")
    assert holding(PAIRS) == Holding(timer=True, by_workers="kept")
    taken = holding_of(on(leaves), everything=False, timeout_ms=60_000)
    assert taken == Holding(timer=True, partly="stops")


def test_who_holds_a_deadline_comes_with_the_reason() -> None:
    """Both hold it where the timer leaves a part of the scope."""
    assert who_holds("", native=True, orders=False) == "exchange"
    assert who_holds("", native=True, orders=True) == "both"
    assert who_holds("stops", native=True, orders=False) == "both"
    assert who_holds("others", native=True, orders=False) == "both"
    assert who_holds("wide", native=False, orders=True) == "workers"
    assert "stop orders" in why_held("stops", native=True)
    assert "workers for markets" in why_held("others", native=True)
    assert "workers for the orders" in why_held("", native=True, orders=True)
    assert why_held("", native=False) == "the exchange has no timer"


def test_a_countdown_of_the_account_names_no_pair() -> None:
    """And one by pair names some; neither is set to what its timer cannot be."""
    capabilities = replace(BINANCE_USDM.capabilities, timer=ACCOUNT)
    checker = Checker("x", capabilities, NUMBER_ID, {})
    checker.check(SetCountdown((), 0))
    checker.check(SetCountdown((), 60_000))
    with pytest.raises(InvalidCommand, match="takes no pairs"):
        checker.check(SetCountdown(("BTCUSDT",), 0))
    with pytest.raises(InvalidCommand, match="no countdown of 60001 ms"):
        checker.check(SetCountdown((), 60_001))
    with pytest.raises(InvalidCommand, match="at least one pair"):
        BINANCE_USDM.check(SetCountdown((), 0))


def test_everything_is_a_scope_of_its_own() -> None:
    """It takes no pairs and no order ids, and no other switch is without a scope."""
    bounds: dict[str, Any] = {"timeout_ms": 60_000, "shortest_ms": 1_000, "longest_ms": 600_000}

    def check(pairs: tuple[str, ...], order_ids: tuple[str, ...], *, everything: bool) -> None:
        check_switch(
            BINANCE_USDM, pairs=pairs, order_ids=order_ids, everything=everything, **bounds
        )

    check((), (), everything=True)
    for pairs, order_ids in ((("BTCUSDT",), ()), ((), ("1",))):
        with pytest.raises(InvalidCommand, match="no pairs or order ids"):
            check(pairs, order_ids, everything=True)
    with pytest.raises(InvalidCommand, match="--everything"):
        check((), (), everything=False)
