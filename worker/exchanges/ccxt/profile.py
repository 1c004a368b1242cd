"""What is documented of one exchange, as data: `profiles/<id>.toml`.

A path is a list of keys and positions into a reply's JSON; `{pair}` is the pair asked about.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final

from worker.exchanges.base import Limit
from worker.exchanges.timer import Reach, Timer
from worker.model.commands import (
    CancelOrder,
    Command,
    ListOpenOrders,
    QueryOrder,
    SetCountdown,
)
from worker.model.outcomes import OrderState

Path = tuple[str | int, ...]
Shape = tuple[tuple[Path, tuple[object, ...]], ...]
"""Paths, and the values of which one is there."""
COMMANDS: Final[Mapping[str, type[Command]]] = {
    "cancel": CancelOrder,
    "query": QueryOrder,
    "list": ListOpenOrders,
    "timer": SetCountdown,
}
_PLACE: Final = re.compile(r"\{(BASE|QUOTE|base|quote)\}")


@dataclass(frozen=True, slots=True)
class Row:
    """How an order is written.

    Attributes:
        order_id: Path of its id within the row; so the others.
        pair: Of its pair.
        side: Of its side; a number whose sign is the side, if `signed_side`.
        status: Of its status.
        default: Status of a row that has none, in the list of open orders alone.
    """

    order_id: Path
    pair: Path
    side: Path
    status: Path
    signed_side: bool = False
    default: str = ""


@dataclass(frozen=True, slots=True)
class OwnTimer:
    """How the exchange's own timer is set.

    Attributes:
        call: ccxt's name of the endpoint.
        endpoint: The same as method and path.
        params: What is sent; `{countdown}` is the countdown in the timer's unit, `{countdown
            text}` the same as text, `{pair}` the pair.
        off: What is sent to stop it.
        success: The shape of a successful reply.
        set_shape: Beside it, that of a timer that was set.
        off_shape: Of one that was stopped.
        fires: Path of the moment at which it fires.
        now: Path of the exchange's clock; empty if the reply has none.
        moment_ms: What these count in, unless they are written as dates.
        rules: Its bounds.
    """

    call: str
    endpoint: str
    params: Mapping[str, object]
    off: Mapping[str, object]
    success: Shape
    set_shape: Shape
    off_shape: Shape
    fires: Path
    now: Path
    moment_ms: int
    rules: Timer

    def sent(self, command: SetCountdown) -> dict[str, object]:
        """Return what is sent for a countdown; 0 stops the timer."""
        count = self.rules.written(command.countdown_ms)
        words = {
            "{countdown}": count,
            "{countdown text}": str(count),
            "{pair}": command.pairs[0] if command.pairs else "",
        }
        given = self.params if command.countdown_ms else self.off
        return {
            name: words.get(value, value) if isinstance(value, str) else value
            for name, value in given.items()
        }


@dataclass(frozen=True, slots=True)
class Profile:
    """One exchange.

    Attributes:
        success: The shape of a successful reply, beside status 2xx.
        order: How an order is written when it is asked about.
        order_at: Where it is.
        canceled: How an order is written in the reply to a cancel.
        canceled_at: Where it is there; None if that reply is no report of an order.
        listed: How an order is written in the list.
        list_at: Where the list is.
        page: Rows of a full page of the list; 0 if it has no pages.
        whole: The shape of a list after which there is no other page.
        total: Path of how many orders there are on all pages; empty if a list does not say.
        empty: The shape of the reply, maybe an error, when there are no open orders.
        needs_pair: The list needs a pair.
        leaves_out: As in `Capabilities`.
        states: By status.
        pair: How ccxt's form of a pair is written: `{BASE}-{QUOTE}`.
        rename: Assets that it names otherwise in its pairs.
        query: ccxt's method that asks about an order.
        accounts: `uid` is the number of the account that holds the orders.
        options: ccxt's.
        params: By command, what is added to ccxt's request.
        limits: The exchange's limits.
        timer: None without one.
        errors: Statuses of 5xx with which it answers, by a list with an error in it.
    """

    success: Shape
    order: Row
    order_at: Path
    canceled: Row
    canceled_at: Path | None
    listed: Row
    list_at: Path
    page: int
    whole: Shape
    total: Path
    empty: Shape
    needs_pair: bool
    leaves_out: str
    states: Mapping[str, OrderState]
    pair: str
    rename: Mapping[str, str]
    query: str
    accounts: bool
    options: Mapping[str, object]
    params: Mapping[type[Command], Mapping[str, object]]
    limits: tuple[Limit, ...]
    timer: OwnTimer | None = None
    errors: tuple[int, ...] = ()

    def params_of(self, command: Command) -> dict[str, object]:
        """Return what is added to ccxt's request of a command."""
        return dict(self.params.get(type(command), {}))

    def spell(self, pair: str) -> str:
        """Return a pair as the exchange writes it, from that or from ccxt's form."""
        base, slash, quote = pair.partition("/")
        quote = quote.partition(":")[0]
        if not slash:
            return pair
        assets = (self.rename.get(each, each) for each in (base.upper(), quote.upper()))
        words = dict(zip(("BASE", "QUOTE"), assets, strict=True))
        words |= {name.lower(): word.lower() for name, word in words.items()}
        return _PLACE.sub(lambda found: words[found[1]], self.pair)


@cache
def profile_of(exchange_id: str) -> Profile | None:
    """Return the profile of an id; None if it has none."""
    file = files(__package__).joinpath("profiles", f"{exchange_id}.toml")
    if not file.is_file():
        return None
    return _profile(tomllib.loads(file.read_text(encoding="utf-8")))


@cache
def profiled() -> tuple[str, ...]:
    """Return the ids that have a profile."""
    found = files(__package__).joinpath("profiles").iterdir()
    return tuple(
        sorted(each.name.removesuffix(".toml") for each in found if each.name.endswith(".toml"))
    )


def _profile(table: dict[str, Any]) -> Profile:
    order = table["order"]
    listed = {**order, **table["list"]}
    cancel = table.get("cancel", {})
    canceled = cancel.get("at")
    return Profile(
        success=_shape(table.get("success", [])),
        order=_row(order),
        order_at=_path(order["at"]),
        canceled=_row({**order, **cancel}),
        canceled_at=None if canceled is None else _path(canceled),
        listed=_row(listed),
        list_at=_path(table["list"]["at"]),
        page=listed.get("page", 0),
        whole=_shape(listed.get("whole", [])),
        total=_path(listed.get("total", [])),
        empty=_shape(listed.get("empty", [])),
        needs_pair=listed.get("needs_pair", False),
        leaves_out=listed.get("leaves_out", ""),
        states={word: OrderState(state) for word, state in table["states"].items()},
        pair=table["pair"],
        rename=table.get("rename", {}),
        query=table.get("query", "fetch_order"),
        accounts=table.get("accounts", False),
        options=table.get("options", {}),
        params={COMMANDS[name]: params for name, params in table.get("params", {}).items()},
        limits=tuple(_limit(name, each) for name, each in table["limits"].items()),
        timer=_timer(table["timer"]) if "timer" in table else None,
        errors=tuple(table.get("errors", [])),
    )


def _shape(rows: list[dict[str, Any]]) -> Shape:
    return tuple((_path(each["at"]), tuple(each["is"])) for each in rows)


def _path(keys: list[str | int]) -> Path:
    return tuple(keys)


def _row(table: dict[str, Any]) -> Row:
    def path(name: str) -> Path:
        found = table.get(name, [])
        return (found,) if isinstance(found, str | int) else tuple(found)

    return Row(
        path("id"),
        path("pair"),
        path("side"),
        path("status"),
        bool(table.get("signed_side", False)),
        table.get("default", ""),
    )


def _limit(name: str, table: dict[str, Any]) -> Limit:
    return Limit(
        name,
        tuple(COMMANDS[each] for each in table["commands"]),
        table.get("per", "account"),
        table["max_requests"],
        table["window_ms"],
        paced=table.get("paced", False),
    )


def _timer(table: dict[str, Any]) -> OwnTimer:
    reach = Reach(table["reach"])
    return OwnTimer(
        call=table["call"],
        endpoint=table["endpoint"],
        params=table["params"],
        off=table["off"],
        success=_shape(table.get("success", [])),
        set_shape=_shape(table.get("was_set", [])),
        off_shape=_shape(table.get("was_stopped", [])),
        fires=_path(table["fires"]),
        now=_path(table.get("now", [])),
        moment_ms=table["moment_ms"],
        rules=Timer(
            reach=reach,
            pairs_max=1,
            unit_ms=table["unit_ms"],
            shortest_ms=table["shortest_ms"],
            longest_ms=table["longest_ms"],
            one_shot=table.get("one_shot", True),
            leaves_stops=table.get("leaves_stops", True),
            windowed=False,
            echoes=bool(table.get("now")),
        ),
    )
