"""Any reply of an exchange of ccxt, to any command: read without fail, believed only if earned.

The first bytes choose the exchange, the command and the status.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, get_args

from tests.fuzz.target import Target
from tests.support.answer_rules import DETAIL_MAX, FITTING, SECRET
from tests.support.ccxt_documents import (
    ASKED,
    CANCELS,
    NOW_MS,
    OFF_REPLIES,
    PAIRS,
    ROWS,
    TIMER_REPLIES,
    WORDS,
    bitfinex_row,
    list_of,
    order_of,
)
from tests.support.ccxt_oracle import SHAPES, SLACK_MS, closes, empty, has_timer, is_off, left_ms
from worker.exchanges.ccxt.adapter import exchange_of
from worker.exchanges.replies import read_json
from worker.model.commands import CancelOrder, Command, ListOpenOrders, QueryOrder, SetCountdown
from worker.model.outcomes import (
    Answer,
    CancelAccepted,
    Closed,
    CountdownSet,
    OpenOrders,
    OrderReport,
    OrderState,
    Outcome,
    Unproven,
)
from worker.model.wire import Reply

UNPROFILED = ("alpaca", "bitstamp", "coinsph", "hitbtc", "luno", "upbit")
"""Without a profile: of different families."""
NAMES = (*PAIRS, *UNPROFILED)
STATUSES = (200, 200, 200, 200, 200, 201, 400, 401, 403, 404, 429, 500, 502, 503, 204, 302)
HEAD = 3
COUNTDOWN_MS = 60_000
ENDS = {
    "canceled": (Closed(Outcome.CANCELED), OrderReport(OrderState.CANCELED)),
    "filled": (Closed(Outcome.GONE), OrderReport(OrderState.FILLED)),
}
WORD = (
    *(b'"code"', b'"data"', b'"id"', b'"status"', b'"success"', b'"result"', b'"orders"'),
    *(b'"orderId"', b'"order_id"', b'"state"', b'"error"', b'"msg"', b'"rows"', b'"order"'),
    *(b"canceled", b"CANCELLED", b"FILLED", b"NEW", b"open", b"closed", b"10002", b"expired"),
    *(b'"has_next": false', b'"triggerTime"', b'"cancelStatus"', b'"ordStatus"', b"PENDING"),
    *(ASKED.encode(), f'"{ASKED}"'.encode(), SECRET.encode(), b"[" * 64, b'{"a":' * 64, b"null"),
)


def commands_of(name: str) -> tuple[Command, ...]:
    """Return the commands that are sent to an exchange."""
    pair = PAIRS.get(name, "BTCUSD")
    timed = (pair,) if name == "whitebit" else ()
    known = exchange_of(name).capabilities.commands
    every: tuple[Command, ...] = (
        CancelOrder(ASKED, pair),
        QueryOrder(ASKED, pair),
        ListOpenOrders(pair),
        SetCountdown(timed, COUNTDOWN_MS),
        SetCountdown(timed, 0),
    )
    return tuple(each for each in every if type(each) in known)


def earned(name: str, command: Command, reply: Reply) -> Answer:
    """Read a reply; fail unless the answer fits, is safe to show, and is proven by the reply."""
    answer = exchange_of(name).classify(command, reply)
    assert isinstance(answer, get_args(Answer))
    detail = getattr(answer, "detail", "")
    assert len(detail) <= DETAIL_MAX
    assert detail.isprintable()
    assert SECRET[:20] not in detail
    if isinstance(answer, Unproven):
        assert not answer.outcome.proven
        assert answer.outcome is not Outcome.REJECTED
        assert answer.retry_after_ms is None or 0 <= answer.retry_after_ms <= 600_000
        return answer
    assert isinstance(command, FITTING[type(answer)])
    if isinstance(answer, OrderReport) and answer.state is OrderState.MISSING:
        return answer
    body = read_json(reply.body)
    assert 200 <= reply.status <= 299
    match answer:
        case Closed() | OrderReport(state=OrderState.CANCELED | OrderState.FILLED):
            ends = closes(name, body, ASKED, asked=isinstance(command, QueryOrder))
            assert any(answer in ENDS[end] for end in ends)
        case OpenOrders(orders=orders, complete=complete):
            listed = {order.order_id for order in orders}
            text = json.dumps(body, ensure_ascii=False)
            assert all(each in text for each in listed)
            assert not complete or empty(name, body, listed)
        case CountdownSet():
            assert isinstance(command, SetCountdown)
            assert has_timer(name, body)
            if command.countdown_ms:
                late_ms = left_ms(name, body, NOW_MS) - command.countdown_ms
                assert abs(late_ms) <= (1_000 if SHAPES[name].now else SLACK_MS)
            else:
                assert is_off(name, body, NOW_MS)
        case OrderReport() | CancelAccepted():
            pass
        case _:
            raise AssertionError(answer)
    return answer


def read(data: bytes) -> tuple[str, Command, Reply]:
    """Make an exchange, a command and a reply of any bytes."""
    head, body = data[:HEAD].ljust(HEAD, b"\0"), data[HEAD:]
    name = NAMES[head[0] % len(NAMES)]
    commands = commands_of(name)
    reply = Reply(STATUSES[head[2] % len(STATUSES)], {}, body, NOW_MS)
    return name, commands[head[1] % len(commands)], reply


def corpus() -> Iterator[bytes]:
    """Yield the documented replies of each exchange, each as the reply to each command."""
    for number, name in enumerate(NAMES):
        bodies: list[Any] = [{}, [], {"id": ASKED, "status": "canceled", "symbol": "BTCUSD"}]
        if name in PAIRS:
            row = bitfinex_row("ACTIVE") if name == "bitfinex" else ROWS[name]
            bodies += [CANCELS[name], list_of(name, [row]), list_of(name, [])]
            bodies += [order_of(name, word) for word in WORDS[name]]
            bodies += [each[name] for each in (TIMER_REPLIES, OFF_REPLIES) if name in each]
        else:
            row = {"id": ASKED, "orderId": ASKED, "symbol": "BTCUSD", "side": "buy"}
            for word in ("CANCELED", "filled", "NEW"):
                bodies += [{**row, "status": word, "state": word}, [{**row, "status": word}]]
        bodies += [{"code": 10002, "msg": "none"}, {"code": -1, "message": SECRET}]
        for command in range(len(commands_of(name))):
            for body in bodies:
                yield bytes([number, command, 0]) + json.dumps(body).encode()


def check(data: bytes) -> None:
    """Read one reply."""
    earned(*read(data))


@contextmanager
def opened() -> Iterator[Target]:
    """Return the target."""
    assert set(SHAPES) == set(PAIRS)
    yield Target(check, tuple(corpus()), WORD, HEAD)
