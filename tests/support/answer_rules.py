"""What no answer of an adapter may be, whatever the exchange replied.

Written apart from the adapters: it reads a reply's body with only
`json`, and asks only whether the answer was earned.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, get_args

from worker.exchanges import EXCHANGES
from worker.model.commands import (
    CancelOrder,
    CancelOrders,
    CancelScope,
    Command,
    FetchToken,
    ListOpenOrders,
    ListPairs,
    ListStopOrders,
    QueryOrder,
    ReadTimer,
    SetCountdown,
)
from worker.model.outcomes import (
    Answer,
    CancelAccepted,
    Closed,
    ClosedMany,
    CountdownSet,
    OpenOrders,
    OrderReport,
    OrderState,
    Outcome,
    PairList,
    ScopeCanceled,
    TimerReading,
    TokenGrant,
    Unproven,
)
from worker.model.wire import Reply

ORDER = "1223181"
SECRET = "da78a39e9dda31c399bcc293d997a347dc7fd0408cb5151931243a302b273ec3238510ea61e11f7c"
"""Planted in replies; no answer may show it."""
DETAIL_MAX = 200
NONCE_MAX = 10**18

COMMANDS: tuple[Command, ...] = (
    CancelOrder(ORDER, pair="btc_idr", side="buy"),
    CancelOrder(""),
    CancelOrders((ORDER, "2")),
    CancelOrders(()),
    CancelScope("btc_idr", "buy"),
    QueryOrder(ORDER, pair="btc_idr"),
    QueryOrder(ORDER, pair="btc_idr", past=True),
    ListOpenOrders("btc_idr", "buy"),
    ListOpenOrders(),
    CancelOrder(ORDER, pair="btc_idr", side="buy", stop=True),
    QueryOrder(ORDER, pair="btc_idr", stop=True),
    ListStopOrders("btc_idr"),
    ListStopOrders(),
    SetCountdown(("btc_idr",), 1_000),
    FetchToken(),
    ReadTimer(),
    ListPairs(),
)
FITTING: dict[type[Answer], type[Command] | tuple[type[Command], ...]] = {
    Closed: CancelOrder,
    ClosedMany: CancelOrders,
    CancelAccepted: CancelOrder,
    ScopeCanceled: CancelScope,
    OrderReport: QueryOrder,
    OpenOrders: (ListOpenOrders, ListStopOrders),
    PairList: ListPairs,
    CountdownSet: SetCountdown,
    TimerReading: ReadTimer,
    TokenGrant: FetchToken,
}


def is_one(value: object, wanted: int) -> bool:
    """Distinguish a JSON integer from its likes."""
    return type(value) is int and value == wanted


def proof_of_everstrike(body: Any) -> bool:
    """Code 200 with the order's id, as text or number, is the proof."""
    order_id = body["result"]["id"]
    return is_one(body["code"], 200) and (order_id == ORDER or is_one(order_id, int(ORDER)))


def proof_of_indodax(body: Any) -> bool:
    """Success with the order's id, as text or number, is the proof."""
    order_id = body["return"]["order_id"]
    return is_one(body["success"], 1) and (order_id == ORDER or is_one(order_id, int(ORDER)))


def proof_of_bitmart(body: Any) -> bool:
    """Only an empty object is the proof."""
    return isinstance(body, dict) and not body


def proof_of_binance(body: Any) -> bool:
    """The order's own row, among others or alone, in a state that is not open, is the proof."""
    rows = body.get("orderReports", [body])
    states = {"CANCELED", "FILLED", "EXPIRED", "EXPIRED_IN_MATCH", "REJECTED"}
    return any(
        str(row["orderId"]) == ORDER and row["status"].strip().upper() in states
        for row in rows
        if isinstance(row, dict) and type(row.get("orderId")) in (str, int)
    )


def proof_of_indodax_v2(body: Any) -> bool:
    """The order's own object, alone or as `data`, that says nothing else, is the proof."""
    row = body["data"] if body.get("data") is not None else body
    state = str(row.get("status") or "CANCELLED").strip().upper()
    right = row["orderId"] == ORDER or is_one(row["orderId"], int(ORDER))
    return right and state in {"CANCELLED", "FILLED", "REJECTED"}


def proof_of_kraken(body: Any) -> bool:
    """No error, an order that was canceled, and nothing pending is the proof."""
    errors = [text for text in body["error"] if not text.startswith("W")]
    count, pending = body["result"]["count"], body["result"].get("pending")
    return not errors and type(count) is int and count > 0 and pending in (None, False)


def proof_of_okx(body: Any) -> bool:
    """No cancel of it is proven by the reply to it."""
    del body
    return False


def proof_of_gate(body: Any) -> bool:
    """The order's own object, ended by a cancel or otherwise, is the proof."""
    right = body["id"] == ORDER or is_one(body["id"], int(ORDER))
    pair, state = body["currency_pair"], body["status"].strip().lower()
    ended = str(body.get("finish_as") or "").strip().lower()
    return (
        right
        and pair.lower() == "btc_idr"
        and state in {"closed", "cancelled", "canceled"}
        and ended != "open"
    )


def proof_of_gate_futures(body: Any) -> bool:
    """The order's own object, finished, and how, is the proof."""
    right = body["id"] == ORDER or is_one(body["id"], int(ORDER))
    ended = body["finish_as"].strip().lower()
    finished = body["status"].strip().lower() == "finished"
    return (
        right and body["contract"].lower() == "btc_idr" and finished and ended not in ("", "open")
    )


def proof_of_kucoin(body: Any) -> bool:
    """The order's own row, done, with an amount that was canceled or dealt, is the proof."""
    row = body["data"]
    moved = [float(row[name]) for name in ("canceledSize", "dealSize")]
    right = row["orderId"] == ORDER or is_one(row["orderId"], int(ORDER))
    return right and row["status"].strip().lower() == "done" and max(moved) > 0


