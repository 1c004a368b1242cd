"""Algo orders of OKX: stops and the like, listed, canceled and asked about apart."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.support import golden
from worker.exchanges.base import Access, Stamp
from worker.exchanges.okx.adapter import OKX, sign
from worker.gateway.account import AccountSession
from worker.model.commands import (
    CancelOrder,
    Command,
    ListOpenOrders,
    ListStopOrders,
    QueryOrder,
)
from worker.model.limits import Rule
from worker.model.outcomes import (
    Answer,
    CancelAccepted,
    OpenOrder,
    OpenOrders,
    OrderReport,
    OrderState,
    Outcome,
    Unproven,
)
from worker.model.wire import Reply

ID, OTHER = "590908157585625111", "590908157585625112"
NOW_MS = 1_700_000_000_000
CANCEL_ALGO = CancelOrder(ID, pair="BTC-USDT", stop=True)
ASK_ALGO = QueryOrder(ID, pair="BTC-USDT", stop=True)
ALGOS = ListStopOrders(pair="BTC-USDT")
KINDS = (
    "conditional,oco",
    "trigger",
    "move_order_stop",
    "iceberg",
    "twap",
    "chase",
    "smart_iceberg",
)


def done(*rows: object, code: str = "0", msg: str = "") -> dict[str, object]:
    """Build a body."""
    return {"code": code, "msg": msg, "data": list(rows)}


def reply(body: object) -> Reply:
    """Build a reply."""
    return Reply(200, {}, json.dumps(body).encode(), received_ms=0)


def algo(state: str, **other: object) -> dict[str, object]:
    """Build an algo order as the exchange writes it."""
    named = {"instId": "BTC-USDT", "algoId": ID, "algoClOrdId": "my1", "side": "sell"}
    return {**named, "ordType": "oco", "state": state, **other}


@pytest.mark.parametrize(
    ("command", "method", "target", "body"),
    [
        (CANCEL_ALGO, "POST", "cancel-algos", [{"instId": "BTC-USDT", "algoId": ID}]),
        (ASK_ALGO, "GET", f"order-algo?algoId={ID}", None),
        (
            ALGOS,
            "GET",
            "orders-algo-pending?ordType=conditional%2Coco&instId=BTC-USDT",
            None,
        ),
        (
            ListStopOrders(after="trigger 17"),
            "GET",
            "orders-algo-pending?ordType=trigger&after=17",
            None,
        ),
    ],
)
def test_algo_orders_have_endpoints_of_their_own(
    command: Command, method: str, target: str, body: object
) -> None:
    """A cancel is a list; the signature covers what is sent."""
    access = Access("https://h", "k", "s", memo="p")
    request = OKX.sign(command, access, Stamp(NOW_MS))
    assert (request.method, request.url) == (method, f"https://h/api/v5/trade/{target}")
    assert json.loads(request.body or b"null") == body
    payload = f"2023-11-14T22:13:20.000Z{method}/api/v5/trade/{target}{request.body.decode()}"
    assert request.headers["OK-ACCESS-SIGN"] == sign("s", payload)


def test_algo_orders_are_listed_kind_by_kind() -> None:
    """A full page is followed by the next of its kind; only after the last kind it is over."""
    listed, after = [], ""
    while True:
        command = replace(ALGOS, after=after)
        request = OKX.sign(command, Access("https://h", "k", "s"), Stamp(NOW_MS))
        listed.append(golden.parameters(request.url, "")["ordType"])
        answer = OKX.classify(command, reply(done(algo("live", ordType=listed[-1]))))
        assert isinstance(answer, OpenOrders)
        assert answer.orders == (OpenOrder(ID, "BTC-USDT", "sell", stop=True),)
        assert answer.complete
        after = answer.next
        if not after:
            break
    assert tuple(listed) == KINDS
    rows = [algo("live", algoId=str(n)) for n in range(200, 100, -1)]
    for before, following in (("", f"{KINDS[0]} 101"), ("chase 300", "chase 101")):
        answer = OKX.classify(replace(ALGOS, after=before), reply(done(*rows)))
        assert isinstance(answer, OpenOrders)
        assert (len(answer.orders), answer.complete, answer.next) == (100, True, following)


def test_a_page_of_no_known_kind_is_the_last() -> None:
    """Nothing of a stranger's makes it fail."""
    answer = OKX.classify(replace(ALGOS, after="odd 17"), reply(done(algo("live"))))
    assert isinstance(answer, OpenOrders)
    assert (len(answer.orders), answer.next) == (1, "")


def refusal(code: str, msg: str, after: str, status: int = 400) -> Answer:
    """Read why a list of algo orders was refused."""
    body = json.dumps(done(code=code, msg=msg)).encode()
    return OKX.classify(replace(ALGOS, after=after), Reply(status, {}, body, received_ms=0))


@pytest.mark.parametrize("status", [200, 400])
def test_a_site_without_a_later_kind_has_no_order_of_it(status: int) -> None:
    """It refuses the parameter by name; the next kind is listed."""
    words = "Parameter ordType error"
    none = OpenOrders((), complete=True)
    assert refusal("51000", words, "chase", status) == replace(none, next="smart_iceberg")
    assert refusal("51000", f"{words} ", "smart_iceberg 17", status) == none


