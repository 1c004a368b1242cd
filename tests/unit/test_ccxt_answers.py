"""Whole answers to what ccxt has read of a reply, or has raised.

What ccxt does is given: here it is one exchange of none of its kinds.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from ccxt.base import errors

from worker.exchanges.ccxt.profile import Profile, profile_of
from worker.exchanges.ccxt.replies import read_reply
from worker.exchanges.ccxt.silent import Pass, Refused, Wants
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
from worker.model.wire import Reply

ID, PAIR = "123", "BTCUSDT"
CANCEL, QUERY, LIST = CancelOrder(ID, PAIR), QueryOrder(ID, PAIR), ListOpenOrders(PAIR)
ROW = {"id": ID, "status": "canceled"}
Reading = Callable[[Any], Any]


class Ccxt:
    """What ccxt is asked for, and what it makes of the JSON of a reply."""

    def __init__(self, reading: Reading, *, nonce: bool = False) -> None:
        self.reading = reading
        self.nonce = nonce
        self.entry = self
        self.passes: list[Pass] = []

    def prepare(self) -> str:
        """Return what stands for ccxt's exchange."""
        return "prepared"

    def run(self, template: str, command: Command, run: Pass) -> object:
        """Read a reply."""
        assert template == "prepared"
        assert isinstance(command, CancelOrder | QueryOrder | ListOpenOrders | CancelScope)
        assert run.reply is not None
        self.passes.append(run)
        return self.reading(run.reply[1])


def raising(error: Exception) -> Reading:
    """Return a reading that fails."""

    def fail(body: object) -> object:
        raise error

    return fail


def as_it_is(body: object) -> object:
    """Read a body as the order's report."""
    return body


def answer(
    command: Command,
    body: object,
    reading: Reading = as_it_is,
    *,
    status: int = 200,
    profile: Profile | None = None,
    nonce: bool = False,
) -> Answer:
    """Return the answer to a reply, which names a wait of 3 s."""
    ccxt: Any = Ccxt(reading, nonce=nonce)
    reply = Reply(status, {"retry-after": "3"}, json.dumps(body).encode(), received_ms=0)
    found = read_reply(ccxt, profile, command, reply)
    for each in ccxt.passes:
        assert each.reply[0] is reply
        assert each.parses is (profile is None)
    return found


def unknown(why: str, shape: str) -> Unproven:
    """Return the answer to a reply that proves nothing."""
    return Unproven(Outcome.UNKNOWN, f"HTTP 200: {why}; {shape}")


NOTHING = "the reply proves nothing of this order"
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


def always(found: object) -> Reading:
    """Return a reading that does not depend on the reply."""
    return lambda body: found


def told(body: Any) -> object:
    """Read a state out of words for people."""
    return {"id": ID, "status": "canceled" if "msg" in body else "open"}


def other(body: Any) -> object:
    """Read no report of the order where the reply has no words for people."""
    return {"id": body["id"], "status": body.get("status") if "msg" in body else "closed"}


def failing_again(error: Exception) -> Reading:
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
    "out of a message": (told, False),
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


def test_an_open_order_is_named_by_the_reply() -> None:
    """Whatever ccxt has read."""
    is_open = {"id": ID, "status": "open"}
    assert answer(QUERY, {"id": "121"}, always(is_open)) == unknown(NOTHING, "{id: text}")
    assert answer(CANCEL, {"id": ID}, always(None)) == unknown(NOTHING, "{id: text}")


ROWS = [
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
ERRORS: list[tuple[Command, Exception, bool, Answer]] = [
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
    command: Command, error: Exception, wanted: Answer, *, nonce: bool
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
