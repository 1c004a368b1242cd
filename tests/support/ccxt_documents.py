"""Replies of the exchanges of ccxt that have a profile, as their documents write them."""

from __future__ import annotations

from typing import Any

NOW_MS = 1_700_000_000_000
ASKED = "123456789"
FIRES_S = NOW_MS // 1_000 + 60


def bitfinex_row(status: str, amount: float = 0.1) -> list[object]:
    """Return an order of Bitfinex: an array, whose side is the sign of its amount."""
    row: list[object] = [None] * 32
    row[0], row[3], row[6], row[7], row[13] = 123456789, "tBTCUSD", amount, amount, status
    return row


ROWS: dict[str, dict[str, Any]] = {
    "bitvavo": {"orderId": ASKED, "market": "BTC-EUR", "side": "sell", "status": "new"},
    "whitebit": {"orderId": 123456789, "market": "BTC_USDT", "side": "buy", "left": "2"},
    "woo": {"orderId": 123456789, "symbol": "SPOT_BTC_USDT", "side": "BUY", "status": "NEW"},
    "htx": {"id": 123456789, "symbol": "btcusdt", "type": "buy-limit", "state": "submitted"},
    "mexc": {"orderId": ASKED, "symbol": "BTCUSDT", "side": "BUY", "status": "NEW"},
    "bitget": {"orderId": ASKED, "symbol": "BTCUSDT", "side": "buy", "status": "live"},
    "bingx": {"orderId": 123456789, "symbol": "BTC-USDT", "side": "BUY", "status": "PENDING"},
    "coinbase": {"order_id": ASKED, "product_id": "BTC-USD", "side": "SELL", "status": "OPEN"},
    "krakenfutures": {
        "order_id": ASKED,
        "symbol": "PF_XBTUSD",
        "side": "buy",
        "status": "untouched",
    },
    "phemex": {"orderID": ASKED, "symbol": "sBTCUSDT", "side": "Buy", "ordStatus": "New"},
    "cryptocom": {
        "order_id": ASKED,
        "instrument_name": "BTC_USD",
        "side": "BUY",
        "status": "ACTIVE",
    },
}
"""An open order of each, as its list of open orders writes it."""
PAIRS = {
    "bitvavo": "BTC-EUR",
    "whitebit": "BTC_USDT",
    "woo": "SPOT_BTC_USDT",
    "htx": "btcusdt",
    "mexc": "BTCUSDT",
    "bitget": "BTCUSDT",
    "bingx": "BTC-USDT",
    "coinbase": "BTC-USD",
    "krakenfutures": "PF_XBTUSD",
    "phemex": "sBTCUSDT",
    "bitfinex": "tBTCUSD",
    "cryptocom": "BTC_USD",
}


def list_of(name: str, rows: list[Any]) -> object:
    """Return the reply that lists these rows."""
    wraps: dict[str, object] = {
        "woo": {
            "success": True,
            "data": {"rows": rows, "meta": {"total": len(rows), "currentPage": 1}},
            "timestamp": NOW_MS,
        },
        "htx": {"status": "ok", "data": rows},
        "bitget": {"code": "00000", "msg": "success", "data": rows},
        "bingx": {"code": 0, "msg": "", "data": {"orders": rows}},
        "coinbase": {"orders": rows, "has_next": False, "cursor": ""},
        "krakenfutures": {"result": "success", "openOrders": rows},
        "phemex": {"code": 0, "msg": "OK", "data": rows},
        "cryptocom": {"id": 1, "code": 0, "result": {"data": rows}},
    }
    return wraps.get(name, rows)


def order_of(name: str, word: str) -> object:
    """Return the reply to a question about an order with this status."""
    if name == "bitfinex":
        return [bitfinex_row(word)]
    row = {**ROWS[name]}
    for key in ("status", "state", "ordStatus"):
        if key in row:
            row[key] = word
    wraps: dict[str, object] = {
        "whitebit": {"BTC_USDT": [{"id": 123456789, "side": "buy", "status": word}]},
        "woo": {"success": True, "data": row, "timestamp": NOW_MS},
        "htx": {"status": "ok", "data": row},
        "bitget": {"code": "00000", "data": [row]},
        "bingx": {"code": 0, "data": row},
        "coinbase": {"order": row},
        "krakenfutures": {
            "result": "success",
            "orders": [{"order": {"orderId": ASKED, "symbol": "PF_XBTUSD"}, "status": word}],
        },
        "phemex": {"code": 0, "data": {"rows": [row]}},
        "cryptocom": {"id": 1, "code": 0, "result": row},
    }
    return wraps.get(name, row)


