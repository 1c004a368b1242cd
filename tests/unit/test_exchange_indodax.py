"""Indodax: the bytes that go out, and what every documented reply means."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.support.reply_shapes import with_shape
from worker.errors import InvalidCommand
from worker.exchanges.base import Access, Stamp
from worker.exchanges.indodax.adapter import INDODAX, Indodax
from worker.model.commands import (
    CancelOrder,
    CancelOrders,
    CancelScope,
    Command,
    FetchToken,
    ListOpenOrders,
    QueryOrder,
    SetCountdown,
)
from worker.model.outcomes import (
    Answer,
    Closed,
    CountdownSet,
    OpenOrder,
    OpenOrders,
    OrderReport,
    OrderState,
    Outcome,
    Unproven,
)
from worker.model.wire import Reply

DATA = Path(__file__).parent.parent / "data" / "indodax"
SUCCESS = (DATA / "countdown_success.json").read_text()
KEY_NOT_FOUND = (DATA / "countdown_key_not_found.json").read_text()

# The document's own key and secret.
KEY = "LSCE7NJG-JACRNTBX-D834R4UG-KMMTV8OP-PS1NHRBA"
SECRET = "da78a39e9dda31c399bcc293d997a347dc7fd0408cb5151931243a302b273ec3238510ea61e11f7c"
DEMO = "https://demo-indodax.com/tapi"
NONCE = Access(DEMO, KEY, SECRET)
TIMESTAMP = Access(DEMO, KEY, SECRET, auth="timestamp")
COUNTDOWN = SetCountdown(("btc_idr", "eth_idr"), 10_000)
CANCEL = CancelOrder("666883", pair="btc_idr", side="buy")
QUERY = QueryOrder("59639504", pair="btc_idr")


# What goes out


def test_countdown_in_the_body_is_the_documents_example() -> None:
    """The body form reproduces the document's second signature, byte for byte."""
    adapter = Indodax(recv_window_ms=1_578_303_937_000)
    request = adapter.sign(COUNTDOWN, TIMESTAMP, Stamp(now_ms=1_578_304_294_001))
    assert request.method == "POST"
    assert request.url == "https://demo-indodax.com/tapi/countdownCancelAll"
    assert request.body == (
        b"pair=btc_idr,eth_idr&countdownTime=10000&timestamp=1578304294001&recvWindow=1578303937000"
    )
    assert request.headers == {
        "Key": KEY,
        "Sign": "b4f03574d264ffbaa37eadd8460f50dbb9ae6f12d4852a46d8654d472838aaa1"
        "de99248e958c904333e61738a00462d49f32bcd3258d8a3defca8c73b8d60d09",
        "Content-Type": "text/plain",
    }


def test_countdown_in_the_query_is_the_documents_example() -> None:
    """The query form reproduces the document's first signature, byte for byte."""
    adapter = Indodax(params_in="query", recv_window_ms=1_578_303_937_000)
    request = adapter.sign(COUNTDOWN, TIMESTAMP, Stamp(now_ms=1_578_304_294_001))
    assert request.method == "POST"
    assert request.url == (
        "https://demo-indodax.com/tapi/countdownCancelAll?pair=btc_idr%2Ceth_idr"
        "&countdownTime=10000&timestamp=1578304294001&recvWindow=1578303937000"
    )
    assert request.body == b""
    assert request.headers == {
        "Key": KEY,
        "Sign": "29ff89378b9f33954b0f5319488190078f091c7723d886c5c2a4a0b06ef793d7"
        "d3b99155d63410203a21355e5e2757cb4e566adbd67ec37b8257a68d8c72877c",
    }


def test_the_default_receive_window_is_the_documents() -> None:
    """The document: "Default is 5000 ms."."""
    request = INDODAX.sign(COUNTDOWN, TIMESTAMP, Stamp(now_ms=7))
    assert request.body.endswith(b"&timestamp=7&recvWindow=5000")


