"""Refuse commands that no request should be made of.

Commands come from strangers: a queue message may hold anything. What passes
here can only ever be a value in a path, a query or a form, never alter one.
"""

from __future__ import annotations

import re
import reprlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from worker.errors import InvalidCommand
from worker.exchanges.base import Capabilities, IdForm
from worker.exchanges.timer import Reach
from worker.model.commands import (
    CancelOrder,
    CancelOrders,
    CancelScope,
    Command,
    FetchToken,
    ListOpenOrders,
    ListPairs,
    ListStopOrders,
    QueryOrder,
    ReadTimer,
    SetCountdown,
)

Need = Literal["pair", "side"]

PAIR: Final = re.compile(r"[A-Za-z0-9_.@-]{1,64}")
SIDE: Final = re.compile(r"buy|sell")

_ACTIONS: Final[Mapping[type[Command], str]] = {
    CancelOrder: "cancel an order",
    CancelOrders: "cancel several orders in one request",
    CancelScope: "cancel all orders in one request",
    QueryOrder: "ask about an order",
    ListOpenOrders: "list open orders",
    ListStopOrders: "list stop orders",
    ListPairs: "list pairs",
    SetCountdown: "set a countdown",
    ReadTimer: "read its timer",
    FetchToken: "fetch a token",
}


def underscored(pair: str) -> str:
    """Return ccxt's form of a pair with an underscore: `BTC_USDT` of `BTC/USDT`."""
    return pair.upper().replace("/", "_") if "/" in pair else pair


PRINTABLE_ID: Final = IdForm(re.compile(r"[!-~]{1,128}"), "printable ASCII without spaces")
NUMBER_ID: Final = IdForm(re.compile(r"[0-9]{1,20}"), "digits")
PLAIN_ID: Final = IdForm(re.compile(r"[A-Za-z0-9_-]{1,128}"), "letters, digits, _ and -")


PAIRS: Final = IdForm(PAIR, "letters, digits, _ . @ or -", longest=64)


