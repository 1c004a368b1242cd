"""What a job may send next, on each exchange."""

from __future__ import annotations

from typing import Any

import pytest

from worker.errors import InvalidCommand
from worker.exchanges import EXCHANGES
from worker.model.commands import CancelOrder, CancelScope, Command, ListOpenOrders, QueryOrder
from worker.model.jobs import Job, Kind, Phase, State
from worker.policy.phases import (
    able,
    asking_phase,
    check_cancel,
    check_cancel_all,
    check_switch,
    command_of,
    holds_timers,
    next_phase,
    spelled,
    unasked,
)

SEND, ASK, LIST = Phase.SEND, Phase.ASK, Phase.LIST
BUY, SELL = Phase.BUY, Phase.SELL
FULL = {"order_id": "a1", "pair": "btc_idr", "side": "buy"}
SCOPE = {"kind": Kind.CANCEL_ALL, "pair": "btc_idr", "side": "buy"}


def job(**fields: Any) -> Job:
    """Return a pending job."""
    values = {"kind": Kind.CANCEL, "state": State.PENDING, **fields}
    return Job(id="j", lane="x:y", **values)


@pytest.mark.parametrize(
    ("fields", "phase", "command"),
    [
        (FULL, SEND, CancelOrder("a1", "btc_idr", "buy")),
        (FULL, ASK, QueryOrder("a1", "btc_idr")),
        (SCOPE, SEND, CancelScope("btc_idr", "buy")),
        (SCOPE, LIST, ListOpenOrders("btc_idr", "buy")),
        ({"kind": Kind.CANCEL_ALL}, SEND, CancelScope(None, None)),
        ({"kind": Kind.CANCEL_ALL}, LIST, ListOpenOrders(None, None)),
        ({"order_id": "a1"}, SEND, CancelOrder("a1")),
        # No order's id: refused before it is sent.
        ({}, SEND, CancelOrder("")),
        ({}, ASK, QueryOrder("")),
        ({"kind": Kind.CANCEL_ALL, "pair": "btc_idr"}, BUY, CancelScope("btc_idr", "buy")),
        ({"kind": Kind.CANCEL_ALL, "pair": "btc_idr"}, SELL, CancelScope("btc_idr", "sell")),
        # Whatever a record says: never more than the job is for.
        (SCOPE, SELL, CancelScope("btc_idr", "buy")),
        (FULL, SELL, CancelOrder("a1", "btc_idr", "buy")),
    ],
)
def test_each_phase_sends_its_command(
    fields: dict[str, Any], phase: Phase, command: Command
) -> None:
    """The command is the job's own, whole, and no wider than the job."""
    assert command_of(job(**fields), phase) == command


@pytest.mark.parametrize(
    ("exchange", "fields", "first"),
    [
        ("everstrike", {"order_id": "a1"}, SEND),
        ("indodax", FULL, SEND),
        ("indodax", {"order_id": "a1"}, SEND),
        ("bitmart", {"order_id": "a1"}, SEND),
        ("everstrike", {"kind": Kind.CANCEL_ALL}, LIST),
        ("everstrike", SCOPE, LIST),
        ("indodax", SCOPE, LIST),
        ("bitmart", SCOPE, SEND),
        ("bitmart", {"kind": Kind.CANCEL_ALL, "pair": "btc_idr"}, BUY),
        ("bitmart", {"kind": Kind.CANCEL_ALL, "side": "buy"}, LIST),
        ("bitmart", {"kind": Kind.CANCEL_ALL, "side": "buy", "pair": "btc_usdt"}, SEND),
    ],
)
def test_first_attempt_cancels_where_it_can_else_lists(
    exchange: str, fields: dict[str, Any], first: Phase
) -> None:
    """A scope is canceled in one request only where the exchange has one for it."""
    assert next_phase(job(**fields), EXCHANGES[exchange]) is first


@pytest.mark.parametrize("phase", list(Phase))
@pytest.mark.parametrize("exchange", list(EXCHANGES))
def test_later_attempt_sends_what_was_decided(exchange: str, phase: Phase) -> None:
    """What the last answer asked for is what is sent."""
    assert next_phase(job(phase=phase, **FULL), EXCHANGES[exchange]) is phase