@pytest.mark.parametrize("auth", ["", "nonce"])
def test_a_disarm_in_nonce_mode(auth: str) -> None:
    """Nonce mode is the default; 0 stops the timer; no timestamp is sent beside a nonce."""
    access = Access(DEMO, KEY, SECRET, auth=auth)
    stamp = Stamp(now_ms=7, nonce=15_249_487_513_240_001)
    request = INDODAX.sign(SetCountdown(("btc_idr",), 0), access, stamp)
    assert request.body == b"pair=btc_idr&countdownTime=0&nonce=15249487513240001"
    assert request.headers["Sign"] == (
        "d198692dbcdb0539ca3fcefe2ff754de79643236bda4861540a0f2ef054029c7"
        "cb789381c15b96254cf0f34b61f7fc28ad96a7c38f2e7061494c76e773177af1"
    )


@pytest.mark.parametrize(
    ("command", "access", "body", "sign"),
    [
        (
            CANCEL,
            NONCE,
            b"method=cancelOrder&pair=btc_idr&order_id=666883&type=buy&nonce=1001",
            (
                "35391f7514450324cfccb4d14832c225c0823ba3d44593803331a7a530d9b5e9"
                "36fc46876935cae914964ca45d4ed7b3ec6bd28baf981a6cc152f995e14e10e0"
            ),
        ),
        (
            replace(CANCEL, stop=True),
            NONCE,
            (
                b"method=cancelOrder&pair=btc_idr&order_id=666883&type=buy"
                b"&order_type=stoplimit&nonce=1001"
            ),
            (
                "d19f2fef573f31db51b12cad9b686578baad91fecda707c68461f842057a23e0"
                "aa8e1c90ce2e36559ba940445ccaa94ca309dce54531ab3ba14f307c606ff67a"
            ),
        ),
        (
            QueryOrder("666883", pair="btc_idr"),
            TIMESTAMP,
            b"method=getOrder&pair=btc_idr&order_id=666883&timestamp=1578304294000&recvWindow=5000",
            (
                "55de56f38426678c625b3311f83976db006756f6f1505a654dd1ec9ca285bf65"
                "754cc17e2c64fedf5c0c7c6d0de7ecd332b72b0bdbb105aa255ecebd62493003"
            ),
        ),
        (
            ListOpenOrders(side="buy"),
            NONCE,
            b"method=openOrders&nonce=1001",
            (
                "22610dc115e0dd4157cab99ae1e862d82ae21865ffee808f39c7bbc2bd7e7e29"
                "241a063dfa537eeccd3e6f4159dc5f6a02d28b83b7208048e16e531032b58578"
            ),
        ),
        (
            ListOpenOrders(pair="btc_idr"),
            NONCE,
            b"method=openOrders&pair=btc_idr&nonce=1001",
            (
                "a8322a860fa4199a1f837b487dac212af624d4471d3ee414b9181a521b20c08c"
                "4a17607c140fde8656b5e5c11cfe09d981f13a84433420ebd015aa8a404e27e2"
            ),
        ),
    ],
    ids=[
        "cancelOrder",
        "cancelOrder of a stop order",
        "getOrder",
        "openOrders",
        "openOrders of a pair",
    ],
)
def test_trade_requests(command: Command, access: Access, body: bytes, sign: str) -> None:
    """The trade API takes a form at the base url; signatures are openssl's over the body."""
    request = INDODAX.sign(command, access, Stamp(now_ms=1_578_304_294_000, nonce=1_001))
    assert (request.method, request.url, request.body) == ("POST", DEMO, body)
    assert request.headers == {
        "Key": KEY,
        "Sign": sign,
        "Content-Type": "application/x-www-form-urlencoded",
    }


def test_capabilities_are_the_documents() -> None:
    """Ten countdowns per ten seconds and IP, thirty cancels per second and account."""
    found = {
        limit.name: (limit.commands, limit.per, limit.max_requests, limit.window_ms)
        for limit in INDODAX.capabilities.limits
    }
    assert found == {
        "countdown": ((SetCountdown,), "ip", 10, 10_000),
        "cancels": ((CancelOrder,), "account", 30, 1_000),
    }
    assert INDODAX.capabilities.auth_modes == ("nonce", "timestamp")
    assert INDODAX.capabilities.nonce_auth == {"nonce"}
    assert INDODAX.hosts.production == "https://indodax.com/tapi"
    assert INDODAX.hosts.testnet == DEMO
    assert INDODAX.hosts.others == ("https://btcapi.net/tapi",)


