"""ccxt's own cases: what it signs and reads for them is signed and read here.

`tests/data/ccxt/fixtures.json` has those of its repository that are about the commands used
here, with pairs as the exchanges write them and without credentials.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from tests.support.ccxt_requests import signed
from worker.exchanges.ccxt.adapter import exchange_of
from worker.model.commands import CancelOrder, Command, ListOpenOrders, QueryOrder, SetCountdown
from worker.model.outcomes import CancelAccepted, OpenOrder, OpenOrders
from worker.model.wire import Reply

FILE = Path(__file__).parents[1] / "data" / "ccxt" / "fixtures.json"
CASES: dict[str, Any] = json.loads(FILE.read_text())
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
    CASES["requests"],
    ids=[f"{name}-{method}-{given[0]}" for name, method, given, *_ in CASES["requests"]],
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


EXPECTED = (
    CancelAccepted(),
    OpenOrders((OpenOrder("60780315704", "SPOT_LTC_USDT", "buy"),), complete=False),
)


@pytest.mark.parametrize("number", range(len(EXPECTED)), ids=("bitvavo", "woo"))
def test_a_case_is_read(number: int) -> None:
    """Bitvavo's reply to a cancel is no report; WOO's list has one of eleven orders."""
    name, method, given, body = CASES["replies"][number]
    command = ListOpenOrders(*given) if method == "fetchOrders" else command_of(method, given)
    reply = Reply(200, {}, json.dumps(body).encode(), 0)
    assert exchange_of(name).classify(command, reply) == EXPECTED[number]