@pytest.mark.parametrize(
    ("code", "msg", "after", "status"),
    [
        ("51000", "Parameter ordType error", "", 400),
        ("51000", "Parameter ordType error", "twap", 400),
        ("51000", "Parameter ordType error", "chase", 500),
        ("51000", "Parameter after error", "chase", 400),
        ("51000", "Parameter ordTypes error", "chase", 400),
        ("51001", "Parameter ordType error", "chase", 400),
        ("50026", "ordType", "smart_iceberg", 400),
    ],
)
def test_no_other_refusal_says_that_there_is_no_order(
    code: str, msg: str, after: str, status: int
) -> None:
    """Of kinds that every site has, of another parameter, or by another code."""
    assert isinstance(refusal(code, msg, after, status), Unproven)
    plain = Reply(400, {}, json.dumps(done(code="51000", msg="ordType")).encode(), 0)
    assert isinstance(OKX.classify(ListOpenOrders(), plain), Unproven)


@pytest.mark.parametrize(
    ("rows", "found", "complete"),
    [
        ([algo("pause")], 1, True),
        ([algo("partially_effective")], 1, True),
        ([algo("canceled"), algo("order_failed")], 0, True),
        ([algo("effective")], 1, False),
        ([algo("live", instId="ETH-USDT")], 0, True),
        ([algo("live", algoId=None)], 0, False),
        ([algo("live", side=None)], 1, False),
    ],
)
def test_algo_orders_of_a_scope(rows: list[object], found: int, *, complete: bool) -> None:
    """What is not known to be over is canceled."""
    answer = OKX.classify(ALGOS, reply(done(*rows)))
    assert isinstance(answer, OpenOrders)
    assert (len(answer.orders), answer.complete) == (found, complete)
    assert all(order.stop for order in answer.orders)


@pytest.mark.parametrize(
    ("client_id", "found", "complete"),
    [("grid7", 1, True), ("mine", 0, True), ("", 0, True), (None, 0, False)],
)
def test_algo_orders_have_client_ids_of_their_own(
    client_id: object, found: int, *, complete: bool
) -> None:
    """`algoClOrdId`, an empty text for none."""
    scope = replace(ALGOS, client_id_prefix="grid")
    answer = OKX.classify(scope, reply(done(algo("live", algoClOrdId=client_id))))
    assert isinstance(answer, OpenOrders)
    assert (len(answer.orders), answer.complete) == (found, complete)


ALGO_ACCEPTED = {"algoId": ID, "sCode": "0", "sMsg": ""}
ALGO_MISSING = OrderReport(OrderState.MISSING, "HTTP 200: 51603 Order does not exist")


@pytest.mark.parametrize(
    ("command", "body", "answer"),
    [
        (CANCEL_ALGO, done(ALGO_ACCEPTED), CancelAccepted()),
        (ASK_ALGO, done(algo("live")), OrderReport(OrderState.OPEN)),
        (ASK_ALGO, done(algo("canceled")), OrderReport(OrderState.CANCELED)),
        (ASK_ALGO, done(algo("order_failed")), OrderReport(OrderState.FILLED)),
        (ASK_ALGO, done(code="51603", msg="Order does not exist"), ALGO_MISSING),
    ],
)
def test_the_proof_is_the_answer_about_the_algo_id(
    command: Command, body: object, answer: Answer
) -> None:
    """A cancel is only accepted here, too."""
    assert OKX.classify(command, reply(body)) == answer


@pytest.mark.parametrize(
    ("command", "body", "missing"),
    [
        (CANCEL_ALGO, done({**ALGO_ACCEPTED, "sCode": "51400"}, code="1"), True),
        (CANCEL_ALGO, done({**ALGO_ACCEPTED, "sCode": "51412"}, code="1"), False),
        (CANCEL_ALGO, done({**ALGO_ACCEPTED, "algoId": OTHER}), False),
        (CANCEL_ALGO, done(ALGO_ACCEPTED, ALGO_ACCEPTED), False),
        (CANCEL_ALGO, done({"ordId": ID, "sCode": "0"}), False),
        (CANCEL_ALGO, done(algo("canceled")), False),
        (ASK_ALGO, done(algo("effective")), False),
        (ASK_ALGO, done(algo("partially_failed")), False),
        (ASK_ALGO, done(algo("canceled", algoId=OTHER)), False),
        (ASK_ALGO, done(algo("canceled", instId="ETH-USDT")), False),
        (replace(ASK_ALGO, pair=None), done(algo("canceled", instId="")), False),
        (replace(ASK_ALGO, pair=None), done(algo("canceled", instId="XX")), False),
        (ASK_ALGO, done({**algo("canceled"), "algoId": None, "ordId": ID}), False),
        (replace(ASK_ALGO, stop=False), done(algo("canceled")), False),
        (ALGOS, {"code": "0", "data": {}}, False),
    ],
)
def test_what_proves_nothing_of_an_algo_order(
    command: Command, body: object, *, missing: bool
) -> None:
    """Another id, a plain order of the same id, one that has become an order of the book."""
    answer = OKX.classify(command, reply(body))
    assert isinstance(answer, Unproven)
    assert (answer.outcome, answer.missing) == (Outcome.UNKNOWN, missing)


def test_algo_orders_have_limits_of_their_own() -> None:
    """They count beside those of all orders."""
    rules = tuple(
        (kind, Rule(limit.name, limit.max_requests, limit.window_ms, stops=limit.stops))
        for limit in OKX.capabilities.limits
        for kind in limit.commands
    )
    session = AccountSession("ok", OKX, Access("https://h", "k", "s"), None, False, 1, rules)  # noqa: FBT003

    def counted(command: Command) -> dict[str, int]:
        return {rule.key: rule.max_requests for rule in session.rules_for(command)}

    assert counted(CANCEL_ALGO) == {"cancels": 60, "algo_cancels": 20}
    assert counted(replace(CANCEL_ALGO, stop=False)) == {"cancels": 60}
    assert counted(ASK_ALGO) == {"queries": 60, "algo_queries": 20}
    assert counted(replace(ASK_ALGO, stop=False)) == {"queries": 60}
    assert counted(ALGOS) == {"algo_lists": 20}
