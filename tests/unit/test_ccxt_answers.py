"""Whole answers to what ccxt has read of a reply, or has raised.

What ccxt does is given: here it is one exchange of none of its kinds.
"""

from __future__ import annotations

from typing import Any

import pytest
from ccxt.base import errors

from tests.support.given_ccxt import NOTHING, Reading, always, answer, as_it_is, raising, unknown
from worker.exchanges.ccxt.silent import Refused, Wants
from worker.model.commands import CancelOrder, CancelScope, Command, ListOpenOrders, QueryOrder
from worker.model.outcomes import (
    Answer,
    CancelAccepted,
    Closed,
    OpenOrder,
    OpenOrders,
    OrderReport,
    OrderState,
    Outcome,
    Unproven,
)

ID, PAIR = "123", "BTCUSDT"
CANCEL, QUERY, LIST = CancelOrder(ID, PAIR), QueryOrder(ID, PAIR), ListOpenOrders(PAIR)
ROW = {"id": ID, "status": "canceled"}
SHAPE = "{id: text, status: text}"


@pytest.mark.parametrize(
    ("command", "body", "wanted"),
    [
        (CANCEL, ROW, Closed(Outcome.CANCELED)),
        (CANCEL, {**ROW, "status": "closed"}, Closed(Outcome.GONE)),
        (CANCEL, {**ROW, "status": "open"}, CancelAccepted()),
        (CANCEL, {"id": ID}, CancelAccepted()),
        (CANCEL, {"id": "121"}, unknown(NOTHING, "{id: text}")),
        (QUERY, ROW, OrderReport(OrderState.CANCELED)),
        (QUERY, {**ROW, "status": "closed"}, OrderReport(OrderState.FILLED)),
        (QUERY, {**ROW, "status": "open"}, OrderReport(OrderState.OPEN)),
        # An open order may be on its way to an end.
        (QUERY, {"id": ID, "status": "open", "x": "pending"}, OrderReport(OrderState.OPEN)),
        (QUERY, {"id": ID}, unknown(NOTHING, "{id: text}")),
        (QUERY, {**ROW, "id": "121"}, unknown(NOTHING, SHAPE)),
        # Words of the exchange's own that say that it is under way.
        (QUERY, {**ROW, "x": "pending"}, unknown(NOTHING, "{id: text, status: text, x: text}")),
        (
            QUERY,
            {**ROW, "success": False},
            unknown(
                "it says that the request failed",
                "{id: text, status: text, success: true or false}",
            ),
        ),
        (
            CANCEL,
            {**ROW, "success": False},
            unknown(
                "it says that the request failed",
                "{id: text, status: text, success: true or false}",
            ),
        ),
        # Nothing is closed by it.
        (QUERY, {**ROW, "status": "open", "success": False}, OrderReport(OrderState.OPEN)),
        (CANCEL, {"id": ID, "success": False}, CancelAccepted()),
        (CancelScope(PAIR), ROW, unknown(NOTHING, SHAPE)),
    ],
)
def test_what_ccxt_has_read_of_a_reply(command: Command, body: object, wanted: Answer) -> None:
    """Only the reply's own report closes an order."""
    assert answer(command, body) == wanted


def message_of(body: Any) -> object:
    """Read a state out of words for people."""
    return {"id": ID, "status": "canceled" if "msg" in body else "open"}


def other(body: Any) -> object:
    """Read no report of the order where the reply has no words for people."""
    return {"id": body["id"], "status": body.get("status") if "msg" in body else "closed"}


def failing_again(error: BaseException) -> Reading:
    """Return a reading that fails on what is not the reply itself."""

    def read(body: Any) -> object:
        if "msg" in body:
            return body
        raise error

    return read


READINGS: dict[str, tuple[Reading, bool]] = {
    "the report": (as_it_is, True),
    "its id and status": (lambda body: {"id": body["id"], "status": body.get("status")}, True),
    "its own, whatever the reply": (always(ROW), False),
    "nothing": (always(None), False),
    "of another id too": (lambda body: ROW if body.get("status") else None, False),
    "of the id alone": (lambda body: ROW if body["id"] == ID else None, False),
    "out of a message": (message_of, False),
    "another state without the message": (other, False),
    **{
        f"a failure without the report: {type(error).__name__}": (failing_again(error), False)
        for error in (Wants("/x"), Refused(), KeyError("status"), errors.BadRequest("x"))
    },
}