WORDS = {
    "bitvavo": ("canceled", "filled", "partiallyFilled"),
    "whitebit": ("CANCELED", "FILLED", "OPEN"),
    "woo": ("CANCELLED", "FILLED", "CANCEL_SENT"),
    "htx": ("canceled", "filled", "canceling"),
    "mexc": ("CANCELED", "FILLED", "PARTIALLY_FILLED"),
    "bitget": ("cancelled", "filled", "partially_filled"),
    "bingx": ("CANCELED", "FILLED", "PARTIALLY_FILLED"),
    "coinbase": ("CANCELLED", "FILLED", "CANCEL_QUEUED"),
    "krakenfutures": ("CANCELLED", "FULLY_EXECUTED", "ENTERED_BOOK"),
    "phemex": ("Canceled", "Filled", "PartiallyFilled"),
    "bitfinex": ("CANCELED", "EXECUTED @ 107.6(-0.2)", "PARTIALLY FILLED @ 107.6(-0.1)"),
    "cryptocom": ("CANCELED", "FILLED", "ACTIVE"),
}
"""How an order that was canceled, one that was filled, and one that is open are written."""
CANCELS: dict[str, object] = {
    "bitvavo": {"orderId": ASKED},
    "whitebit": {**ROWS["whitebit"], "status": "CANCELED"},
    "woo": {"success": True, "data": {"status": "CANCEL_SENT"}},
    "htx": {"status": "ok", "data": ASKED},
    "mexc": {**ROWS["mexc"], "status": "CANCELED"},
    "bitget": {"code": "00000", "data": {"orderId": ASKED}},
    "bingx": {"code": 0, "data": {**ROWS["bingx"], "status": "CANCELED"}},
    "coinbase": {"results": [{"success": True, "order_id": ASKED}]},
    "krakenfutures": {
        "result": "success",
        "cancelStatus": {"status": "cancelled", "order_id": ASKED},
    },
    "phemex": {"code": 0, "msg": "", "data": {**ROWS["phemex"], "ordStatus": "Canceled"}},
    "cryptocom": {"id": 1, "code": 0, "result": {"order_id": ASKED}},
    "bitfinex": [1, "oc-req", None, None, bitfinex_row("ACTIVE")],
}
"""The reply to a cancel of each."""
TIMER_REPLIES: dict[str, object] = {
    "bitvavo": {"codGroupId": 1, "timeOfExpirySeconds": FIRES_S},
    "whitebit": {"startTime": FIRES_S - 60, "cancellationTime": FIRES_S, "types": ["spot"]},
    "woo": {
        "success": True,
        "data": {"expectedTriggerTime": FIRES_S * 1_000},
        "timestamp": NOW_MS,
    },
    "htx": {"code": 200, "data": {"currentTime": NOW_MS, "triggerTime": FIRES_S * 1_000}},
    "bingx": {"code": 0, "data": {"triggerTime": FIRES_S, "status": "ACTIVATED"}},
    "krakenfutures": {
        "result": "success",
        "status": {
            "currentTime": "2023-11-14T22:13:20.000Z",
            "triggerTime": "2023-11-14T22:14:20.000Z",
        },
    },
}
"""The reply to a countdown of a minute."""
OFF_REPLIES: dict[str, object] = {
    "bitvavo": {"codGroupId": 1, "timeOfExpirySeconds": 0},
    "whitebit": {"startTime": FIRES_S - 60, "cancellationTime": None, "types": ["spot"]},
    "woo": {"success": True, "data": {"expectedTriggerTime": 0}, "timestamp": NOW_MS},
    "htx": {"code": 200, "data": {"currentTime": NOW_MS, "triggerTime": 0}},
    "bingx": {"code": 0, "data": {"triggerTime": 0, "status": "CLOSED"}},
    "krakenfutures": {
        "result": "success",
        "status": {"currentTime": "2023-11-14T22:13:20.000Z", "triggerTime": "0"},
    },
}
"""The reply to what stops a timer."""