@pytest.mark.parametrize(
    ("exchange", "fields", "asks"),
    [
        ("everstrike", {"order_id": "a1"}, ASK),
        ("indodax", FULL, ASK),
        ("indodax", {"order_id": "a1"}, None),
        ("bitmart", {"order_id": "a1"}, ASK),
        ("everstrike", {"kind": Kind.CANCEL_ALL}, LIST),
        ("indodax", {"kind": Kind.CANCEL_ALL}, LIST),
        ("bitmart", SCOPE, LIST),
        ("bitmart", {"kind": Kind.CANCEL_ALL}, None),
    ],
)
def test_exchange_is_asked_only_what_it_can_answer(
    exchange: str, fields: dict[str, Any], asks: Phase | None
) -> None:
    """Without what the question needs, there is no question."""
    assert asking_phase(job(**fields), EXCHANGES[exchange]) is asks


@pytest.mark.parametrize(
    ("exchange", "fields", "phase"),
    [
        ("everstrike", {"order_id": "a1"}, ASK),
        ("everstrike", {"order_id": "a1", "phase": ASK}, ASK),
        ("indodax", {"order_id": "a1", "phase": ASK}, ASK),
        ("indodax", {**FULL, "phase": SEND}, ASK),
        ("indodax", {"order_id": "a1"}, SEND),
        ("bitmart", SCOPE, LIST),
        ("bitmart", {**SCOPE, "phase": LIST}, LIST),
        ("bitmart", {"kind": Kind.CANCEL_ALL, "pair": "btc_idr"}, LIST),
        ("bitmart", {"kind": Kind.CANCEL_ALL, "pair": "btc_idr", "phase": SELL}, LIST),
    ],
)
def test_job_of_a_lost_worker_is_asked_about_first(
    exchange: str, fields: dict[str, Any], phase: Phase
) -> None:
    """What a killed worker may have done already is asked where it can be."""
    assert next_phase(job(lost=True, **fields), EXCHANGES[exchange]) is phase


@pytest.mark.parametrize("exchange", list(EXCHANGES))
@pytest.mark.parametrize("order_id", ["", " ", "a b", "a\n", "x" * 129, "\u20ac", "a\x00"])
def test_order_id_that_is_none_is_refused(exchange: str, order_id: str) -> None:
    """What cannot be an order's id is never sent."""
    with pytest.raises(InvalidCommand):
        check_cancel(EXCHANGES[exchange], order_id=order_id, pair="btc_idr", side="buy")
    assert not able(EXCHANGES[exchange], CancelOrder(order_id, "btc_idr", "buy"))


@pytest.mark.parametrize(
    ("exchange", "pair", "side"),
    [
        ("indodax", "btc_idr", "buy"),
        ("indodax", "btc_idr", "sell"),
        ("everstrike", None, None),
        ("bitmart", None, None),
    ],
)
def test_cancel_that_lacks_nothing_is_accepted(
    exchange: str, pair: str | None, side: str | None
) -> None:
    """By what each exchange needs."""
    check_cancel(EXCHANGES[exchange], order_id="a1", pair=pair, side=side)


@pytest.mark.parametrize(
    ("exchange", "pair", "side", "words"),
    [
        ("indodax", None, "buy", "pair"),
        ("indodax", "btc_idr", None, "side"),
        ("indodax", "btc_idr", "BUY", "side"),
        ("indodax", "btc/idr", "buy", "pair"),
        ("everstrike", "", None, "pair"),
        ("bitmart", "a&b", None, "pair"),
    ],
)
def test_cancel_that_lacks_something_is_refused_with_the_fix(
    exchange: str, pair: str | None, side: str | None, words: str
) -> None:
    """The error names what is missing or wrong."""
    with pytest.raises(InvalidCommand, match=words) as caught:
        check_cancel(EXCHANGES[exchange], order_id="a1", pair=pair, side=side)
    assert "\n" not in str(caught.value)


def test_scope_that_cannot_be_asked_about_is_refused() -> None:
    """A cancel-all whose end could never be proven is not begun."""
    with pytest.raises(InvalidCommand, match="pair"):
        check_cancel_all(EXCHANGES["bitmart"], pair=None, side=None)
    with pytest.raises(InvalidCommand, match="side"):
        check_cancel_all(EXCHANGES["everstrike"], pair=None, side="both")
    check_cancel_all(EXCHANGES["everstrike"], pair=None, side=None)
    check_cancel_all(EXCHANGES["indodax"], pair=None, side=None)
    check_cancel_all(EXCHANGES["bitmart"], pair="btc_idr", side=None)


