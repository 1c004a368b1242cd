"""What it takes to keep a native timer: shortest timeouts, longest calls, budgets."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from worker.exchanges.base import Exchange, Limit
from worker.exchanges.indodax.adapter import INDODAX
from worker.exchanges.kraken.adapter import KRAKEN
from worker.exchanges.timer import Reach, Timer
from worker.model.commands import CancelOrder, Command, SetCountdown
from worker.model.constants import EXECUTED_MS, SERIAL_MIN_MS, SERIAL_SHARE
from worker.policy.timers import (
    CALL_MAX_MS,
    DOUBT_MAX_MS,
    LAUNCH_MAX_MS,
    LEFT,
    SWEEP_MS,
    Terms,
    budget_of,
    longest_call_ms,
    shortest_native_ms,
    terms_for,
    terms_of,
)

NONCE = Terms(nonce=True, step_ms=1_000)
STAMPED = Terms(nonce=False, step_ms=1_000)
ROOMY = Terms(nonce=True, step_ms=0)
SLOW = Terms(nonce=True, step_ms=5_000)

SHORTEST = {
    "a nonce": (NONCE, 300, 3_627),
    "a timestamp, which may arrive late": (STAMPED, 300, 7_467),
    "no limit on requests": (ROOMY, 300, 3_627),
    "a tight limit on requests": (SLOW, 300, 12_160),
    "a slow way by nonces": (NONCE, 1_875, 17_600),
    "a slow way by timestamps": (STAMPED, 1_875, 17_547),
    "the longest call": (NONCE, CALL_MAX_MS, 23_315),
}


@pytest.mark.parametrize("case", SHORTEST)
def test_shortest_native_timeout(case: str) -> None:
    """One failure and the renewal after it fit in what is left when a renewal is due."""
    terms, call_ms, wanted = SHORTEST[case]
    assert shortest_native_ms(terms, call_ms) == wanted
    assert terms.keeps(wanted, call_ms)
    assert not terms.keeps(wanted - 1, call_ms)
    needed = 2 * call_ms + SWEEP_MS + terms.blocked_ms(call_ms, wanted)
    assert needed <= LEFT * wanted


LONGEST = {
    "shorter than any": (NONCE, 2_000, 0),
    "just long enough": (NONCE, 3_627, 300),
    "a few seconds": (NONCE, 8_000, 825),
    "a few seconds, by timestamp": (STAMPED, 8_000, 383),
    "a minute": (NONCE, 60_000, CALL_MAX_MS),
    "a minute, by timestamp": (STAMPED, 60_000, CALL_MAX_MS),
}


@pytest.mark.parametrize("case", LONGEST)
def test_longest_call(case: str) -> None:
    """A call takes as long as the timer allows."""
    terms, timeout_ms, wanted = LONGEST[case]
    assert longest_call_ms(terms, timeout_ms) == wanted
    if 0 < wanted < CALL_MAX_MS:
        assert terms.keeps(timeout_ms, wanted)
        assert not terms.keeps(timeout_ms, wanted + 1)


def test_a_timer_that_cannot_be_short_needs_room_for_a_failure() -> None:
    """After one failure enough is left for the shortest setting, rounded down."""
    seconds = Timer(reach=Reach.ACCOUNT, unit_ms=1_000, shortest_ms=10_000, longest_ms=120_000)
    terms = terms_for(seconds, nonce=False, step_ms=1_000)
    shortest_ms = shortest_native_ms(terms, 300)
    needed_ms = 2 * 300 + SWEEP_MS + terms.blocked_ms(300, shortest_ms)
    assert shortest_ms == 10_000 + needed_ms
    rounded = terms_for(Timer(unit_ms=1_000), nonce=True, step_ms=1_000)
    assert shortest_native_ms(rounded, 300) > shortest_native_ms(NONCE, 300)
    assert terms_for(Timer(), nonce=True, step_ms=1_000) == NONCE
    assert terms_for(None, nonce=True, step_ms=1_000) == NONCE


def test_a_request_without_a_window_may_be_carried_out_late() -> None:
    """As long as any that arrived before its connection was closed."""
    terms = terms_for(Timer(windowed=False), nonce=False, step_ms=0)
    assert terms.flight_ms(300) == LAUNCH_MAX_MS + 300 + EXECUTED_MS


@pytest.mark.parametrize("call_ms", [1, 300, CALL_MAX_MS])
@pytest.mark.parametrize("terms", [NONCE, STAMPED])
def test_a_hold_outlasts_what_its_holder_sends(terms: Terms, call_ms: int) -> None:
    """Who takes over a hold by nonces cannot be overtaken; by timestamps it waits longer."""
    assert terms.hold_ms(call_ms) > LAUNCH_MAX_MS + call_ms
    if terms.nonce:
        assert terms.flight_ms(call_ms) < terms.hold_ms(call_ms)
    else:
        assert terms.flight_ms(call_ms) == LAUNCH_MAX_MS + terms.window_ms(call_ms) + 1_000


@pytest.mark.parametrize(
    ("limit", "accounts", "wanted"),
    [((10, 10_000), 1, 900), ((10, 10_000), 2, 450), ((10, 10_000), 0, 900), ((1, 60_000), 1, 15)],
)
def test_budget(limit: tuple[int, int], accounts: int, wanted: int) -> None:
    """Nine tenths of the limit, divided among the accounts that share it."""
    assert budget_of(*limit, accounts=accounts) == wanted


def test_one_account_has_the_whole_budget() -> None:
    """Where nothing is said of others, and exactly."""
    assert budget_of(10, 10_000) == 900
    assert budget_of(1_000_000, 1_000) == 900_000_000


FLIGHTS = {
    "a nonce": (NONCE, 800),
    "a timestamp": (STAMPED, 2_800),
    "without a window": (Terms(nonce=False, step_ms=0, windowed=False), 800 + EXECUTED_MS),
}


@pytest.mark.parametrize("case", FLIGHTS)
def test_flights_and_holds(case: str) -> None:
    """From the leave: the launch, the call, and what the exchange may add to it."""
    terms, wanted_ms = FLIGHTS[case]
    assert terms.flight_ms(300) == wanted_ms
    assert terms.hold_ms(300) == 1_000


def test_one_failure_blocks_for_the_longest_of_its_parts() -> None:
    """The hold of the account; the flight; the turn of other requests; the limit's step."""
    assert ROOMY.blocked_ms(300, 1_000) == max(1_000, SERIAL_MIN_MS)
    assert ROOMY.blocked_ms(300, 1_000_000) == 1_000_000 / SERIAL_SHARE
    assert SLOW.blocked_ms(300, 1_000) == 5_000
    assert Terms(nonce=False, step_ms=0).blocked_ms(300, 1_000_000) == 2_800
    brief = Terms(nonce=False, step_ms=0, windowed=False)
    assert brief.blocked_ms(0, 1_000) == max(LAUNCH_MAX_MS + EXECUTED_MS, brief.hold_ms(0))