@dataclass(frozen=True, slots=True)
class Checker:
    """What one exchange asks of a command, as data.

    Attributes:
        name: The exchange, for people.
        capabilities: Commands outside these are refused.
        ids: What its order ids look like.
        needs: What a command must carry beyond what its class demands.
        pairs: What its pairs look like.
    """

    name: str
    capabilities: Capabilities
    ids: IdForm
    needs: Mapping[type[Command], tuple[Need, ...]]
    pairs: IdForm = PAIRS

    def check(self, command: Command) -> None:
        """Refuse a command that is not offered, lacks something, or is malformed.

        Raises:
            InvalidCommand: One line that names what is wrong and the fix.
        """
        kind = type(command)
        if kind not in self.capabilities.commands:
            raise InvalidCommand(f"{self.name} has no documented way to {_ACTIONS[kind]}")
        self._check_scope(command)
        if isinstance(command, ListOpenOrders | ListStopOrders):
            self._check_prefix(command.client_id_prefix)
        match command:
            case QueryOrder(past=True) if not self.capabilities.asks_past:
                raise InvalidCommand(f"{self.name} is asked about closed orders like any other")
            case CancelOrder() | QueryOrder():
                self._check_order(command)
            case CancelOrders(order_ids=order_ids):
                self._check_ids(order_ids)
            case SetCountdown(pairs=pairs, countdown_ms=countdown_ms):
                self._check_countdown(pairs, countdown_ms)
            case CancelScope() | ListOpenOrders() | ListStopOrders() | ListPairs():
                pass
            case ReadTimer() | FetchToken():
                pass

    def _check_scope(self, command: Command) -> None:
        needs = self.needs.get(type(command), ())
        checks: Mapping[Need, Callable[[object], None]] = {
            "pair": self._check_pair,
            "side": _check_side,
        }
        for need, example in _EXAMPLES.items():
            value: object = getattr(command, need, None)
            if value is not None:
                checks[need](value)
            elif need in needs:
                raise InvalidCommand(
                    f"{self.name} needs the {need} to {_ACTIONS[type(command)]}: "
                    f'add --{need} {example}, or {need}="{example}" in Python'
                )

    def _check_pair(self, pair: object) -> None:
        if not isinstance(pair, str) or not self.pairs.pattern.fullmatch(pair):
            raise InvalidCommand(
                f"{_shown(pair)} is not a pair: give 1 to {self.pairs.longest} {self.pairs.words}, "
                'as in --pair btc_idr, or pair="btc_idr" in Python'
            )

    def _check_order(self, command: CancelOrder | QueryOrder) -> None:
        """Check the one name of an order: the exchange's id, or the client's."""
        client_id: object = command.client_order_id
        form = self.capabilities.client_ids
        if client_id is None:
            self._check_id(command.order_id)
            return
        if command.order_id:
            raise InvalidCommand("an order has an order id or a client order id: give only one")
        if form is None:
            raise InvalidCommand(
                f"{self.name} has no documented way to {_ACTIONS[type(command)]} by its client "
                "order id: give its order id"
            )
        if not isinstance(client_id, str) or not form.pattern.fullmatch(client_id):
            raise InvalidCommand(
                f"{_shown(client_id)} is not a client order id of {self.name}: give it as the "
                f"order was placed with, 1 to {form.longest} characters of {form.words}"
            )

    def _check_prefix(self, prefix: object) -> None:
        form = self.capabilities.client_ids
        if prefix is None:
            return
        if form is None or not self.capabilities.lists_client_ids:
            raise InvalidCommand(
                f"{self.name} has no documented way to list orders by their client order ids: "
                "leave client_id_prefix out"
            )
        begins = form.begins or form.pattern
        if not isinstance(prefix, str) or not begins.fullmatch(prefix):
            raise InvalidCommand(
                f"{_shown(prefix)} begins no client order id of {self.name}: "
                f"give 1 to {form.longest} characters of {form.words}"
            )

    def _check_id(self, order_id: object) -> None:
        if not isinstance(order_id, str) or not self.ids.pattern.fullmatch(order_id):
            raise InvalidCommand(
                f"{_shown(order_id)} is not an order id of {self.name}: "
                f'give it as the exchange did, as text ("1223181" in Python), '
                f"1 to {self.ids.longest} characters of {self.ids.words}"
            )

    def _check_ids(self, order_ids: object) -> None:
        bulk_max = self.capabilities.bulk_max
        if not isinstance(order_ids, tuple) or not 1 <= len(order_ids) <= bulk_max:
            raise InvalidCommand(
                f"{self.name} takes 1 to {bulk_max} order ids in one request: "
                "name at least one; all orders of a scope are canceled only by "
                "`cancel-worker cancel-all`, or cancel_all() in Python"
            )
        for order_id in order_ids:
            self._check_id(order_id)

    def _check_countdown(self, pairs: object, countdown_ms: object) -> None:
        timer = self.capabilities.timer
        whole = timer is not None and timer.reach is Reach.ACCOUNT
        if whole and pairs:
            raise InvalidCommand(
                f"the countdown of {self.name} is for the whole account and takes no pairs: "
                "arm with --everything, or everything=True in Python"
            )
        listed = timer is not None and timer.reach is Reach.LIST
        if timer and listed and isinstance(pairs, tuple) and len(pairs) > timer.pairs_max:
            raise InvalidCommand(f"{self.name} takes {timer.pairs_max} pairs in a countdown")
        if not (whole or listed) and (not isinstance(pairs, tuple) or not pairs):
            raise InvalidCommand(
                "a countdown needs at least one pair: add --pair btc_idr, "
                'or pairs=["btc_idr"] in Python'
            )
        for pair in pairs if isinstance(pairs, tuple) else ():
            self._check_pair(pair)
        # A float would be rounded, and 0 means "disarm".
        if type(countdown_ms) is not int or countdown_ms < 0:
            raise InvalidCommand(
                "a countdown is a whole number of milliseconds, 0 to disarm: "
                "add --timeout-ms 120000, or timeout_ms=120_000 in Python"
            )
        if timer and countdown_ms and timer.setting_ms(countdown_ms) != countdown_ms:
            raise InvalidCommand(f"{self.name} has no countdown of {countdown_ms} ms")


def _check_side(side: object) -> None:
    if not isinstance(side, str) or not SIDE.fullmatch(side):
        raise InvalidCommand(
            f'{_shown(side)} is not a side: give --side buy or --side sell, or side="buy" in Python'
        )


_EXAMPLES: Final[Mapping[Need, str]] = {"pair": "btc_idr", "side": "buy"}


def _shown(value: object) -> str:
    """Show a stranger's value on one line, cut short."""
    return reprlib.repr(value) if isinstance(value, str) else f"a {type(value).__name__}"
