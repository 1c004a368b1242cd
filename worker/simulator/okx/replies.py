"""OKX's replies."""

from __future__ import annotations

from worker.simulator.book import Order
from worker.simulator.exchange import Verdict
from worker.simulator.wire import Reply, json_reply

_STATES = {"open": "live", "canceled": "canceled", "filled": "filled"}


def error(code: str, message: str, status: int = 200) -> Reply:
    """Make an error of the whole request."""
    return json_reply(status, {"code": code, "msg": message, "data": []})


def refuse(refusal: str, code: str, message: str, status: int = 200) -> Verdict:
    """Refuse a request."""
    return Verdict(error(code, message, status), refusal=refusal)


def success(rows: list[dict[str, str]]) -> Verdict:
    """Make a success."""
    return Verdict(json_reply(200, {"code": "0", "msg": "", "data": rows}), applied=True)


def single(order_id: str, client_id: str, code: str = "0", message: str = "") -> Reply:
    """Make the reply to a cancel of one order, with a code of its own."""
    row = {"clOrdId": client_id, "ordId": order_id, "sCode": code, "sMsg": message}
    failed = code != "0"
    return json_reply(200, {"code": "1" if failed else "0", "msg": "", "data": [row]})


def order_row(order: Order) -> dict[str, str]:
    """Write an order as questions and lists do."""
    return {
        "instType": "SPOT",
        "instId": order.pair,
        "ordId": order.order_id,
        "clOrdId": order.client_id,
        "px": "0.1",
        "sz": "1",
        "ordType": "limit",
        "side": order.side,
        "state": _STATES[order.status],
        "accFillSz": "1" if order.status == "filled" else "0",
        "cTime": str(int(order.placed_ms)),
    }


def algo_row(order: Order, kind: str) -> dict[str, str]:
    """Write an algo order as questions and lists do."""
    return {
        "instType": "SPOT",
        "instId": order.pair,
        "algoId": order.order_id,
        "algoClOrdId": order.client_id,
        "ordType": kind,
        "side": order.side,
        "sz": "1",
        "slTriggerPx": "0.1",
        "state": {"open": "live", "filled": "effective"}.get(order.status, "canceled"),
        "cTime": str(int(order.placed_ms)),
    }


def algo_result(order_id: str, code: str = "0", message: str = "") -> dict[str, str]:
    """Write what a cancel says of one algo order."""
    return {"algoId": order_id, "algoClOrdId": "", "sCode": code, "sMsg": message}


THROTTLED = error("50011", "Rate limit reached. Please refer to API documentation.", 429)
TIMEOUT = error("50004", "API endpoint request timeout", 400)
BUSY = error("50026", "System error. Try again later", 500)
