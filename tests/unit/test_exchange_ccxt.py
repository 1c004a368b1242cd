"""Exchanges that ccxt signs for: nothing that a server may send is taken for a proof."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest
from pydantic import ValidationError

from tests.support.ccxt_requests import GOLDEN, lines, signed
from worker.config.accounts import Account
from worker.errors import InvalidCommand
from worker.exchanges import EXCHANGES, adapter_instead, ccxt_names
from worker.exchanges.ccxt.adapter import CcxtExchange, exchange_of, offers
from worker.exchanges.ccxt.table import table
from worker.model.commands import CancelOrder, Command, ListOpenOrders, QueryOrder
from worker.model.outcomes import (
    Answer,
    Closed,
    OpenOrders,
    OrderReport,
    OrderState,
    Outcome,
    Unproven,
)
from worker.model.wire import Reply

IDS = [name for name in table() if offers(name)]
ASKED = "123456789"
ANOTHER = "987654321"
PAIR = "BTCUSDT"
ID_KEYS = ("id", "orderId", "order_id", "orderID", "ordId", "uuid", "oid", "client_order_id")
STATUS_KEYS = ("status", "state", "ordStatus", "orderStatus")
CLOSED_WORDS = ("canceled", "CANCELED", "cancelled", "Cancelled", "filled", "FILLED", "closed")


def reply(body: object, status: int = 200) -> Reply:
    """Return a reply with this body, as JSON unless it is bytes."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Reply(status, {"content-type": "application/json"}, raw, 1_700_000_000_000)


def commands_of(exchange: CcxtExchange) -> list[Command]:
    """Return each command that the exchange takes."""
    found: list[Command] = [
        CancelOrder(ASKED, pair=PAIR),
        QueryOrder(ASKED, pair=PAIR),
        ListOpenOrders(pair=PAIR),
    ]
    return [each for each in found if type(each) in exchange.capabilities.commands]


def report(order_id: str, word: str, key: str) -> dict[str, object]:
    """Return an order's report, with the id under each name that exchanges use."""
    return {**dict.fromkeys(ID_KEYS, order_id), key: word, "symbol": PAIR, "side": "buy"}


def wrapped(row: dict[str, object]) -> Iterator[object]:
    """Yield a report in each wrapping that exchanges use."""
    yield row
    yield [row]
    for name, inner in product(("data", "result", "order"), (row, [row])):
        yield {"code": 0, "success": True, "status": "ok", name: inner}
    yield {"code": "00000", "msg": "success", "data": {"list": [row], "rows": [row], "0": row}}


def empty_of(exchange: CcxtExchange) -> tuple[bytes, ...]:
    """Return the documented reply of an exchange that lists no orders, if it is that short."""
    return (b"[]",) if exchange.profile and exchange.profile.list_at == () else ()


def closes(answer: Answer) -> bool:
    """Return whether an answer closes an order, or shows a scope empty."""
    match answer:
        case Closed():
            return True
        case OrderReport(state=state):
            return state in (OrderState.CANCELED, OrderState.FILLED)
        case OpenOrders(orders=orders, complete=complete):
            return complete and not orders
        case _:
            return False


GARBAGE: tuple[bytes, ...] = (
    b"<html><body>502 Bad Gateway</body></html>",
    b"{}",
    b"[]",
    b"null",
    b'"ok"',
    b"",
    b"true",
    b"0",
    b"[[]]",
    b"[{}]",
    b'{"data": {}}',
    b'{"data": []}',
    b'{"success": true}',
    b'{"result": "success"}',
    b'{"code": 0}',
    b'{"status": "ok"}',
    b'{"orderId": "123456789", "status": "CANC',
    b'{"code": 51000, "msg": "order cannot be canceled", "success": false}',
    b'{"error": "Invalid order", "orderId": "123456789"}',
    b'{"success": false, "orderId": "123456789", "error": {"message": "not canceled"}}',
    b'{"id": "123456789"}',
    b'{"data": {"orderId": "123456789"}}',
    b"\xff\xfe\x00",
)


def test_enough_ids_sign_a_cancel() -> None:
    """The table has every id; most of them sign a cancel."""
    assert len(table()) >= 100
    assert len(IDS) >= 80


@pytest.mark.timeout(600)  # every exchange of ccxt is imported
def test_nothing_that_a_server_may_send_is_taken_for_a_proof() -> None:
    """On no exchange does garbage close an order, empty a scope, or count as our mistake.

    Neither does the report of another order, under any name and in any wrapping.
    """
    others = [
        json.dumps(body).encode()
        for word, key in product(CLOSED_WORDS, STATUS_KEYS)
        for body in wrapped(report(ANOTHER, word, key))
    ]
    wrong = []
    for name in IDS:
        exchange = exchange_of(name)
        for command, raw in product(commands_of(exchange), (*GARBAGE, *others)):
            listing = isinstance(command, ListOpenOrders) and raw in (*others, *empty_of(exchange))
            for status in (200,) if raw in others else (200, 400, 500):
                answer = exchange.classify(command, reply(raw, status))
                rejected = isinstance(answer, Unproven) and answer.outcome is Outcome.REJECTED
                if (closes(answer) and not listing) or rejected:
                    wrong.append((name, command, status, raw, answer))
    assert wrong == []


