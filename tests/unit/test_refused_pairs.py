"""Which pairs are left out of a countdown request after the exchange refused them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from worker.model.switches import NativeSwitch, SwitchState
from worker.switches.refused_pairs import ASIDE_MAX, ASIDE_MS, STOP_MS, Refusals

NOW_MS = 5_000.0
PAIRS = ("btc_idr", "ETH_IDR", "xrp_idr")
SIX = tuple(f"p{n}_idr" for n in range(ASIDE_MAX + 2))


def switch(*, epoch: int = 1, pairs: tuple[str, ...] = PAIRS) -> NativeSwitch:
    """Return a switch that a countdown request is for."""
    return NativeSwitch("s", epoch, SwitchState.ARMED, 60_000, 0, 0, due=True, pairs=pairs)


def left(refusals: Refusals, of: NativeSwitch, *, now_ms: float = NOW_MS) -> tuple[str, ...]:
    """Return the pairs that a request for a switch names."""
    return refusals.without(of, now_ms=now_ms).pairs


@pytest.mark.parametrize(
    ("said", "at_fault"),
    [
        ("pair btc_idr is halted", ("btc_idr",)),
        ("Pair BTC_IDR is halted.", ("btc_idr",)),
        ("eth_idr: halted", ("ETH_IDR",)),
        ("halted: btc_idr,xrp_idr", ("btc_idr", "xrp_idr")),
        ("pair btc_idr_perp is halted", ()),
        ("pair is halted", ()),
        ("", ()),
        ("btc_idr, eth_idr and xrp_idr are halted", ()),
    ],
)
def test_pairs_that_a_refusal_names_are_left_out(said: str, at_fault: tuple[str, ...]) -> None:
    """In any letter case, as whole words; never all pairs of the switch."""
    refusals = Refusals()
    assert refusals.learn(switch(), said, now_ms=NOW_MS) == at_fault
    assert left(refusals, switch()) == tuple(pair for pair in PAIRS if pair not in at_fault)


def test_refusals_that_name_no_pair_leave_nothing_behind() -> None:
    """However many come before one that does."""
    refusals = Refusals()
    for _ in range(3):
        assert refusals.learn(switch(), "halted", now_ms=NOW_MS) == ()
    assert refusals.learn(switch(), "btc_idr is halted", now_ms=NOW_MS) == ("btc_idr",)


def test_switch_that_was_never_refused_is_asked_for_whole() -> None:
    """Nothing is left out, and nothing else of it changes."""
    assert Refusals().without(switch(), now_ms=NOW_MS) == switch()


@pytest.mark.parametrize(
    ("of", "for_ms"),
    [
        (switch(), ASIDE_MS),
        (replace(switch(), state=SwitchState.DISARMED), STOP_MS),
        (replace(switch(), yielded=True), STOP_MS),
    ],
)
def test_pair_is_left_out_for_a_while(of: NativeSwitch, for_ms: int) -> None:
    """Shorter for a stop, since the timer still runs."""
    refusals = Refusals()
    refusals.learn(of, "btc_idr is halted", now_ms=NOW_MS)
    assert "btc_idr" not in left(refusals, of, now_ms=NOW_MS + for_ms - 1)
    assert left(refusals, of, now_ms=NOW_MS + for_ms) == PAIRS


def test_switch_that_is_armed_again_is_tried_whole() -> None:
    """A refusal counts for one switch in one epoch."""
    refusals = Refusals()
    refusals.learn(switch(), "btc_idr is halted", now_ms=NOW_MS)
    assert left(refusals, switch(epoch=2)) == PAIRS
    assert left(refusals, replace(switch(), id="t")) == PAIRS


def test_refusal_of_a_second_pair_leaves_both_out() -> None:
    """Each for its own time."""
    refusals = Refusals()
    assert refusals.learn(switch(), "btc_idr is halted", now_ms=NOW_MS) == ("btc_idr",)
    assert refusals.learn(switch(), "xrp_idr is halted", now_ms=NOW_MS + 1_000) == ("xrp_idr",)
    assert left(refusals, switch(), now_ms=NOW_MS + 1_000) == ("ETH_IDR",)
    assert left(refusals, switch(), now_ms=NOW_MS + ASIDE_MS) == ("btc_idr", "ETH_IDR")


def test_refusal_that_names_a_pair_left_out_already_cannot_be_helped() -> None:
    """The request did not name that pair."""
    refusals = Refusals()
    refusals.learn(switch(), "btc_idr is halted", now_ms=NOW_MS)
    assert refusals.learn(switch(), "btc_idr is halted", now_ms=NOW_MS) == ()
    assert left(refusals, switch()) == ("ETH_IDR", "xrp_idr")


def test_pairs_of_a_switch_are_left_out_up_to_a_number() -> None:
    """A refusal of one pair after another is no matter of single pairs."""
    refusals, whole = Refusals(), switch(pairs=SIX)
    for pair in SIX[:ASIDE_MAX]:
        assert refusals.learn(whole, f"{pair} is halted", now_ms=NOW_MS) == (pair,)
    assert refusals.learn(whole, f"{SIX[ASIDE_MAX]} is halted", now_ms=NOW_MS) == ()
    assert left(refusals, whole) == SIX[ASIDE_MAX:]


def test_pair_that_is_named_twice_is_one() -> None:
    """What is left must be a pair."""
    twice = switch(pairs=("btc_idr", "btc_idr"))
    assert Refusals().learn(twice, "btc_idr is halted", now_ms=NOW_MS) == ()


def test_refusals_of_other_switches_are_kept_while_they_count() -> None:
    """Those that are over are forgotten, so that the memory does not grow."""
    refusals, other = Refusals(), replace(switch(), id="t")
    refusals.learn(switch(), "btc_idr is halted", now_ms=NOW_MS)
    refusals.learn(other, "xrp_idr is halted", now_ms=NOW_MS + 1_000)
    assert left(refusals, switch(), now_ms=NOW_MS + 1_000) == ("ETH_IDR", "xrp_idr")
    refusals.learn(other, "btc_idr is halted", now_ms=NOW_MS + ASIDE_MS)
    assert [*refusals._aside] == [("t", 1)]  # noqa: SLF001