def proof_of_bybit(body: Any) -> bool:
    """A code that names the order's one fate is the proof."""
    return type(body["retCode"]) is int and body["retCode"] in (110010, 170139, 170142)


def proof_of_deribit(body: Any) -> bool:
    """The order itself as canceled, or the code that it is filled, is the proof."""
    if "error" in body:
        return is_one(body["error"]["code"], 11008)
    row = body["result"]
    right = row["order_id"] == ORDER or is_one(row["order_id"], int(ORDER))
    return right and row["order_state"].strip().upper() == "CANCELLED"


def proof_of_hyperliquid(body: Any) -> bool:
    """One status, which is a success, of an action that was carried out is the proof."""
    response = body["response"]
    done = response["data"]["statuses"] == ["success"]
    return bool(body["status"] == "ok" and response["type"] == "cancel" and done)


PROOFS: dict[str, Callable[[Any], bool]] = {
    "binance": proof_of_binance,
    "binancecoinm": proof_of_binance,
    "binanceusdm": proof_of_binance,
    "bitmart": proof_of_bitmart,
    "bybit": proof_of_bybit,
    "deribit": proof_of_deribit,
    "everstrike": proof_of_everstrike,
    "gate": proof_of_gate,
    "gate_futures": proof_of_gate_futures,
    "hyperliquid": proof_of_hyperliquid,
    "indodax": proof_of_indodax,
    "indodax_v2": proof_of_indodax_v2,
    "kraken": proof_of_kraken,
    "kucoin": proof_of_kucoin,
    "okx": proof_of_okx,
}


def says_so(name: str, reply: Reply) -> bool:
    """Return whether an error alone gives an answer.

    Those are Binance's of unknown and old orders, Gate's of unknown and canceled ones,
    Deribit's of unknown and filled ones, and KuCoin's of unknown ones.
    """
    if reply.status == 200:
        return False
    if name == "deribit":
        return json.loads(reply.body)["error"]["code"] in (10004, 11008)
    if name == "kucoin":
        return bool(json.loads(reply.body)["code"] == "400100")
    if name.startswith("gate"):
        return json.loads(reply.body)["label"] in ("ORDER_NOT_FOUND", "ORDER_CANCELLED")
    return name.startswith("binance") and json.loads(reply.body)["code"] in (-2011, -2013, -2026)


def assert_earned(name: str, command: Command, reply: Reply) -> Answer:
    """Classify a reply; fail unless the answer fits, is safe to show and is earned."""
    as_read = EXCHANGES[name].classify(command, reply)
    answer = as_read
    assert isinstance(answer, get_args(Answer))
    detail = getattr(answer, "detail", "")
    assert len(detail) <= DETAIL_MAX
    assert detail.isprintable()
    assert SECRET[:20] not in detail
    if isinstance(answer, Unproven):
        assert not answer.outcome.proven
        assert answer.nonce_floor is None or 0 <= answer.nonce_floor < NONCE_MAX
        assert (
            answer.retry_after_ms is None or answer.banned or 0 <= answer.retry_after_ms <= 600_000
        )
        assert not answer.banned or 0 < (answer.retry_after_ms or 0) <= 259_200_000
        return answer
    assert isinstance(command, FITTING[type(answer)])
    if type(command) not in EXCHANGES[name].capabilities.commands:
        return as_read  # never sent
    missing = isinstance(answer, OrderReport) and answer.state is OrderState.MISSING
    if says_so(name, reply):
        if isinstance(answer, Closed) and name == "deribit":
            assert answer.outcome is Outcome.GONE
            assert PROOFS[name](json.loads(reply.body))
            return answer
        if isinstance(answer, Closed):
            assert name.startswith("gate")
            assert answer.outcome is Outcome.CANCELED
            assert json.loads(reply.body)["label"] == "ORDER_CANCELLED"
            return answer
        assert isinstance(answer, OrderReport | ScopeCanceled)
        return answer
    assert reply.status == 200 or (reply.status == 404 and missing)
    _assert_content(name, command, reply, answer)
    return as_read


def _assert_content(name: str, command: Command, reply: Reply, answer: Answer) -> None:
    """Fail unless what an answer states is in the reply, and can be used."""
    match answer:
        case Closed(outcome=outcome):
            assert outcome.proven
            assert PROOFS[name](json.loads(reply.body))
        case ClosedMany(outcomes=outcomes, others=others):
            assert isinstance(command, CancelOrders)
            assert outcomes or others
            assert set(outcomes) <= set(command.order_ids)
            assert all(outcome.proven for outcome in outcomes.values())
        case OrderReport(state=OrderState.CANCELED | OrderState.FILLED):
            assert ORDER in json.dumps(json.loads(reply.body))
        case OpenOrders(orders=orders):
            for order in orders:
                cancel = CancelOrder(order.order_id, order.pair, order.side, stop=order.stop)
                EXCHANGES[name].check(cancel)
        case TimerReading(denied=denied, left_ms=left_ms, pairs=pairs):
            assert len(denied) <= DETAIL_MAX
            assert denied.isprintable()
            assert left_ms is None or left_ms >= 0
            assert not (denied or left_ms == 0) or not pairs
            for pair in pairs:
                EXCHANGES[name].check(CancelScope(pair))
        case PairList(pairs=pairs):
            assert all(each.pair in json.dumps(json.loads(reply.body)) for each in pairs)
        case TokenGrant(token=token, expires_ms=expires_ms):
            assert token.isascii()
            assert token.isprintable()
            assert reply.received_ms < expires_ms <= reply.received_ms + 86_400_000
        case _:
            pass
