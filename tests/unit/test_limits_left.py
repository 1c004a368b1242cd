"""What replies say is left of a limit: read by each adapter's own data."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from worker.exchanges import EXCHANGES
from worker.exchanges.base import Access
from worker.gateway.account import AccountSession
from worker.model.commands import CancelOrder, Command, SetCountdown
from worker.model.constants import AHEAD_MS
from worker.model.limits import Counter, Grant, Left, Rule
from worker.model.wire import Reply

NOW_MS = 1_700_000_000_000
RULE = Rule("x:weight:a", 100, 60_000)
CANCEL = CancelOrder("1", pair="BTCUSDT")


def session_at(name: str, most: int | None = None) -> AccountSession:
    """Return an account of an exchange, its limits replaced by `most` if that is given."""
    exchange = EXCHANGES[name]
    rules = tuple(
        (
            kind,
            Rule(limit.name, most or limit.max_requests, limit.window_ms, counter=limit.counter),
        )
        for limit in exchange.capabilities.limits
        for kind in limit.commands
    )
    return AccountSession(
        alias="a",
        exchange=exchange,
        access=Access("https://h", "k", "s"),
        egress_ip=None,
        uses_nonce=False,
        bulk_max=1,
        rules=rules,
    )


def told(
    name: str,
    headers: Mapping[str, str],
    command: Command = CANCEL,
    *,
    status: int = 200,
    most: int | None = None,
) -> dict[str, tuple[int, int]]:
    """Return what a reply says, by limit: how many requests, and when there are more."""
    reply = Reply(status, headers, b"", NOW_MS)
    left = session_at(name, most).left(command, reply)
    return {each.rule.key: (each.requests, each.frees_ms) for each in left}


@pytest.mark.parametrize(
    ("name", "headers", "left"),
    [
        ("binance", {"x-mbx-used-weight-1m": "5990"}, {"weight": (10, 60_000)}),
        ("binance", {"x-mbx-used-weight-1m": "7000"}, {"weight": (0, 60_000)}),
        ("binanceusdm", {"x-mbx-used-weight-1m": "2350"}, {"weight": (50, 60_000)}),
        ("kucoin", {"gw-ratelimit-remaining": "7"}, {"weight": (7, 30_000)}),
        (
            "kucoin",
            {"gw-ratelimit-remaining": "7", "gw-ratelimit-reset": "1500"},
            {"weight": (7, 1_500)},
        ),
        (
            "bybit",
            {
                "x-bapi-limit-status": "3",
                "x-bapi-limit-reset-timestamp": str(NOW_MS + 250),
            },
            {"cancels": (3, 250)},
        ),
        (
            "bybit",
            {"x-bapi-limit-status": "3", "x-bapi-limit-reset-timestamp": str(NOW_MS - 9_000)},
            {"cancels": (3, 1)},
        ),
        (
            "gate",
            {
                "x-gate-ratelimit-requests-remain": "12",
                "x-gate-ratelimit-reset-timestamp": str(NOW_MS // 1_000 + 60),
            },
            {"cancels": (12, 1_000)},
        ),
        ("okx", {"x-mbx-used-weight-1m": "1", "gw-ratelimit-remaining": "1"}, {}),
        ("kraken", {"x-ratelimit-remaining": "1"}, {}),
        ("binance", {}, {}),
        ("binance", {"x-mbx-used-weight-1m": "many"}, {}),
        ("binance", {"x-mbx-used-weight-1m": "-1"}, {}),
        ("kucoin", {"gw-ratelimit-remaining": "٣"}, {}),
        ("kucoin", {"gw-ratelimit-remaining": "1" * 16}, {}),
    ],
)
def test_each_exchanges_own_headers_are_read(
    name: str, headers: dict[str, str], left: dict[str, tuple[int, int]]
) -> None:
    """A header that is no number says nothing; a reset is at most a window away."""
    assert told(name, headers) == left


def test_a_countdowns_reply_is_read_too() -> None:
    """Where several limits count it, the header is about one."""
    headers = {"x-mbx-used-weight-1m": "2300"}
    command = SetCountdown(("BTCUSDT",), 1_000)
    assert told("binanceusdm", headers, command) == {"weight": (100, 60_000)}


@pytest.mark.parametrize("status", [418, 429])
def test_a_refusal_says_when_to_come_back_instead(status: int) -> None:
    """What it says is left is nothing, however soon there is more."""
    assert told("kucoin", {"gw-ratelimit-remaining": "0"}, status=status) == {}


def test_an_account_with_a_higher_limit_has_more_left() -> None:
    """The settings may raise what the document gives; a share of it is no reason for less."""
    headers = {"x-mbx-used-weight-1m": "2350"}
    assert told("binanceusdm", headers, most=5_000)["weight"][0] == 2_650
    assert told("binanceusdm", headers, most=100)["weight"][0] == 50


def test_a_grant_carries_what_is_left_to_the_script() -> None:
    """Beside its weight; other limits of the request are as they were."""
    grant = Grant(0, "m", ("x:weight:a", "y"), ("x:weight:a|4", "y"))
    left = Left(RULE, 7, 500)
    assert grant.with_left([]) is grant
    assert grant.with_left([left]).reported_slots() == ("x:weight:a|4|100|60000|7|500", "y")
    light = Grant(0, "m", ("x:weight:a",), ("x:weight:a",))
    assert light.with_left([left]).reported_slots() == ("x:weight:a|1|100|60000|7|500",)
    assert light.with_left([left]).left == (left,)


def test_a_counter_of_what_is_left_needs_no_total() -> None:
    """Only one of what is used does."""
    assert Counter("h").left({"h": " 8 "}, 5) == 8
    assert Counter("h", used_of=10).left({"h": "8"}, 5) == 2
    assert Counter("h", used_of=10).left({"h": "8"}, 20) == 12


def test_what_a_reply_said_is_out_of_date_after_a_while() -> None:
    """Until then what others used counts for less long, by the age of the reply."""
    rule = Rule("x:weight:a", 100, 60_000)
    grant = Grant.of([rule]).with_left([Left(rule, 7, 500)])
    assert grant.reported_slots(20.4) == ("x:weight:a|1|100|60000|7|480",)
    assert grant.reported_slots(AHEAD_MS) == ("x:weight:a|1|100|60000|7|450",)
    assert grant.reported_slots(AHEAD_MS + 0.1) == ("x:weight:a",)
    soon = Grant.of([rule]).with_left([Left(rule, 7, 3)])
    assert soon.reported_slots(10) == ("x:weight:a|1|100|60000|7|1",)
