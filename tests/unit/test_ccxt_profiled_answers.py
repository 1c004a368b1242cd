"""Whole answers on exchanges that have a profile, whatever ccxt makes of the reply."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ccxt.base import errors

from tests.support.given_ccxt import NOTHING, answer, raising, unknown
from worker.exchanges.ccxt.profile import Profile, profile_of
from worker.model.commands import CancelOrder, Command, ListOpenOrders, QueryOrder
from worker.model.outcomes import (
    Answer,
    OpenOrder,
    OpenOrders,
    OrderReport,
    OrderState,
    Outcome,
    Unproven,
)

ID, PAIR = "123", "BTCUSDT"
CANCEL, LIST = CancelOrder(ID, PAIR), ListOpenOrders(PAIR)
PHEMEX, BITFINEX = profile_of("phemex"), profile_of("bitfinex")
NO_ORDERS = {"code": 10002, "msg": "odd"}
FAULT = ["error", 10020, "odd"]
ERROR_SHAPE = "{code: number, msg: text}"
OUTAGE = Unproven(Outcome.UNAVAILABLE, "HTTP 500", retry_after_ms=3_000)


@pytest.mark.parametrize(
    ("profile", "command", "body", "status", "wanted"),
    [
        (PHEMEX, LIST, NO_ORDERS, 200, OpenOrders((), complete=True)),
        (PHEMEX, LIST, NO_ORDERS, 400, Unproven(Outcome.UNKNOWN, "HTTP 400: NOTHING: odd; SHAPE")),
        (PHEMEX, CANCEL, NO_ORDERS, 200, unknown(f"{NOTHING}: odd", ERROR_SHAPE)),
        (PHEMEX, LIST, {**NO_ORDERS, "code": 7}, 200, unknown(f"{NOTHING}: odd", ERROR_SHAPE)),
        (None, LIST, NO_ORDERS, 200, unknown(f"{NOTHING}: odd", ERROR_SHAPE)),
        (BITFINEX, LIST, {"a": 1}, 200, unknown(NOTHING, "{a: number}")),
        # A documented error comes with the status of an outage.
        (BITFINEX, CANCEL, FAULT, 500, Unproven(Outcome.UNKNOWN, "HTTP 500: NOTHING; FAULT")),
        (BITFINEX, CANCEL, {"a": 1}, 500, OUTAGE),
        (BITFINEX, CANCEL, FAULT, 501, replace(OUTAGE, detail="HTTP 501")),
        (PHEMEX, CANCEL, FAULT, 500, OUTAGE),
        (None, CANCEL, FAULT, 500, OUTAGE),
    ],
)
def test_what_a_profile_documents(
    profile: Profile | None, command: Command, body: object, status: int, wanted: Answer
) -> None:
    """An error that is the empty list, and a status that is no outage."""
    if isinstance(wanted, Unproven):
        words = wanted.detail.replace("NOTHING", NOTHING).replace("SHAPE", ERROR_SHAPE)
        wanted = replace(wanted, detail=words.replace("FAULT", "[3 of text]"))
    assert answer(command, body, status=status, profile=profile) == wanted


def test_a_profile_reads_the_reply_itself() -> None:
    """Not what ccxt has made of it, nor what it has written into it."""
    row = {"orderID": ID, "symbol": f"s{PAIR}", "side": "Buy", "ordStatus": "Canceled"}
    body = {"code": 0, "data": {"rows": [row]}}

    def spoiled(read: Any) -> object:
        read.clear()
        return None

    query = QueryOrder(ID, f"s{PAIR}")
    wanted = OrderReport(OrderState.CANCELED)
    assert answer(query, body, spoiled, profile=PHEMEX) == wanted


FAILED = "it says that the request failed"
LISTED = {"orderID": "XX", "symbol": f"s{PAIR}", "side": "Buy", "ordStatus": "New"}


@pytest.mark.parametrize(
    ("more", "wanted"),
    [
        ({}, OpenOrders((), complete=True)),
        ({"success": False}, unknown(FAILED, "{code: number, data: [0], success: true or false}")),
    ],
)
def test_an_empty_list_beside_a_failure_is_not_empty(
    more: dict[str, object], wanted: Answer
) -> None:
    """Though it has the form of a success."""
    body = {"code": 0, "data": [], **more}
    assert answer(ListOpenOrders(f"s{PAIR}"), body, profile=PHEMEX) == wanted


def test_what_a_row_of_a_list_says_is_not_the_requests() -> None:
    """Its error is the order's."""
    body = {"code": 0, "data": [{**LISTED, "error": "odd"}]}
    wanted = OpenOrders((OpenOrder("XX", f"s{PAIR}", "buy"),), complete=True)
    assert answer(ListOpenOrders(f"s{PAIR}"), body, profile=PHEMEX) == wanted


@pytest.mark.parametrize(
    ("error", "wanted"),
    [
        (errors.RateLimitExceeded, Unproven(Outcome.THROTTLED, "", retry_after_ms=3_000)),
        (errors.AuthenticationError, Unproven(Outcome.UNAUTHORIZED, "")),
    ],
)
def test_only_a_refusal_for_the_rate_has_a_wait(error: type[Exception], wanted: Unproven) -> None:
    """That of a documented error whose status is an outage's."""
    found = answer(CANCEL, FAULT, raising(error("x")), status=500, profile=BITFINEX)
    assert found == replace(wanted, detail=f"HTTP 500; ccxt: {error.__name__}")
