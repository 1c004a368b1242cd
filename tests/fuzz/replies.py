"""Any reply of an exchange, to any command: read without fail, believed only if earned.

The first bytes choose the command, the status and where the headers end.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.fuzz.target import Target
from tests.support.answer_rules import COMMANDS, ORDER, SECRET, assert_earned
from worker.model.wire import Reply

DATA = Path(__file__).parents[1] / "data"
STATUSES = (200, 200, 200, 200, 400, 401, 403, 404, 408, 429, 500, 502, 503, 204, 302, 418)
RECEIVED_MS = 1_783_000_000_000
HEAD = 4
ROW = {"symbol": "BTC_IDR", "orderId": int(ORDER), "side": "BUY"}
BINANCE: tuple[object, ...] = (
    {**ROW, "status": "CANCELED", "origClientOrderId": "a", "clientOrderId": "b"},
    {**ROW, "status": "NEW"},
    {**ROW, "status": "FILLED", "orderId": ORDER},
    [{**ROW, "status": "NEW"}, {**ROW, "orderId": 2, "status": "PENDING_NEW", "side": "SELL"}],
    {"orderListId": 7, "orderReports": [{**ROW, "status": "CANCELED"}, {**ROW, "orderId": 2}]},
    {"code": 200, "msg": "The operation of cancel all open order is done."},
    {"symbol": "btc_idr", "countdownTime": "1000"},
    {"code": -2011, "msg": "Unknown order sent."},
    {"code": -2013, "msg": "Order does not exist."},
    {"code": -2026, "msg": "Order was canceled or expired with no executed qty over 90 days ago."},
    {"code": -1021, "msg": "Timestamp for this request is outside of the recvWindow."},
    {"code": -1003, "msg": "Too many requests."},
    {"code": -1006, "msg": "Execution status unknown."},
)
GATE: tuple[object, ...] = (
    {"id": ORDER, "currency_pair": "BTC_IDR", "side": "buy", "status": "cancelled"},
    {"id": ORDER, "currency_pair": "BTC_IDR", "status": "closed", "finish_as": "filled"},
    {"id": ORDER, "currency_pair": "BTC_IDR", "status": "open", "finish_as": "open", "text": "t-1"},
    [{"id": ORDER, "currency_pair": "BTC_IDR", "side": "buy", "status": "open", "text": "api"}],
    [{"currency_pair": "BTC_IDR", "total": 1, "orders": [{"id": "2", "status": "open"}]}],
    {"id": int(ORDER), "contract": "BTC_IDR", "size": -10, "status": "open"},
    {"id": int(ORDER), "contract": "BTC_IDR", "status": "finished", "finish_as": "cancelled"},
    {"id": int(ORDER), "contract": "BTC_IDR", "status": "finished", "finish_as": "liquidated"},
    [{"id": 2, "contract": "BTC_IDR", "size": 10, "status": "open", "text": "t-1"}],
    {"triggerTime": "1783000060000"},
    {"triggerTime": 0},
    {"label": "ORDER_NOT_FOUND", "message": "Order not found"},
    {"label": "ORDER_CANCELLED", "message": "Order is already cancelled"},
    {"label": "ORDER_FINISHED", "message": "Order is finished"},
    {"label": "REQUEST_EXPIRED", "message": "the request has expired"},
    {"label": "TOO_MANY_REQUESTS", "message": "Request Rate limit Exceeded"},
)
EXAMPLES: dict[str, tuple[object, ...]] = {
    "binance": BINANCE,
    "binanceusdm": BINANCE,
    "indodax_v2": (
        {**ROW, "orderId": ORDER, "status": "CANCELLED"},
        {"data": {**ROW, "status": "FILLED"}},
        {"data": [{**ROW, "status": "NEW"}, {**ROW, "orderId": "a-2", "status": "REJECTED"}]},
        [{**ROW, "status": "PARTIALLY_FILLED"}],
        {**ROW, "origClientOrderId": "mine"},
        {"code": -2013, "msg": "Order does not exist."},
        {"code": 1112, "error": "Order not found"},
        {"code": 1003, "error": "Invalid nonce. Nonce must be greater than 77."},
        {"code": -1021, "msg": "Timestamp for this request is outside of the recvWindow."},
        {"code": -1000, "msg": "duplicate request"},
        {"code": 0, "data": {}, "error": "odd"},
    ),
    "kraken": (
        {"error": [], "result": {"count": 1}},
        {"error": [], "result": {"count": 1, "pending": True}},
        {"error": ["WGeneral:odd"], "result": {"count": 0, "pending": False}},
        {"error": [], "result": {ORDER: {"status": "closed", "descr": {"pair": "btc_idr"}}}},
        {"error": [], "result": {ORDER: {"status": "canceled"}}},
        {
            "error": [],
            "result": {
                "open": {
                    "OYVGEW-VYV5B-UUEXSK": {
                        "status": "open",
                        "descr": {"pair": "btc_idr", "type": "buy", "ordertype": "stop-loss"},
                        "cl_ord_id": "a",
                    }
                }
            },
        },
        {"error": [], "result": {"open": {}}},
        {"error": ["EOrder:Unknown order"]},
        {"error": ["EAPI:Invalid nonce"]},
        {"error": ["EGeneral:Temporary lockout"]},
        {"error": ["EService:Deadline elapsed", "EService:Busy"]},
    ),
    "gate": GATE,
    "gate_futures": GATE,
    "kucoin": (
        {
            "code": "200000",
            "data": {
                "orderId": ORDER,
                "originSize": "0.00001",
                "dealSize": "0",
                "remainSize": "0",
                "canceledSize": "0.00001",
                "status": "done",
            },
        },
        {
            "code": "200000",
            "data": {
                "id": ORDER,
                "symbol": "btc_idr",
                "active": False,
                "cancelExist": True,
                "clientOid": "my1",
            },
        },
        {
            "code": "200000",
            "data": [{"id": "2", "symbol": "btc_idr", "side": "buy", "active": True}],
        },
        {"code": "200000", "data": {"symbols": ["BTC-USDT"]}},
        {"code": "200000", "data": {"succeedSymbols": ["BTC-USDT"], "failedSymbols": []}},
        {"code": "200000", "data": "success"},
        {"code": "200000", "data": {"cancelledOrderIds": [ORDER]}},
        {
            "code": "200000",
            "data": {
                "totalPage": 1,
                "items": [{"id": "vs8", "symbol": "btc_idr", "side": "buy", "status": "NEW"}],
            },
        },
        {"code": "200000", "data": {"currentTime": 1783000000, "triggerTime": 1783000001}},
        {
            "code": "200000",
            "data": {
                "timeout": 60,
                "symbols": "btc_idr,eth_idr",
                "currentTime": 1783000000,
                "triggerTime": 1783000042,
            },
        },
        {"code": "200000", "data": None},
        {"code": "400100", "msg": "order_not_exist_or_not_allow_to_cancel"},
        {"code": "400002", "msg": "KC-API-TIMESTAMP Invalid"},
        {"code": "429000", "msg": "Too many requests in a short period of time"},
    ),
    "okx": (
        {"code": "0", "msg": "", "data": [{"ordId": ORDER, "sCode": "0", "sMsg": ""}]},
        {"code": "1", "msg": "", "data": [{"ordId": ORDER, "sCode": "51400", "sMsg": "gone"}]},
        {"code": "1", "data": [{"ordId": ORDER, "sCode": "51410"}]},
        {"code": "0", "data": [{"ordId": ORDER, "instId": "btc_idr", "state": "canceled"}]},
        {"code": "0", "data": [{"ordId": ORDER, "instId": "btc_idr", "state": "live"}]},
        {
            "code": "0",
            "data": [{"ordId": "2", "instId": "btc_idr", "state": "live", "side": "buy"}],
        },
        {"code": "0", "data": []},
        {"code": "51603", "msg": "Order does not exist", "data": []},
        {"code": "50102", "msg": "Timestamp request expired", "data": []},
        {"code": "0", "data": [{"triggerTime": "1700000001000", "ts": "1700000000000"}]},
        {"code": "0", "data": [{"algoId": ORDER, "sCode": "0", "sMsg": ""}]},
        {"code": "0", "data": [{"algoId": ORDER, "instId": "btc_idr", "state": "canceled"}]},
        {
            "code": "0",
            "data": [
                {
                    "algoId": "2",
                    "algoClOrdId": "a",
                    "instId": "btc_idr",
                    "ordType": "oco",
                    "side": "buy",
                    "state": "live",
                }
            ],
        },
        {"code": "0", "data": [{"triggerTime": "0", "ts": "1700000000000"}]},
    ),
    "bybit": (
        {"retCode": 0, "retMsg": "OK", "result": {"orderId": ORDER, "orderLinkId": "a"}},
        {"retCode": 0, "result": {"list": [{"orderId": ORDER}], "success": "1"}},
        {
            "retCode": 0,
            "result": {
                "category": "spot",
                "list": [
                    {
                        "orderId": ORDER,
                        "symbol": "btc_idr",
                        "orderStatus": "Untriggered",
                        "side": "Buy",
                        "stopOrderType": "tpslOrder",
                        "orderLinkId": "",
                    }
                ],
                "nextPageCursor": "",
            },
        },
        {
            "retCode": 0,
            "result": {
                "list": [{"orderId": ORDER, "symbol": "btc_idr", "orderStatus": "Cancelled"}]
            },
        },
        {"retCode": 0, "result": {"list": []}},
        {"retCode": 110001, "retMsg": "Order does not exist", "result": {}},
        {"retCode": 170142, "retMsg": "The order has been cancelled", "result": {}},
        {"retCode": 170139, "retMsg": "Order has been filled", "result": {}},
        {"retCode": 10002, "retMsg": "timestamp", "result": {}, "time": 1700000000000},
        {"retCode": 10006, "retMsg": "Too many visits!", "time": 1700000000000},
    ),
    "deribit": (
        {"jsonrpc": "2.0", "result": {"order_id": ORDER, "order_state": "cancelled"}},
        {"jsonrpc": "2.0", "result": {"order_id": ORDER, "order_state": "untriggered"}},
        {"jsonrpc": "2.0", "result": 3, "usIn": 1, "usOut": 2, "testnet": False},
        {"jsonrpc": "2.0", "result": []},
        {
            "jsonrpc": "2.0",
            "result": [
                {
                    "order_id": ORDER,
                    "instrument_name": "btc_idr",
                    "direction": "buy",
                    "order_state": "open",
                    "order_type": "stop_limit",
                    "label": "grid-1",
                }
            ],
        },
        {"jsonrpc": "2.0", "error": {"code": 10004, "message": "order_not_found"}},
        {"jsonrpc": "2.0", "error": {"code": 11008, "message": "already_filled"}},
        {"jsonrpc": "2.0", "error": {"code": 10028, "message": "too_many_requests"}},
        {"jsonrpc": "2.0", "error": {"code": 13004, "data": {"reason": "timestamp"}}},
    ),
    "hyperliquid": (
        {"cumVlm": "999999.5", "nRequestsUsed": 7, "nRequestsCap": 10000},
        {"status": "ok", "response": {"type": "cancel", "data": {"statuses": ["success"]}}},
        {
            "status": "ok",
            "response": {
                "type": "cancel",
                "data": {
                    "statuses": [
                        {"error": "Order was never placed, already canceled, or filled. asset=0"}
                    ]
                },
            },
        },
        {"status": "ok", "response": {"type": "default"}},
        {"status": "err", "response": "User or API Wallet 0x00 does not exist."},
        {"status": "err", "response": "Invalid nonce: duplicate nonce 1700000000000"},
        {"status": "err", "response": "Too many cumulative requests sent (2 > 1)"},
        {"status": "err", "response": "Cannot set scheduled cancel time until enough volume"},
        {"status": "unknownOid"},
        {
            "status": "order",
            "order": {
                "order": {"coin": "btc_idr", "side": "B", "oid": int(ORDER), "cloid": None},
                "status": "marginCanceled",
                "statusTimestamp": 1700000000000,
            },
        },
        [{"coin": "BTC", "side": "A", "oid": 2, "cloid": None, "isTrigger": True}],
        [],
        {"universe": [{"name": "BTC"}, {"name": "kPEPE"}]},
        {
            "universe": [{"name": "PURR/USDC", "tokens": [1, 0], "index": 0}],
            "tokens": [{"name": "USDC", "index": 0}, {"name": "PURR", "index": 1}],
        },
    ),
    "everstrike": (
        {"code": 200, "msg": "Success", "result": {"id": ORDER, "status": "ACTIVE", "pair": "a"}},
        {"code": 200, "result": [{"id": ORDER, "status": "CANCELLED"}, {"id": "2"}]},
        {
            "code": 200,
            "result": [{"id": "2", "status": "ACTIVE", "pair": "btc_idr", "side": "Buy"}],
        },
        {"code": 414, "msg": "Timestamp too old"},
        {"code": 503, "msg": "Invalid request", "result": None},
        {"code": 200, "result": {"id": int(ORDER), "status": " Canceled ", "pair": "btc_idr"}},
        {"code": 200, "result": {"id": ORDER, "status": "completed", "side": "SELL"}},
        {
            "code": 200,
            "result": {
                "0": {"id": ORDER, "status": "active", "pair": "BTC_IDR", "side": "BUY"},
                "3": {"id": 2, "status": "CANCELLED", "pair": "btc_idr", "side": "buy"},
            },
        },
        {"code": 200, "result": [{"id": 7, "status": "Active", "pair": "btc_idr"}]},
    ),
    "indodax": (
        {"success": 1, "return": {"order_id": int(ORDER), "type": "buy", "pair": "btc_idr"}},
        {"success": 1, "return": {"order": {"order_id": ORDER, "status": "filled"}}},
        {"success": 1, "return": {"orders": [{"order_id": ORDER, "type": "buy"}]}},
        {"success": 1, "return": {"orders": {"btc_idr": [{"order_id": "2", "type": "sell"}]}}},
        {"success": 0, "error": "Invalid order.", "error_code": ""},
        {"success": 0, "error": "Nonce must be greater than 77", "error_code": "invalid_nonce"},
        {"success": 0, "error_code": "too_many_requests", "error": "try again in 0.043 seconds"},
        {"success": 0, "error": "Timestamp outside recvWindow", "error_code": "bad_request"},
        {"success": 1, "return": {"order_id": ORDER, "status": " Cancelled"}},
        {"success": 1, "return": {"orders": None}},
        {"success": 1, "return": {"orders": {}}},
        {"success": 1, "return": {"orders": {"0": {"order_id": 7, "type": "BUY"}, "2": {}}}},
        {"success": 1, "return": {"orders": {"btc_idr": {"0": {"order_id": 7, "type": "Sell"}}}}},
        {"success": 1, "return": {"orders": {"BTC_IDR": {"order_id": ORDER, "type": "buy"}}}},
        {"success": 0, "error": "Pair btc_idr disabled", "error_code": "Bad_Request"},
        {"success": 0, "error": "unknown", "error_code": "invalid_pair"},
    ),
    "bitmart": (
        {},
        {"entrust_id": int(ORDER), "symbol": "BTC_IDR", "status": 4, "side": "buy"},
        {"orders": [{"entrust_id": 2, "symbol": "btc_idr", "status": 1, "side": "BUY"}]},
        {"orders": [], "total_pages": 1, "total_orders": 0, "current_page": 0},
        {"access_token": SECRET, "expires_in": 900},
        {"message": "Not found"},
        {"error": "invalid_token", "message": f"key {SECRET} refused"},
        {"entrust_id": ORDER, "symbol": "btc_idr", "status": "3", "side": "SELL"},
        {
            "orders": {
                "0": {"entrust_id": "2", "symbol": "BTC_IDR", "status": "1", "side": "Buy"},
                "4": {"entrust_id": ORDER, "symbol": "btc_idr", "status": "?", "side": "?"},
            },
            "total_orders": "2",
        },
        {"orders": None, "total_orders": 0, "total_pages": "0"},
        {"orders": {}, "total_orders": "0", "current_page": "1"},
        {"access_token": SECRET, "expires_in": "900"},
        {"access_token": SECRET},
    ),
}
WORDS = (
    *(b'"code"', b'"result"', b'"id"', b'"status"', b'"success"', b'"return"', b'"error_code"'),
    *(b'"error"', b'"message"', b'"msg"', b'"order_id"', b'"entrust_id"', b'"orders"', b'"order"'),
    *(b'"access_token"', b'"expires_in"', b'"total_pages"', b'"pair"', b'"side"', b'"type"'),
    *(b"ACTIVE", b"CANCELLED", b"COMPLETED", b"open", b"filled", b"cancelled", b"Invalid order."),
    *(b"Canceled", b"completed", b"BUY", b'{"0": ', b'"total_orders"', b'"900"', b"invalid_pair"),
    *(b"invalid_nonce", b"must be greater than ", b"too_many_requests", b"try again in "),
    *(b'"orderId"', b'"symbol"', b"CANCELED", b'"orderReports"', b'"code": -2011', b"-2013"),
    *(b"Unknown order sent.", b'"countdownTime"', b'"count"', b'"pending"', b'"descr"'),
    *(b"EOrder:Unknown order", b"EAPI:Invalid nonce", b"EGeneral:", b'{"error": [], "result": '),
    *(b'"label"', b"ORDER_NOT_FOUND", b"ORDER_CANCELLED", b'"finish_as"', b'"currency_pair"'),
    *(b'"contract"', b'"size"', b'"triggerTime"', b"finished", b"closed", b"x-in-time: 1\n"),
    *(b"Not found", b"retry-after: 9\n", b"date: x\n", b"\xef\xbb\xbf", b"\\ud800", b"null"),
    *(ORDER.encode(), f'"{ORDER}"'.encode(), SECRET.encode(), b"[" * 64, b'{"a":' * 64),
)


@contextmanager
def opened(exchange: str) -> Iterator[Target]:
    """Return the target of one exchange's adapter."""

    def check(data: bytes) -> None:
        command, reply = read(data)
        assert_earned(exchange, COMMANDS[command], reply)

    yield Target(check, corpus(exchange), WORDS, HEAD)