@pytest.mark.parametrize("case", READINGS)
def test_a_state_is_the_replys_own(case: str) -> None:
    """Each other reading shows that it was ccxt's, or none that can be proven."""
    reading, proven = READINGS[case]
    found = answer(QUERY, {**ROW, "msg": "words"}, reading)
    none = unknown(f"{NOTHING}: words", "{id: text, status: text, msg: text}")
    assert found == (OrderReport(OrderState.CANCELED) if proven else none)


def test_a_failure_around_the_order_takes_its_proof() -> None:
    """At any depth."""
    body = {"data": {"success": False, "order": ROW}}
    shape = "{data: {success: true or false, order: {id: text, status: text}}}"
    wanted = unknown("it says that the request failed", shape)
    assert answer(QUERY, body, lambda read: read["data"]["order"]) == wanted


def test_a_reply_that_is_too_deep_is_not_read() -> None:
    """Not even as far as ccxt could."""
    body: object = ROW
    for _ in range(40):
        body = [body]
    deep = answer(CANCEL, body, always(ROW))
    assert isinstance(deep, Unproven)
    assert NOTHING not in deep.detail


def test_an_open_order_is_named_by_the_reply() -> None:
    """Whatever ccxt has read."""
    is_open = {"id": ID, "status": "open"}
    assert answer(QUERY, {"id": "121"}, always(is_open)) == unknown(NOTHING, "{id: text}")
    assert answer(CANCEL, {"id": ID}, always(None)) == unknown(NOTHING, "{id: text}")


ROWS: list[dict[str, object]] = [
    {"id": ID, "symbol": PAIR, "side": "buy", "status": "open"},
    {"id": "124", "symbol": PAIR, "side": "sell"},
    {"id": "125", "symbol": PAIR, "side": "odd", "status": None},
    {"id": "126", "symbol": PAIR, "side": "buy", "status": "closed"},
    {"id": "127", "symbol": "ETHUSDT", "side": "buy", "status": "open"},
    {"id": "1 8", "symbol": PAIR, "side": "buy", "status": "open"},
    {"id": "129", "symbol": "B C", "side": "buy", "status": "open"},
    {"id": "130", "symbol": PAIR, "side": "buy", "status": "open"},
]
FIRST, SECOND = OpenOrder(ID, PAIR, "buy"), OpenOrder("124", PAIR, "sell")
ODD, LAST = OpenOrder("125", PAIR, None), OpenOrder("130", PAIR, "buy")


@pytest.mark.parametrize(
    ("scope", "orders"),
    [
        (LIST, (FIRST, SECOND, ODD, LAST)),
        (ListOpenOrders(PAIR, "buy"), (FIRST, LAST)),
        (ListOpenOrders(PAIR, "sell"), (SECOND,)),
        (ListOpenOrders(), (FIRST, SECOND, ODD, OpenOrder("127", "ETHUSDT", "buy"), LAST)),
    ],
)
def test_a_list_has_orders_and_is_never_complete(
    scope: ListOpenOrders, orders: tuple[OpenOrder, ...]
) -> None:
    """Those of the scope that the reply itself names."""
    assert answer(scope, ROWS) == OpenOrders(orders, complete=False)
    unnamed = [{**ROWS[0], "id": "999"}, *ROWS]
    assert answer(scope, ROWS, always(unnamed)) == OpenOrders(orders, complete=False)


@pytest.mark.parametrize("found", [[], None, {}, "x", [ROWS[3]]])
def test_no_list_is_empty_for_certain(found: object) -> None:
    """Nothing is said of the scope."""
    assert answer(LIST, {"id": ID}, always(found)) == unknown(NOTHING, "{id: text}")