@pytest.mark.timeout(600)
def test_an_orders_own_report_is_a_proof_on_many() -> None:
    """The same reports with the id that was asked for do close orders: the rules are no wall."""
    bodies = [
        body
        for word, key in product(CLOSED_WORDS, STATUS_KEYS)
        for body in wrapped(report(ASKED, word, key))
    ]
    proven = {
        name
        for name in IDS
        for command in commands_of(exchange_of(name))[1:2]
        if isinstance(command, QueryOrder)
        and any(closes(exchange_of(name).classify(command, reply(body))) for body in bodies)
    }
    assert len(proven) >= 30, sorted(proven)


ADDRESS = "http://127.0.0.1:9"


@pytest.mark.timeout(600)
def test_each_command_is_signed_for_the_address_that_is_set() -> None:
    """One request a command, at `base_url`; its path is ccxt's."""
    for name in IDS:
        for command in commands_of(exchange_of(name)):
            assert signed(exchange_of(name), command, ADDRESS).url.startswith(f"{ADDRESS}/")


@pytest.mark.timeout(600)
def test_no_byte_of_a_request_has_changed() -> None:
    """As `uv run ops/ccxt_golden.py` has written them. After an upgrade it shows each change."""
    assert list(lines()) == GOLDEN.read_text().splitlines()


# Settings


def account(**given: object) -> Account:
    """Return an account, as the settings have it."""
    return Account.model_validate(given)


def test_an_account_on_an_exchange_of_ccxt() -> None:
    """The name is kept as written; what the exchange wants is a setting each."""
    made = account(exchange="ccxt:luno", api_key="k", api_secret="s", unproven=True)
    assert (made.exchange, made.adapter.name, made.url) == (
        "ccxt:luno",
        "ccxt:luno",
        "https://api.luno.com",
    )


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"exchange": "ccxt:luno"}, "unproven = true"),
        ({"exchange": "ccxt:okx"}, 'use exchange = "okx"'),
        ({"exchange": "ccxt:binanceusdm", "unproven": True}, 'use exchange = "binanceusdm"'),
        ({"exchange": "ccxt:lunno"}, "did you mean ccxt:luno"),
        ({"exchange": "everstrike", "unproven": True}, "remove unproven"),
    ],
)
def test_what_is_refused_and_the_fix(given: dict[str, object], text: str) -> None:
    """An exchange with an adapter, an unknown id, and doubts that are not accepted."""
    with pytest.raises(ValidationError, match=text):
        account(**given)


@pytest.mark.parametrize("name", [name for name in IDS if name in EXCHANGES])
def test_one_key_is_not_two_accounts(name: str) -> None:
    """Whatever has an adapter here is not served through ccxt."""
    assert f"ccxt:{name}" not in EXCHANGES
    assert adapter_instead(f"ccxt:{name}") == name


def test_exchanges_are_listed_without_those_of_ccxt() -> None:
    """A process that loops over the exchanges imports none of ccxt's."""
    assert [name for name in EXCHANGES if name.startswith("ccxt")] == []
    assert len(ccxt_names()) > 60


def test_a_worker_without_such_an_account_neither_imports_nor_needs_ccxt(tmp_path: Path) -> None:
    """Whatever its worker loads, and also where the extra is not installed."""
    config = tmp_path / "worker.toml"
    keys = 'api_key = "a-key"\napi_secret = "a-secret"\n'
    config.write_text(f'[accounts.bn]\nexchange = "binance"\n{keys}')
    code = (
        "import sys; sys.modules['ccxt'] = None; "
        "import worker.celery_app, worker.tasks; from worker.factory import build_dispatcher; "
        "from worker.config.settings import load_settings; build_dispatcher(load_settings()); "
        "print(sorted(name for name in sys.modules if name.partition('.')[0] == 'ccxt'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "WORKER_CONFIG": str(config)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == "['ccxt']", done.stderr


@pytest.mark.parametrize("pair", ["..", "-", "._-", "BTC/USDT", "a/../b"])
def test_a_pair_cannot_alter_a_path(pair: str) -> None:
    """Pairs stand in paths."""
    with pytest.raises(InvalidCommand):
        exchange_of("bitopro").check(CancelOrder(ASKED, pair=pair))