# What must never go out


@pytest.mark.parametrize(
    ("command", "text"),
    [
        (
            CancelOrder("1", side="buy"),
            'the pair to cancel an order: add --pair btc_idr, or pair="',
        ),
        (
            CancelOrder("1", pair="btc_idr"),
            'the side to cancel an order: add --side buy, or side="',
        ),
        (QueryOrder("1"), "the pair to ask about an order: add --pair btc_idr"),
        (CancelOrder("1&type=sell", pair="btc_idr", side="buy"), "is not an order id of indodax"),
        (
            CancelOrder(5, pair="btc_idr", side="buy"),  # type: ignore[arg-type]
            "^a int is not an order id of indodax",
        ),
        (CancelOrder("1", pair="btc_idr", side="both"), "^'both' is not a side: give"),
        (SetCountdown((), 1), r"at least one pair: add --pair btc_idr, or pairs=\["),
        (SetCountdown(["btc_idr"], 1), "at least one pair"),  # type: ignore[arg-type]
        (SetCountdown(("btc_idr,eth_idr",), 1), "'btc_idr,eth_idr' is not a pair"),
        (SetCountdown(("btc_idr",), -1), "whole number of milliseconds, 0 to disarm"),
        (SetCountdown(("btc_idr",), 1.5), "whole number of milliseconds"),  # type: ignore[arg-type]
        (SetCountdown(("btc_idr",), countdown_ms=True), "whole number of milliseconds"),
        (CancelOrders(("1",)), "no documented way to cancel several orders"),
        (CancelScope(pair="btc_idr", side="buy"), "no documented way to cancel all orders"),
        (FetchToken(), "no documented way to fetch a token"),
    ],
)
def test_refusals_name_the_fix(command: Command, text: str) -> None:
    """What cannot be carried out is refused with how to fix it, and is never signed."""
    with pytest.raises(InvalidCommand, match=text):
        INDODAX.check(command)
    with pytest.raises(InvalidCommand, match=text):
        INDODAX.sign(command, NONCE, Stamp(now_ms=1, nonce=1))


def test_nonce_mode_without_a_nonce_is_not_signed() -> None:
    """A request that the exchange could take for a replay never leaves."""
    with pytest.raises(InvalidCommand, match="without a nonce"):
        INDODAX.sign(CANCEL, NONCE, Stamp(now_ms=1))


def test_an_unknown_auth_is_not_guessed() -> None:
    """An auth mode that is no documented one is refused by name."""
    with pytest.raises(InvalidCommand, match='auth = "nonce" or auth = "timestamp"'):
        INDODAX.sign(CANCEL, Access(DEMO, KEY, SECRET, auth="both"), Stamp(now_ms=1, nonce=1))


# What comes back


@dataclass(frozen=True)
class Row:
    """One reply, what it means, and who says so."""

    id: str
    command: Command
    body: object
    expected: Answer
    source: str
    status: int = 200


def error(code: str, message: str) -> dict[str, object]:
    """Build an error as the document shows it."""
    return {"success": 0, "error": message, "error_code": code}


def told(outcome: Outcome, code: str, message: str) -> Unproven:
    """Build the answer that carries an error's own words."""
    return Unproven(outcome, f"HTTP 200: {code}: {message}")


def success(returned: object) -> dict[str, object]:
    """Build a success of the trade API."""
    return {"success": 1, "return": returned}


ODD = Unproven(Outcome.UNKNOWN, "HTTP 200: not the documented success of what was asked")
NEITHER = Unproven(Outcome.UNKNOWN, "HTTP 200: neither a documented success nor a documented error")
ROW_SELL = {"order_id": "172", "price": "421004000", "type": "sell"}
ROW_BUY = {"order_id": "173", "price": "421003000", "type": "buy"}
SELL = OpenOrder("172", "btc_idr", "sell")
BUY = OpenOrder("173", "btc_idr", "buy")
STOP_ROW = {**ROW_BUY, "order_type": "stoplimit"}
LIST = ListOpenOrders(pair="btc_idr")
LIST_ALL = ListOpenOrders()

