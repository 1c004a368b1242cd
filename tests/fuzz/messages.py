"""Any JSON as the arguments of a task: read exactly, or refused in one line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.fuzz.target import Target
from worker.errors import InvalidCommand
from worker.exchanges import EXCHANGES
from worker.model.messages import PAIRS_MAX, read_cancel, read_countdown
from worker.policy.phases import check_cancel, check_switch

REASON_MAX = 1_000
CORPUS: tuple[Any, ...] = (
    [["ev", "a1"], {}],
    [[], {"account": "ix", "order_id": "666883", "pair": "btc_idr", "side": "buy", "job": "j"}],
    [["ix", ["btc_idr", "eth_idr"], 120_000], {"sent_ms": 1_783_000_000_000}],
    [[], {"account": "ix", "pairs": "btc_idr,eth_idr", "timeout_ms": 0}],
)
WORDS = (
    *(b"account", b"order_id", b"pair", b"side", b"job", b"pairs", b"timeout_ms", b"sent_ms"),
    *(b"buy", b"sell", b"btc_idr", b",", b"\r\n", b"%00", b"../", b"&", b"\\u0000"),
)


def check(data: bytes) -> None:
    """Read the arguments as each task does, then as each exchange's gate does."""
    try:
        value: Any = json.loads(data)
    except (ValueError, RecursionError):
        return  # Celery's own reading; the target `queue` has it
    args, kwargs = value if isinstance(value, list) and len(value) == 2 else ([], value)
    if not isinstance(args, list) or not isinstance(kwargs, dict):
        return
    try:
        cancel = read_cancel(args, kwargs)
    except InvalidCommand as error:
        _assert_line(error)
    else:
        parts = (cancel.account, cancel.order_id, cancel.pair, cancel.side, cancel.job)
        assert all(part is None or len(part.encode(errors="replace")) for part in parts)
        for exchange in EXCHANGES.values():
            try:
                check_cancel(exchange, order_id=cancel.order_id, pair=cancel.pair, side=cancel.side)
            except InvalidCommand as error:
                _assert_line(error)
            else:
                assert cancel.order_id.isascii()
                assert cancel.order_id.isprintable()
                assert " " not in cancel.order_id
    _check_countdown(args, kwargs)


def _check_countdown(args: list[Any], kwargs: dict[str, Any]) -> None:
    try:
        message = read_countdown(args, kwargs)
    except InvalidCommand as error:
        _assert_line(error)
        return
    assert 1 <= len(message.pairs) <= PAIRS_MAX
    assert all(isinstance(pair, str) for pair in message.pairs)
    assert type(message.timeout_ms) is int
    assert message.timeout_ms >= 0
    for exchange in EXCHANGES.values():
        try:
            check_switch(
                exchange,
                pairs=message.pairs,
                order_ids=(),
                timeout_ms=message.timeout_ms,
                shortest_ms=1_000,
                longest_ms=86_400_000,
            )
        except InvalidCommand as error:
            _assert_line(error)
        else:
            assert 1_000 <= message.timeout_ms <= 86_400_000
            assert all(pair.isascii() and "," not in pair for pair in message.pairs)


def _assert_line(error: InvalidCommand) -> None:
    text = str(error)
    assert text
    assert len(text) < REASON_MAX
    assert text.isprintable(), repr(text)


@contextmanager
def opened() -> Iterator[Target]:
    """Return the target."""
    yield Target(check, [json.dumps(value).encode() for value in CORPUS], WORDS)