def read(data: bytes) -> tuple[int, Reply]:
    """Make a command's number and a reply of any bytes."""
    head, rest = data[:HEAD].ljust(HEAD, b"\0"), data[HEAD:]
    common = head[1] < 192
    status = STATUSES[head[1] % 16] if common else 100 + (head[1] * 256 + head[2]) % 900
    length = head[3] if head[3] < 48 else 0
    headers = {}
    for line in rest[:length].decode("latin-1").split("\n"):
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    return head[0] % len(COMMANDS), Reply(status, headers, rest[length:], RECEIVED_MS)


def corpus(exchange: str) -> list[bytes]:
    """Return the documented replies and their likes, each as the reply to each command."""
    bodies = [json.dumps(example).encode() for example in EXAMPLES[exchange]]
    bodies += [path.read_bytes() for path in sorted((DATA / exchange).glob("*.json"))]
    bodies += [b"\xef\xbb\xbf" + body for body in bodies[:2]]
    bodies += [b"", b"<html>502 Bad Gateway</html>"]
    return [
        bytes([command, 0, 0, 0]) + body for command in range(len(COMMANDS)) for body in bodies
    ] + [bytes([0, 9, 0, 15]) + b"retry-after: 9\n" + bodies[0], bytes([0, 7, 0, 0]) + bodies[-3]]
