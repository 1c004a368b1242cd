"""ccxt's own cases: what it signs is signed here, and the replies mean the same.

Both files have those of its repository that are about the commands used here, with pairs
as the exchanges write them and without credentials: `fixtures.json` the requests, and
`responses.json` the replies with what each means for the order that was asked about.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from tests.support.ccxt_requests import signed
from worker.exchanges.ccxt.adapter import exchange_of
from worker.exchanges.ccxt.profile import profiled
from worker.model.commands import CancelOrder, Command, ListOpenOrders, QueryOrder, SetCountdown
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

FOLDER = Path(__file__).parents[1] / "data" / "ccxt"
REQUESTS: list[Any] = json.loads((FOLDER / "fixtures.json").read_text())["requests"]
RESPONSES: list[dict[str, Any]] = json.loads((FOLDER / "responses.json").read_text())["cases"]
NAMES = [f"{number}-{case['id']}-{case['method']}" for number, case in enumerate(RESPONSES)]
SAME = {"cancelAllOrders": "cancelOrder", "fetchOrders": "fetchOpenOrders"}
"""Methods whose replies are read by the command of another one."""
HISTORIES = ("bitfinex", "phemex", "whitebit")
"""Ids whose closed orders are listed as an order that was asked about."""
VARYING = {
    *("nonce", "id", "sig", "api_key", "timestamp", "Timestamp", "Signature", "AccessKeyId"),
    *("limit", "size"),
}
"""Fields that another clock, key or page changes."""
OURS = {"bitvavo": {"operatorId": "1"}}
"""What a profile adds."""


def command_of(method: str, given: list[Any]) -> Command:
    """Return the command that a case's method carries out."""
    match method:
        case "cancelOrder":
            return CancelOrder(*given)
        case "fetchOrder":
            return QueryOrder(*given)
        case "fetchOpenOrders":
            return ListOpenOrders(*given)
        case _:
            return SetCountdown(tuple(given[1:]), given[0])


def fields(url: str, body: str) -> dict[str, Any]:
    """Return the fields of a request that do not vary."""
    found = dict(parse_qsl(urlsplit(url).query)) | (json.loads(body) if body else {})
    return {name: value for name, value in found.items() if name not in VARYING}


@pytest.mark.parametrize(
    ("name", "method", "given", "url", "body"),
    REQUESTS,
    ids=[f"{name}-{method}-{given[0]}" for name, method, given, *_ in REQUESTS],
)
def test_a_case_is_signed_as_by_ccxt(
    name: str, method: str, given: list[Any], url: str, body: str | None
) -> None:
    """The same address with the same fields, and nothing else but what the profile adds."""
    request = signed(exchange_of(name), command_of(method, given))
    assert request.url.partition("?")[0] == url.partition("?")[0]
    extra = OURS.get(name, {}) if method == "cancelOrder" else {}
    id_is_key = name == "bitfinex"
    mine, theirs = (json.loads(each or "{}").get("id") for each in (request.body.decode(), body))
    assert not id_is_key or mine == theirs
    assert fields(request.url, request.body.decode()) == {**fields(url, body or ""), **extra}


def asked(case: dict[str, Any]) -> Command:
    """Return the command that asks about the very order or pair of a case."""
    name, method, given = case["id"], case["method"], case["asked"]
    if method == "fetchClosedOrders":
        return (QueryOrder if name in HISTORIES else ListOpenOrders)(*given)
    return command_of(SAME.get(method, method), given)


def another(command: Command) -> Command:
    """Return the command about another order, pair or countdown."""
    match command:
        case CancelOrder(order_id=order_id) | QueryOrder(order_id=order_id):
            last = "2" if order_id.endswith("1") else "1"
            return replace(command, order_id=order_id[:-1] + last)
        case ListOpenOrders():
            return replace(command, pair="NO-SUCH")
        case SetCountdown():
            return replace(command, countdown_ms=2 * command.countdown_ms)
        case _:
            raise AssertionError(command)


def meant(command: Command, means: Any) -> Answer | None:
    """Return the answer that a case's reply means; None if it proves nothing."""
    match means:
        case {"orders": orders, "complete": complete}:
            return OpenOrders(tuple(OpenOrder(*each) for each in orders), complete)
        case "accepted":
            return CancelAccepted()
        case "nothing":
            return None
        case _ if isinstance(command, CancelOrder):
            return {"canceled": Closed(Outcome.CANCELED), "filled": Closed(Outcome.GONE)}[means]
        case _:
            return OrderReport(OrderState(means.upper()))


def read(case: dict[str, Any], command: Command) -> Answer:
    """Return what the adapter reads out of a case's reply."""
    reply = Reply(200, {}, json.dumps(case["reply"]).encode(), 0)
    return exchange_of(case["id"]).classify(command, reply)


@pytest.mark.parametrize("case", RESPONSES, ids=NAMES)
def test_a_response_is_read_as_it_means(case: dict[str, Any]) -> None:
    """`means` was written from the reply, not from what the adapter or ccxt makes of it."""
    command = asked(case)
    answer, expected = read(case, command), meant(command, case["means"])
    assert isinstance(answer, Unproven) if expected is None else answer == expected


@pytest.mark.parametrize("case", RESPONSES, ids=NAMES)
def test_a_response_proves_nothing_of_another_order(case: dict[str, Any]) -> None:
    """Nor does it list an order of another pair, or confirm another countdown."""
    match read(case, another(asked(case))):
        case OpenOrders(orders=orders):
            assert not orders
        case OrderReport(state=state):
            assert state is OrderState.MISSING
        case answer:
            assert isinstance(answer, Unproven | CancelAccepted)


def test_responses_of_each_id_that_has_any() -> None:
    """The file of MEXC has none of these methods."""
    assert {case["id"] for case in RESPONSES} == set(profiled()) - {"mexc"}
