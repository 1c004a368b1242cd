"""What no request is made of, with the whole text of each refusal."""

from __future__ import annotations

from typing import Any

import pytest

from worker.errors import InvalidCommand
from worker.exchanges import EXCHANGES
from worker.exchanges.checks import underscored
from worker.model.commands import CancelOrder, Command, QueryOrder, SetCountdown

MANY = tuple(f"P{n}_IDR" for n in range(51))
NONE: Any = None
NUMBER: Any = 7
BY_CLIENT_ID = "by its client order id: give its order id"
CLIENT_ID = "is not a client order id of binance: give it as the order was placed with, "
CHECKS: list[tuple[str, Command, str]] = [
    ("binance", CancelOrder("", "BTCUSDT", client_order_id="my1"), ""),
    ("binance", QueryOrder("", "BTCUSDT", "my1"), ""),
    (
        "binance",
        CancelOrder("", "BTCUSDT", client_order_id="a b"),
        f"'a b' {CLIENT_ID}1 to 36 characters of letters, digits, . : / _ and -",
    ),
    (
        "binance",
        QueryOrder("", "BTCUSDT", NUMBER),
        f"a int {CLIENT_ID}1 to 36 characters of letters, digits, . : / _ and -",
    ),
    (
        "everstrike",
        CancelOrder(client_order_id="my1"),
        f"everstrike has no documented way to cancel an order {BY_CLIENT_ID}",
    ),
    (
        "everstrike",
        QueryOrder(client_order_id="my1"),
        f"everstrike has no documented way to ask about an order {BY_CLIENT_ID}",
    ),
    ("bybit", QueryOrder("7", "BTCUSDT", past=True), ""),
    ("bybit", QueryOrder("7", "BTCUSDT"), ""),
    ("binance", QueryOrder("7", "BTCUSDT"), ""),
    (
        "binance",
        QueryOrder("7", "BTCUSDT", past=True),
        "binance is asked about closed orders like any other",
    ),
    # A list may be empty: then it is for every pair.
    ("kucoin", SetCountdown((), 0), ""),
    ("kucoin", SetCountdown(NONE, 0), ""),
    ("kucoin", SetCountdown(MANY[:50], 5_000), ""),
    ("kucoin", SetCountdown(MANY, 5_000), "kucoin takes 50 pairs in a countdown"),
    ("kucoin", SetCountdown(MANY[:1], 4_999), "kucoin has no countdown of 4999 ms"),
    # Each pair has a timer of its own: they go in several requests.
    ("indodax", SetCountdown(MANY, 5_000), ""),
    ("kraken", SetCountdown((), 60_000), ""),
]


@pytest.mark.parametrize(("name", "command", "text"), CHECKS)
def test_what_is_refused_and_why(name: str, command: Command, text: str) -> None:
    """An empty text stands for a command that is sent."""
    refused = ""
    try:
        EXCHANGES[name].check(command)
    except InvalidCommand as error:
        refused = str(error)
    assert refused == text


@pytest.mark.parametrize(
    ("pair", "wanted"),
    [("BTC/USDT", "BTC_USDT"), ("btc/usdt", "BTC_USDT"), ("btc_usdt", "btc_usdt")],
)
def test_only_the_form_with_a_slash_is_another_spelling(pair: str, wanted: str) -> None:
    """What has none is left as it is."""
    assert underscored(pair) == wanted