SWITCH: dict[str, Any] = {
    "pairs": ("btc_idr",),
    "order_ids": (),
    "timeout_ms": 5_000,
    "shortest_ms": 1_000,
    "longest_ms": 9_000,
}


@pytest.mark.parametrize(
    ("exchange", "fields"),
    [
        ("indodax", {}),
        ("everstrike", {}),
        ("bitmart", {}),
        ("everstrike", {"pairs": (), "order_ids": ("a1", "a2")}),
        ("everstrike", {"order_ids": ("a1",)}),
        ("indodax", {"timeout_ms": 1_000}),
        ("indodax", {"timeout_ms": 9_000}),
    ],
)
def test_switch_that_can_be_kept_passes(exchange: str, fields: dict[str, Any]) -> None:
    """Pairs, order ids, or both, with a timeout within the bounds."""
    check_switch(EXCHANGES[exchange], **{**SWITCH, **fields})


@pytest.mark.parametrize(
    ("exchange", "fields", "words"),
    [
        ("everstrike", {"timeout_ms": True}, "a whole number"),
        ("everstrike", {"timeout_ms": 5_000.0}, "a whole number"),
        ("everstrike", {"timeout_ms": "5000"}, "a whole number"),
        ("everstrike", {"timeout_ms": None}, "a whole number"),
        ("everstrike", {"timeout_ms": 999}, "from 1000 to 9000"),
        ("everstrike", {"timeout_ms": 9_001}, "from 1000 to 9000"),
        ("everstrike", {"pairs": ()}, "needs a scope"),
        ("indodax", {"pairs": (), "order_ids": ("a1",)}, "keeps its countdown by pair"),
        ("indodax", {"pairs": ("a,b",)}, "is not a pair"),
        ("everstrike", {"pairs": ("btc_idr", "a b")}, "is not a pair"),
        ("everstrike", {"order_ids": ("a1", "a b")}, "is not an order id"),
        ("indodax", {"order_ids": ("a1",)}, "needs the pair"),
    ],
)
def test_switch_that_cannot_be_kept_is_refused(
    exchange: str, fields: dict[str, Any], words: str
) -> None:
    """Before it is armed, and the text says what is wrong."""
    with pytest.raises(InvalidCommand, match=words):
        check_switch(EXCHANGES[exchange], **{**SWITCH, **fields})


def test_command_that_is_not_offered_cannot_be_sent() -> None:
    """Even where nothing is wrong with it."""
    assert not able(EXCHANGES["everstrike"], CancelScope("btc_idr", "buy"))
    assert able(EXCHANGES["bitmart"], CancelScope("btc_idr", "buy"))


@pytest.mark.parametrize(
    ("exchange", "holds"), [("indodax", True), ("everstrike", False), ("bitmart", False)]
)
def test_one_exchange_keeps_countdowns_itself(exchange: str, holds: bool) -> None:  # noqa: FBT001
    """Workers keep the others' switches."""
    assert holds_timers(EXCHANGES[exchange]) is holds


@pytest.mark.parametrize(
    ("exchange", "pair", "wanted"),
    [
        ("indodax", "BTC_IDR", "btc_idr"),
        ("indodax", "btc_idr", "btc_idr"),
        ("indodax", None, None),
        ("indodax", 5, 5),
    ],
)
def test_pair_is_spelled_as_the_exchange_does(exchange: str, pair: Any, wanted: Any) -> None:
    """What is no text is left for the checks to refuse."""
    assert spelled(EXCHANGES[exchange], pair) == wanted


def test_what_an_exchange_cannot_be_asked_about_is_data_of_its_adapter() -> None:
    """Stop orders of any scope; at Hyperliquid what runs beside the book, of the account alone."""
    stops = "its stop orders may be open: everstrike has no documented list of them"
    assert unasked(job(kind=Kind.CANCEL_ALL), EXCHANGES["everstrike"]) == stops
    assert unasked(job(kind=Kind.CANCEL_ALL), EXCHANGES["kraken"]) == ""
    assert unasked(job(kind=Kind.CANCEL_ALL, pair="BTC"), EXCHANGES["hyperliquid"]) == ""
    others = "TWAP orders may be open"
    whole = unasked(job(kind=Kind.CANCEL_ALL), EXCHANGES["hyperliquid"])
    assert whole == f"{others}: they are not listed"