@dataclass(frozen=True)
class Account:
    """An account's settings, as far as countdowns are concerned."""

    adapter: Exchange
    limits_in_force: tuple[Limit, ...]
    uses_nonce: bool = True
    timers: str = ""


Weights = dict[type[Command], int | tuple[int, int]]


def limit(
    max_requests: int,
    window_ms: int,
    weight: int = 1,
    commands: tuple[type[Command], ...] = (SetCountdown,),
) -> Limit:
    """Return a limit on countdowns, or on other commands."""
    weights: Weights = {SetCountdown: weight} if weight > 1 else {}
    return Limit("l", commands, "account", max_requests, window_ms, weights=weights)


def test_terms_come_from_the_limits_on_countdowns() -> None:
    """The widest step and the smallest budget; a weight takes as many requests."""
    cancels = limit(1, 90_000, commands=(CancelOrder,))
    limits = (limit(7, 1_000), limit(10, 3_001, 4), cancels)
    account = Account(INDODAX, limits)
    terms, budget = terms_of(account)
    assert terms == terms_for(INDODAX.capabilities.timer, nonce=True, step_ms=1_200)
    assert budget == budget_of(2, 3_001)
    timer = KRAKEN.capabilities.timer
    free, unbounded = terms_of(Account(KRAKEN, (cancels,), uses_nonce=False))
    assert free == terms_for(timer, nonce=False, step_ms=0)
    assert unbounded == 0


def test_a_timer_at_an_absolute_time_may_fire_as_early_as_the_clocks_differ() -> None:
    """That is taken off beside what rounding takes."""
    absolute = terms_for(Timer(unit_ms=1_000, absolute=True), nonce=True, step_ms=0)
    relative = terms_for(Timer(unit_ms=1_000), nonce=True, step_ms=0)
    assert relative.round_ms == 999
    assert absolute.round_ms == 999 + DOUBT_MAX_MS
