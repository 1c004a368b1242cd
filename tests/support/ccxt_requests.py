"""What every id of ccxt signs, byte for byte: clock, nonce and random numbers are pinned."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any, Final

from worker.errors import InvalidCommand
from worker.exchanges.base import Access, Stamp
from worker.exchanges.ccxt.adapter import CcxtExchange, exchange_of, offered
from worker.exchanges.timer import Reach
from worker.model.commands import CancelOrder, Command, ListOpenOrders, QueryOrder, SetCountdown
from worker.model.wire import Request

GOLDEN: Final = Path(__file__).parents[1] / "data" / "ccxt" / "requests.jsonl"
NOW_MS: Final = 1_700_000_000_000
NONCE: Final = 1_700_000_000_007
ORDER_ID: Final = "123456789"
PAIR: Final = "BTCUSDT"
COUNTDOWN_MS: Final = 60_000
UUID: Final = "0b3f3e6e-7f1c-4f0e-9a51-0e5a3c1d2b4f"
PEM: Final = """-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIEJxPVcvdRjMZHnZbqBdqRtpfOJrqOVS7jKSYxjIx0Yk
-----END PRIVATE KEY-----
"""
SECRETS: Final = ("5a" * 32, "QnE9Vy91GMxkedluoF2pG2l84muo5VLuMpJjGMjHRiQ=", PEM)
"""A secret of each form: hex, base64, PEM."""


def accesses(base_url: str) -> Iterator[Access]:
    """Yield credentials with a secret and a private key of each form."""
    for secret, prefix in product(SECRETS, ("0x", "")):
        yield Access(
            base_url,
            "account-key",
            secret,
            memo="passphrase",
            uid="1",
            wallet="0x" + "5a" * 20,
            private_key=prefix + secret,
        )


def commands_of(exchange: CcxtExchange) -> Iterator[tuple[str, Command]]:
    """Yield each command that an exchange takes, with its name."""
    commands: dict[str, Command] = {
        "cancel": CancelOrder(ORDER_ID, pair=PAIR),
        "query": QueryOrder(ORDER_ID, pair=PAIR),
        "list": ListOpenOrders(pair=PAIR),
    }
    if timer := exchange.capabilities.timer:
        pairs = () if timer.reach is Reach.ACCOUNT else (PAIR,)
        commands["timer"] = SetCountdown(pairs, COUNTDOWN_MS)
        commands["timer off"] = SetCountdown(pairs, 0)
    for name, command in commands.items():
        if type(command) in exchange.capabilities.commands:
            yield name, command


def signed(exchange: CcxtExchange, command: Command, base_url: str = "") -> Request:
    """Return a command as one of the sample credentials signs it.

    Raises:
        InvalidCommand: None of them does.
    """
    nonce = NONCE if exchange.calls.entry.nonce else None
    failed = InvalidCommand("no credentials")
    for access in accesses(base_url or exchange.hosts.production):
        _pin(exchange.calls.prepare(access).instance)
        try:
            return exchange.sign(command, access, Stamp(NOW_MS, nonce=nonce))
        except InvalidCommand as error:
            failed = error
    raise failed


def lines(exchange_ids: Sequence[str] = ()) -> Iterator[str]:
    """Yield every request as a line of JSON, of all ids if none is named."""
    for exchange_id in exchange_ids or offered():
        exchange = exchange_of(exchange_id)
        for name, command in commands_of(exchange):
            request = signed(exchange, command)
            row = [
                exchange_id,
                name,
                request.method,
                request.url,
                dict(sorted(request.headers.items())),
                request.body.decode(),
            ]
            yield json.dumps(row, separators=(",", ":"))


def _pin(instance: Any) -> None:
    """Replace ccxt's random numbers."""
    instance.uuid = lambda: UUID
    instance.uuid16 = instance.uuid22 = lambda length=16: UUID.replace("-", "")[:length]
    instance.random_bytes = lambda length: UUID.replace("-", "")[: 2 * length]
    instance.rand_number = lambda size: int("5" * size)
