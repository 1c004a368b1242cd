"""Whether a reply itself reports what ccxt has read out of it, and replies without that report."""

from __future__ import annotations

import pytest

from worker.exchanges.ccxt.evidence import names, proves, seen_as, without
from worker.model.outcomes import OrderState

ID = "123"
OTHER = "121"
ROW = {"id": ID, "status": "canceled"}


@pytest.mark.parametrize(
    ("found", "state"),
    [
        ({"id": ID, "status": "open"}, OrderState.OPEN),
        ({"id": ID, "status": "canceled"}, OrderState.CANCELED),
        ({"id": ID, "status": "closed"}, OrderState.FILLED),
        ({"id": ID, "status": "expired"}, OrderState.FILLED),
        ({"id": ID, "status": "rejected"}, OrderState.FILLED),
        ({"id": 123, "status": "open"}, OrderState.OPEN),
        ({"id": ID, "status": "canceling"}, None),
        ({"id": ID, "status": None}, None),
        ({"id": ID, "status": ["open"]}, None),
        ({"id": ID}, None),
        ({"id": OTHER, "status": "open"}, None),
        ({"status": "open"}, None),
        ([ROW], None),
        (None, None),
    ],
)
def test_what_ccxt_has_read_of_an_order(found: object, state: OrderState | None) -> None:
    """Only a known status of this very order."""
    assert seen_as(found, ID) is state


def test_no_order_is_named_by_an_empty_id() -> None:
    """Nor is anything proven of it."""
    nothing: object = {"id": "", "status": "open", "": {"status": "canceled"}}
    assert seen_as(nothing, "") is None
    assert not names(nothing, "")


@pytest.mark.parametrize(
    ("body", "named", "proven"),
    [
        (ROW, True, True),
        ({"id": 123, "status": "canceled"}, True, True),
        ({"data": {"list": [{}, ROW]}}, True, True),
        ([[1, ID, "CANCELED"]], True, True),
        ([ID], True, True),
        # The id may be the name under which the report is kept.
        ({"data": {ID: {"status": "canceled"}}}, True, True),
        ({"data": {ID: {"status": "canceling"}}}, True, False),
        ({ID: "canceled"}, True, True),
        ({ID: "pending"}, True, False),
        ({ID: 5}, True, True),
        # One row of the order that is under way is enough.
        ([ROW, {"id": ID, "status": "PENDING_CANCEL"}], True, False),
        ([ROW, {"id": OTHER, "status": "PENDING_CANCEL"}], True, True),
        ([[1, ID, "cancel_sent"]], True, False),
        ({"id": ID, "status": "CANCEL_ALL_SENT"}, True, False),
        ({"id": ID, "status": "sent_cancel"}, True, False),
        ({"id": ID, "status": "cancelling"}, True, False),
        ({"id": ID, "status": "requested"}, True, False),
        ({"id": ID, "status": "IN_PROGRESS"}, True, False),
        ({"id": ID, "status": "in progress"}, True, False),
        ({"id": ID, "status": "submitting"}, True, False),
        ({"id": ID, "status": "accepted"}, True, False),
        ({"id": ID, "status": 7, "info": {"status": "pending"}}, True, True),
        # Part of a text is no id, and another order's report is none of this one.
        ({"msg": f"order {ID} canceled"}, False, False),
        ({"id": OTHER, "status": "canceled"}, False, False),
        ({"data": {OTHER: {"status": "canceled"}}}, False, False),
        ({}, False, False),
        ([], False, False),
        (ID, False, False),
        (None, False, False),
    ],
)
def test_whether_a_reply_reports_the_order(body: object, *, named: bool, proven: bool) -> None:
    """It names the order in a row of its own, and in none of them as under way."""
    assert names(body, ID) is named
    assert proves(body, ID) is proven


@pytest.mark.parametrize(
    ("body", "decoy", "bare"),
    [
        (ROW, {"id": OTHER, "status": "canceled"}, {"id": ID}),
        ({"id": 123, "s": "x"}, {"id": 121, "s": "x"}, {"id": 123}),
        ([ROW, "x"], [{"id": OTHER, "status": "canceled"}, "x"], [{"id": ID}, "x"]),
        ([1, ID, "x"], [1, OTHER, "x"], [None, ID, None]),
        ([ID], [OTHER], [ID]),
        (["x"], ["x"], ["x"]),
        (
            {"data": {ID: {"s": "x"}, "n": 1}},
            {"data": {OTHER: {"s": "x"}, "n": 1}},
            {"data": {ID: {}, "n": 1}},
        ),
        (
            {"s": "x", "in": {"id": ID, "s": "x"}},
            {"s": "x", "in": {"id": OTHER, "s": "x"}},
            {"s": "x", "in": {"id": ID}},
        ),
        ({"id": ID, "in": {"s": "x"}}, {"id": OTHER, "in": {"s": "x"}}, {"id": ID}),
        ("123", "121", "123"),
        ([[123, "x"]], [[121, "x"]], [[123, None]]),
        ("x", "x", "x"),
        (None, None, None),
    ],
)
def test_replies_that_do_not_report_the_order(body: object, decoy: object, bare: object) -> None:
    """One with another id of the same form, and one with only the id in the order's rows."""
    assert without(body, ID, decoy=True) == decoy
    assert without(body, ID, decoy=False) == bare


@pytest.mark.parametrize(
    ("order_id", "other"), [("a1", "a2"), ("a2", "a1"), ("b", "1"), ("1", "2")]
)
def test_the_other_id_differs_in_its_last_letter(order_id: str, other: str) -> None:
    """So it has the form that the exchange's ids have."""
    assert without(order_id, order_id, decoy=True) == other