BUSY = {"msg": "busy"}
ERRORS: list[tuple[Command, BaseException, bool, Answer]] = [
    (
        CANCEL,
        errors.OrderNotFound("x"),
        False,
        Unproven(Outcome.UNKNOWN, "HTTP 200: busy; ccxt: OrderNotFound", missing=True),
    ),
    (
        QUERY,
        errors.OrderNotFound("x"),
        False,
        OrderReport(OrderState.MISSING, "HTTP 200: busy; ccxt: OrderNotFound"),
    ),
    (
        CANCEL,
        errors.InvalidNonce("x"),
        True,
        Unproven(Outcome.UNAVAILABLE, "HTTP 200: busy; ccxt: InvalidNonce", nonce_floor=0),
    ),
    (
        CANCEL,
        errors.InvalidNonce("x"),
        False,
        Unproven(Outcome.UNAVAILABLE, "HTTP 200: busy; ccxt: InvalidNonce", clock_refused=True),
    ),
    *(
        (CANCEL, error("x"), False, Unproven(outcome, f"HTTP 200: busy; ccxt: {error.__name__}"))
        for error, outcome in (
            (errors.RateLimitExceeded, Outcome.THROTTLED),
            (errors.DDoSProtection, Outcome.THROTTLED),
            (errors.AuthenticationError, Outcome.UNAUTHORIZED),
            (errors.PermissionDenied, Outcome.UNAUTHORIZED),
            (errors.ExchangeNotAvailable, Outcome.UNAVAILABLE),
            (errors.OnMaintenance, Outcome.UNAVAILABLE),
            (errors.InvalidOrder, Outcome.UNKNOWN),
            (errors.ExchangeError, Outcome.UNKNOWN),
        )
    ),
    (CANCEL, KeyError("x"), False, unknown("ccxt: KeyError: busy", "{msg: text}")),
    (
        CANCEL,
        Wants("GET /a\nb"),
        False,
        unknown("ccxt wants GET /a b beside it, which is not sent: busy", "{msg: text}"),
    ),
    (CANCEL, Refused(), False, Unproven(Outcome.UNKNOWN, "HTTP 200: busy")),
]


@pytest.mark.parametrize(("command", "error", "nonce", "wanted"), ERRORS)
def test_what_ccxt_raises(
    command: Command, error: BaseException, wanted: Answer, *, nonce: bool
) -> None:
    """Its errors say what is not proven, and any other error says nothing."""
    assert answer(command, BUSY, raising(error), nonce=nonce) == wanted


def test_a_long_message_is_cut() -> None:
    """The name of the error is not shown then."""
    found = answer(CANCEL, {"msg": "x" * 2_000}, raising(errors.ExchangeError("x")))
    assert isinstance(found, Unproven)
    whole = answer(CANCEL, {"msg": "x" * 2_000}, raising(Refused()))
    assert isinstance(whole, Unproven)
    assert found.detail.startswith(whole.detail[:100])
    assert len(found.detail) <= 500


@pytest.mark.parametrize(
    ("status", "body", "wanted"),
    [
        (429, ROW, Unproven(Outcome.THROTTLED, "HTTP 429", retry_after_ms=3_000)),
        (500, ROW, Unproven(Outcome.UNAVAILABLE, "HTTP 500", retry_after_ms=3_000)),
        (599, [ROW], Unproven(Outcome.UNAVAILABLE, "HTTP 599", retry_after_ms=3_000)),
        (400, ROW, Closed(Outcome.CANCELED)),
        (200, "text", Unproven(Outcome.UNKNOWN, "HTTP 200: text")),
        (200, None, Unproven(Outcome.UNKNOWN, "HTTP 200: null")),
    ],
)
def test_a_status_of_an_outage_is_read_by_itself(status: int, body: object, wanted: Answer) -> None:
    """So is what is neither an object nor a list."""
    assert answer(CANCEL, body, status=status) == wanted


def test_a_refusal_for_the_rate_has_the_replys_wait() -> None:
    """Where its status does not say so, the text does."""
    found = answer(CANCEL, BUSY, raising(errors.RateLimitExceeded("x")), status=430)
    assert found == Unproven(Outcome.THROTTLED, "HTTP 430: busy; ccxt: RateLimitExceeded")