# Nothing at all is an empty list wherever the server keeps lists and maps alike.
NOTHING_OPEN: list[tuple[Command, object]] = [(LIST, []), (LIST_ALL, []), (LIST_ALL, {})]

HALTED = "Pair btc_idr disabled"
# The table at the end of the document, line for line.
ERROR_TABLE = [
    ("internal_server_error", "Failed to process request", Outcome.UNAVAILABLE),
    ("internal_server_error", "Validation signature failed.", Outcome.UNAUTHORIZED),
    ("bad_request", HALTED, Outcome.REJECTED),
    ("bad_request", "Invalid pair", Outcome.REJECTED),
    ("bad_request", "Invalid countdown time", Outcome.REJECTED),
    ("bad_request", "Pair is empty", Outcome.REJECTED),
    ("sign_not_found", "Sign not found in header.", Outcome.UNAUTHORIZED),
    ("key_not_found", "API key not found in header.", Outcome.UNAUTHORIZED),
    ("bad_sign", "Invalid credentials. Bad sign.", Outcome.UNAUTHORIZED),
    ("not_authorized", "Your user ID is not on the whitelist", Outcome.UNAUTHORIZED),
]

ROWS = [
    # Countdown
    Row("documented success", COUNTDOWN, SUCCESS, CountdownSet(), "document, Success"),
    Row(
        "documented error",
        COUNTDOWN,
        KEY_NOT_FOUND,
        told(Outcome.UNAUTHORIZED, "key_not_found", "API key not found in header"),
        "document, Error",
    ),
    Row("success as true", COUNTDOWN, {"success": True}, NEITHER, "document: success is 1"),
    Row("success as text", COUNTDOWN, {"success": "1"}, NEITHER, "document: success is 1"),
    Row("success as fraction", COUNTDOWN, '{"success": 1.0}', NEITHER, "document: success is 1"),
    Row("success 2", COUNTDOWN, {"success": 2}, NEITHER, "not documented"),
    Row("success twice", COUNTDOWN, '{"success":0,"success":1}', NEITHER, "not documented"),
    Row("a list", COUNTDOWN, [{"success": 1}], NEITHER, "not documented"),
    Row("empty", COUNTDOWN, "", NEITHER, "not documented"),
    Row("a page", COUNTDOWN, "<html>ok</html>", NEITHER, "not documented"),
    Row(
        "success with an error",
        COUNTDOWN,
        {"success": 1, "error_code": "bad_sign"},
        Unproven(Outcome.UNKNOWN, NEITHER.detail + ": bad_sign"),
        "not documented",
    ),
    # Errors
    *(
        Row(f"{code}: {message}", command, error(code, message), told(outcome, code, message), src)
        for code, message, outcome in ERROR_TABLE
        for command, src in ((COUNTDOWN, "document, error table"), (CANCEL, "same, on the TAPI"))
        if command is COUNTDOWN or message != HALTED
    ),
    *(
        Row(
            "a pair whose trade is halted",
            command,
            error("bad_request", HALTED),
            told(Outcome.UNAVAILABLE, "bad_request", HALTED),
            "a state that passes: an order must not be given up for it",
        )
        for command in (CANCEL, LIST)
    ),
    Row(
        "a pair whose trade is halted, under a status that no document gives it",
        COUNTDOWN,
        error("bad_request", HALTED),
        Unproven(Outcome.REJECTED, f"HTTP 400: bad_request: {HALTED}"),
        "the timer is set for other pairs then",
        400,
    ),
    Row(
        "another internal error",
        COUNTDOWN,
        error("internal_server_error", "Out of paper"),
        told(Outcome.UNKNOWN, "internal_server_error", "Out of paper"),
        "FACTS: the message decides",
    ),
    Row(
        "an error code of tomorrow",
        COUNTDOWN,
        error("maintenance", "Failed to process request"),
        told(Outcome.UNKNOWN, "maintenance", "Failed to process request"),
        "not documented",
    ),
    Row(
        "a code without a message",
        COUNTDOWN,
        {"success": 0, "error_code": "maintenance"},
        Unproven(Outcome.UNKNOWN, "HTTP 200: maintenance"),
        "not documented",
    ),
    Row(
        "a wait for another reason than the rate",
        CANCEL,
        error("internal_server_error", "please try again in 5 seconds"),
        told(Outcome.UNKNOWN, "internal_server_error", "please try again in 5 seconds"),
        "not documented: the code decides",
    ),
    Row(
        "nearly the message of an unknown order",
        CANCEL,
        {"success": 0, "error": "Invalid orderX."},
        Unproven(Outcome.UNKNOWN, "HTTP 200: Invalid orderX."),
        "not documented",
    ),
    Row(
        "no error code",
        COUNTDOWN,
        {"success": 0, "error": "Validation signature failed."},
        Unproven(Outcome.UNKNOWN, "HTTP 200: Validation signature failed."),
        "not documented",
    ),
    Row(
        "codes that are not texts",
        COUNTDOWN,
        {"success": 0, "error": {"a": 1}, "error_code": 7},
        Unproven(Outcome.UNKNOWN, "HTTP 200"),
        "not documented",
    ),
    Row(
        "credentials",
        CANCEL,
        error("invalid_credentials", "Invalid credentials. API not found or session has expired."),
        told(
            Outcome.UNAUTHORIZED,
            "invalid_credentials",
            "Invalid credentials. API not found or session has expired.",
        ),
        "Private REST API, Error Codes",
    ),
    Row(
        "nonce",
        CANCEL,
        error(
            "invalid_nonce",
            "Nonce must be greater than 15249487513240000. You provided 1524998484.",
        ),
        Unproven(
            Outcome.UNAVAILABLE,
            "HTTP 200: invalid_nonce: Nonce must be greater than 15249487513240000. "
            "You provided 1524998484.",
            nonce_floor=15_249_487_513_240_000,
        ),
        "FACTS: nonce mode [V]",
    ),
    Row(
        "nonce without a floor",
        CANCEL,
        error("invalid_nonce", "Nonce must be greater than yours."),
        told(Outcome.UNAVAILABLE, "invalid_nonce", "Nonce must be greater than yours."),
        "not documented",
    ),
    Row(
        "nonce of ns",
        CANCEL,
        error("invalid_nonce", "Nonce must be greater than 1764000000000000000. You provided 7."),
        replace(
            told(
                Outcome.UNAVAILABLE,
                "invalid_nonce",
                "Nonce must be greater than 1764000000000000000. You provided 7.",
            ),
            nonce_floor=1_764_000_000_000_000_000,
        ),
        "not documented: a key that was used with time.time_ns()",
    ),
    *(
        Row(
            f"nonce {floor}",
            CANCEL,
            error("invalid_nonce", f"Nonce must be greater than {floor}."),
            replace(
                told(Outcome.UNAVAILABLE, "invalid_nonce", f"Nonce must be greater than {floor}."),
                nonce_floor=kept,
            ),
            "not documented: what can be kept has 63 bits",
        )
        for floor, kept in ((9 * 10**18 - 1, 9 * 10**18 - 1), (9 * 10**18, None))
    ),
    Row(
        "nonce above what can be kept",
        CANCEL,
        error("invalid_nonce", "Nonce must be greater than 9999999999999999999."),
        told(
            Outcome.UNAVAILABLE, "invalid_nonce", "Nonce must be greater than 9999999999999999999."
        ),
        "not documented: no floor that overflows",
    ),
    Row(
        "clock",
        CANCEL,
        error("invalid_timestamp", "Timestamp for this request is outside of the recvWindow."),
        Unproven(
            Outcome.UNKNOWN,
            "HTTP 200: invalid_timestamp: Timestamp for this request is outside of the recvWindow.",
            clock_refused=True,
        ),
        "FACTS: the server rejects; how it says so is in no document",
    ),
    Row(
        "clock as a bad request",
        COUNTDOWN,
        error("bad_request", "Invalid recvWindow"),
        Unproven(Outcome.UNKNOWN, "HTTP 200: bad_request: Invalid recvWindow", clock_refused=True),
        "not documented",
    ),
    Row(
        "throttled",
        CANCEL,
        error("too_many_requests", "Your User ID sent too many cancel order requests"),
        Unproven(
            Outcome.THROTTLED,
            "HTTP 429: too_many_requests: Your User ID sent too many cancel order requests",
        ),
        "FACTS: HTTP 429, too_many_requests",
        429,
    ),
    Row(
        "throttled for a while",
        CANCEL,
        error("too_many_requests", "please try again in 5 seconds"),
        Unproven(
            Outcome.THROTTLED,
            "HTTP 200: too_many_requests: please try again in 5 seconds",
            retry_after_ms=5_000,
        ),
        "FACTS: errors come as HTTP 200",
    ),
    Row(
        "countdown over its limit",
        COUNTDOWN,
        "<html>slow down</html>",
        Unproven(Outcome.THROTTLED, "HTTP 429: <html>slow down</html>"),
        "FACTS: the over-limit reply for this URL is [NF]",
        429,
    ),
    Row(
        "outage",
        COUNTDOWN,
        "<html>502</html>",
        Unproven(Outcome.UNAVAILABLE, "HTTP 502: <html>502</html>"),
        "HTTP",
        502,
    ),
    *(
        Row(
            f"success under {status}",
            command,
            body,
            Unproven(Outcome.UNKNOWN, f"HTTP {status}"),
            "document: HttpCode 200",
            status,
        )
        for status in (201, 204, 301, 400, 401, 403, 404)
        for command, body in ((COUNTDOWN, SUCCESS), (CANCEL, success({"order_id": 666883})))
    ),
    # Cancel
    Row(
        "canceled",
        CANCEL,
        success({"order_id": 666883, "type": "buy", "pair": "btc_idr", "balance": {}}),
        Closed(Outcome.CANCELED),
        "FACTS: cancelOrder",
    ),
    Row(
        "canceled, id as text",
        CANCEL,
        success({"order_id": "666883"}),
        Closed(Outcome.CANCELED),
        "FACTS: order_id",
    ),
    Row(
        "canceled, the pair's other name",
        CancelOrder("666883", pair="btcidr", side="buy"),
        success({"order_id": 666883, "pair": "btc_idr"}),
        Closed(Outcome.CANCELED),
        "both names are in use",
    ),
    Row(
        "another pair's order",
        CANCEL,
        success({"order_id": 666883, "pair": "eth_idr"}),
        ODD,
        "FACTS: pair and order_id",
    ),
    Row(
        "an order of a pair that was not named",
        CancelOrder("666883"),
        success({"order_id": 666883, "pair": "eth_idr"}),
        ODD,
        "FACTS: pair and order_id",
    ),
    Row("another order", CANCEL, success({"order_id": 666884}), ODD, "FACTS: order_id"),
    Row("id as fraction", CANCEL, success({"order_id": 666883.0}), ODD, "not documented"),
    Row("no id", CANCEL, success({}), ODD, "not documented"),
    Row("no return", CANCEL, SUCCESS, ODD, "that is the countdown's success"),
    Row(
        "unknown order",
        CANCEL,
        {"success": 0, "error": "invalid order."},
        Unproven(Outcome.UNKNOWN, "HTTP 200: invalid order.", missing=True),
        "FACTS: an unknown order answers `invalid order.` [V]",
    ),
    Row(
        "unknown order, asked for a countdown",
        COUNTDOWN,
        {"success": 0, "error": "invalid order."},
        Unproven(Outcome.UNKNOWN, "HTTP 200: invalid order."),
        "not documented",
    ),
    # Query
    *(
        Row(
            f"query {status}",
            QUERY,
            success({"order": {"order_id": "59639504", "status": status}}),
            OrderReport(state),
            "FACTS: getOrder",
        )
        for status, state in (
            ("open", OrderState.OPEN),
            ("filled", OrderState.FILLED),
            ("cancelled", OrderState.CANCELED),
        )
    ),
    Row(
        "query, unwrapped",
        QUERY,
        success({"order_id": 59639504, "status": "cancelled"}),
        OrderReport(OrderState.CANCELED),
        "not documented: the same facts, one level up",
    ),
    Row(
        "query, another id",
        QUERY,
        success({"order": {"order_id": "1", "status": "cancelled"}}),
        ODD,
        "not documented",
    ),
    Row(
        "query, other status",
        QUERY,
        success({"order": {"order_id": "59639504", "status": "expired"}}),
        ODD,
        "not documented",
    ),
    Row(
        "query, unknown order",
        QUERY,
        {"success": 0, "error": "invalid order."},
        OrderReport(OrderState.MISSING, "HTTP 200: invalid order."),
        "FACTS: an unknown order answers `invalid order.` [V]",
    ),
    # List
    Row(
        "list of a pair",
        LIST,
        success({"orders": [ROW_SELL, ROW_BUY]}),
        OpenOrders((SELL, BUY), complete=True),
        "FACTS: with pair a list",
    ),
    Row(
        "stop orders",
        LIST,
        success({"orders": [{**ROW_SELL, "order_type": "limit"}, STOP_ROW]}),
        OpenOrders((SELL, replace(BUY, stop=True)), complete=True),
        "document, openOrders",
    ),
    Row(
        "stop orders of all pairs",
        LIST_ALL,
        success({"orders": {"btc_idr": [STOP_ROW]}}),
        OpenOrders((replace(BUY, stop=True),), complete=True),
        "document, openOrders",
    ),
    Row(
        "list of a side",
        ListOpenOrders(pair="btc_idr", side="buy"),
        success({"orders": [ROW_SELL, ROW_BUY]}),
        OpenOrders((BUY,), complete=True),
        "the side is filtered here",
    ),
    Row(
        "list of all pairs",
        LIST_ALL,
        success({"orders": {"btc_idr": [ROW_SELL], "eth_idr": [ROW_BUY]}}),
        OpenOrders((SELL, OpenOrder("173", "eth_idr", "buy")), complete=True),
        "FACTS: without it a dict keyed by pair",
    ),
    *(
        Row(
            f"nothing open {n}",
            command,
            success({"orders": none}),
            OpenOrders((), complete=True),
            "FACTS",
        )
        for n, (command, none) in enumerate(NOTHING_OPEN)
    ),
    Row(
        "a row that cannot be read",
        LIST,
        success({"orders": [ROW_SELL, {"order_id": "1/../2", "type": "buy"}, 7]}),
        OpenOrders((SELL,), complete=False),
        "not documented: it may be an open order",
    ),
    Row(
        "a pair that cannot be read",
        LIST_ALL,
        success({"orders": {"btc_idr": [ROW_SELL], "a&b": [ROW_BUY], "c": ROW_BUY}}),
        OpenOrders((SELL, OpenOrder("173", "c", "buy")), complete=False),
        "not documented: it may be an open order",
    ),
    *(
        Row(
            f"a row of the side {side}",
            LIST,
            success({"orders": [ROW_SELL, {"order_id": "174", "type": side}]}),
            OpenOrders((SELL,), complete=False),
            "not documented: it may be an open order",
        )
        for side in ("stop", None, 1)
    ),
    Row(
        "list of a pair, keyed by it in capitals",
        LIST,
        success({"orders": {"BTC_IDR": [ROW_BUY]}}),
        OpenOrders((replace(BUY, pair="BTC_IDR"),), complete=True),
        "not documented: case does not tell pairs apart",
    ),
    Row("list of rows without pairs", LIST_ALL, success({"orders": [ROW_BUY]}), ODD, "FACTS"),
    Row("dict for one pair", LIST, success({"orders": {"eth_idr": [ROW_BUY]}}), ODD, "FACTS"),
    Row("no orders", LIST, success({}), ODD, "not documented"),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{type(row.command).__name__}, {row.id}")
def test_reply_means(row: Row) -> None:
    """Each documented reply means what its document says, and no other proves anything."""
    body = row.body if isinstance(row.body, str) else json.dumps(row.body)
    reply = Reply(row.status, {}, body.encode(), received_ms=0)
    assert INDODAX.classify(row.command, reply) == with_shape(row.expected, reply), row.source
