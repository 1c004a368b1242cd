"""No reply crashes an adapter, and only the proof itself counts as proof."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.answer_rules import COMMANDS, ORDER, SECRET, assert_earned
from worker.exchanges import EXCHANGES
from worker.model.commands import CancelOrder, Command, QueryOrder
from worker.model.outcomes import Closed, OrderReport, Outcome, Unproven
from worker.model.wire import Reply

STATUSES = st.sampled_from([200, 200, 200, 401, 404, 408, 429, 500, 503]) | st.integers(100, 999)
HEADERS = st.dictionaries(st.sampled_from(["retry-after", "date"]), st.text(max_size=12))

# Values in the place of the documents' own: the right ones, near misses, anything.
IDS = st.sampled_from([ORDER, int(ORDER), "2", 2, "", None, True, 1223181.0, f" {ORDER}", [ORDER]])
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["ACTIVE", "CANCELLED", "COMPLETED", "open", "cancelled", "btc_idr", "buy"])
    | st.sampled_from([0, 1, 2, 3, 4, 200, 414, SECRET, f"key {SECRET} refused", "invalid order."])
)
KEYS = st.sampled_from(
    [
        *("code", "msg", "result", "id", "status", "pair", "side"),
        *("success", "return", "error", "error_code", "order_id", "order", "orders", "type"),
        *("message", "entrust_id", "symbol", "access_token", "expires_in", "total_pages"),
        *("response", "data", "statuses", "oid", "cloid", "coin", "universe", "tokens", "name"),
        *("orderId", "orderReports", "countdownTime", "count", "pending", "open", "descr", ORDER),
    ]
)
JSON = st.recursive(
    SCALARS | IDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)
ORDERS = st.fixed_dictionaries(
    {"id": IDS, "order_id": IDS, "entrust_id": IDS, "status": SCALARS}, optional={"pair": SCALARS}
)
STATES = st.sampled_from(["NEW", "CANCELED", "FILLED", "EXPIRED", "open", "closed", None, 7])
SIZES = st.sampled_from(["0", "1", "1.0", "-1", "NaN", "", 1, None])
SYNCED = st.fixed_dictionaries(
    {"orderId": IDS, "status": st.sampled_from(["done", "open", "DONE", 1])},
    optional={"originSize": SIZES, "dealSize": SIZES, "canceledSize": SIZES},
)
CODES = [-1021, -2011, -2013, -2026, -1003, -9999, 200, "-2013"]
ENVELOPES = st.one_of(
    st.fixed_dictionaries({"code": st.just(200) | SCALARS, "result": ORDERS | st.lists(ORDERS)}),
    st.fixed_dictionaries({"success": st.just(1) | SCALARS, "return": ORDERS | JSON}),
    st.fixed_dictionaries({"success": st.just(0), "error": SCALARS, "error_code": SCALARS}),
    st.fixed_dictionaries({"error": st.just([]) | JSON, "result": ORDERS | JSON}),
    st.fixed_dictionaries({"symbol": st.just("BTC_IDR"), "orderId": IDS, "status": STATES}),
    st.fixed_dictionaries({"code": st.sampled_from(CODES), "msg": SCALARS}),
    st.fixed_dictionaries({"code": st.just("200000") | SCALARS, "data": SYNCED | JSON}),
    st.fixed_dictionaries(
        {
            "status": st.sampled_from(["ok", "err", "order"]),
            "response": st.fixed_dictionaries(
                {
                    "type": st.sampled_from(["cancel", "default"]),
                    "data": st.fixed_dictionaries(
                        {"statuses": st.lists(st.just("success") | JSON, max_size=2)}
                    ),
                }
            )
            | SCALARS,
        }
    ),
    st.fixed_dictionaries({"access_token": SCALARS, "expires_in": SCALARS}),
    ORDERS,
    st.just({}),
)
BODIES = st.binary(max_size=64) | (ENVELOPES | JSON).map(lambda value: json.dumps(value).encode())


REPLIES = st.builds(Reply, STATUSES, HEADERS, BODIES, st.integers())


@pytest.mark.parametrize("name", sorted(EXCHANGES))
@given(command=st.sampled_from(COMMANDS), reply=REPLIES)
@settings(max_examples=400, deadline=None)
def test_any_reply_is_read_and_none_is_believed_without_proof(
    name: str, command: Command, reply: Reply
) -> None:
    """Whatever comes back, the answer fits the command, is safe to show, and is earned."""
    assert_earned(name, command, reply)


CANCELED = b'{"symbol":"BTC_IDR","orderId":1223181,"status":"CANCELED"}'
PROVING = {
    "binance": CANCELED,
    "binancecoinm": CANCELED,
    "binanceusdm": CANCELED,
    "bitmart": b"{}",
    "bybit": b'{"retCode":170142,"retMsg":"The order has been cancelled","result":{}}',
    "deribit": b'{"jsonrpc":"2.0","result":{"order_id":"1223181","order_state":"cancelled"}}',
    "everstrike": b'{"code":200,"msg":"","result":{"status":"ACTIVE","id":"1223181"}}',
    "gate": b'{"id":"1223181","currency_pair":"BTC_IDR","side":"buy","status":"cancelled"}',
    "gate_futures": b'{"id":1223181,"contract":"BTC_IDR",'
    b'"status":"finished","finish_as":"cancelled"}',
    "hyperliquid": b'{"status":"ok","response":{"type":"cancel","data":{"statuses":["success"]}}}',
    "indodax": b'{"success":1,"return":{"order_id":1223181,"pair":"btc_idr"}}',
    "indodax_v2": b'{"orderId":"1223181","symbol":"BTC_IDR","status":"CANCELLED"}',
    "kraken": b'{"error":[],"result":{"count":1}}',
    "kucoin": b'{"code":"200000","data":{"orderId":"1223181","originSize":"1","dealSize":"0",'
    b'"canceledSize":"1","status":"done"}}',
    "okx": b'{"code":"0","data":[{"ordId":"1223181","instId":"btc_idr","state":"canceled"}]}',
}


@pytest.mark.parametrize("name", sorted(EXCHANGES))
def test_a_reply_cut_short_proves_nothing(name: str) -> None:
    """The whole reply is proof; no part of it, and no byte more, is."""
    asked: Command = CancelOrder(ORDER, pair="btc_idr", side="buy")
    if name == "okx":  # its cancels are only accepted
        asked = QueryOrder(ORDER, pair="btc_idr")
    whole = PROVING[name]

    def outcome(body: bytes) -> Outcome:
        answer = EXCHANGES[name].classify(asked, Reply(200, {}, body, 0))
        if isinstance(answer, OrderReport):
            return Outcome(answer.state)
        assert isinstance(answer, Closed | Unproven)
        return answer.outcome

    assert outcome(whole) is Outcome.CANCELED
    for end in range(len(whole)):
        assert outcome(whole[:end]) is Outcome.UNKNOWN
    assert outcome(whole + b"}") is Outcome.UNKNOWN
    assert outcome(whole + whole) is Outcome.UNKNOWN


@pytest.mark.parametrize("name", sorted(EXCHANGES))
@pytest.mark.parametrize("body", [b"[" * 200_000, b'{"a":' * 200_000, b"1" * 10_000], ids=len)
def test_monstrous_json_is_unknown(name: str, body: bytes) -> None:
    """Nesting and numbers beyond what Python reads are one more unknown reply."""
    answer = EXCHANGES[name].classify(CancelOrder(ORDER, "a_b", "buy"), Reply(200, {}, body, 0))
    assert isinstance(answer, Unproven)
    assert answer.outcome is Outcome.UNKNOWN
