"""Read the replies of an exchange that has a profile: by what is documented, not by ccxt."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final

from worker.exchanges.ccxt.profile import OwnTimer, Path, Profile, Row, Shape
from worker.exchanges.checks import PAIR, PLAIN_ID, SIDE
from worker.exchanges.replies import id_text, in_scope, respelled
from worker.model.commands import CancelOrder, Command, ListOpenOrders, QueryOrder, SetCountdown
from worker.model.outcomes import (
    Answer,
    CancelAccepted,
    Closed,
    CountdownSet,
    OpenOrder,
    OpenOrders,
    OrderReport,
    OrderState,
    Outcome,
)
from worker.model.wire import Reply

ECHO_SLACK_MS: Final = 1_000
SKEW_MAX_MS: Final = 30_000
"""How far the exchange's clock may be from ours where its reply does not state its own."""
PAIR_KEY: Final = "{pair}"
"""Stands in a path for the pair that was asked about."""
MOMENT_CHARS: Final = 18
NO_MOMENT: Final = (None, "", "null")
"""What stands in the place of the moment at which a stopped timer fires."""
DATE: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z", re.ASCII)


def read_profiled(profile: Profile, command: Command, reply: Reply, body: object) -> Answer | None:
    """Return what a reply proves; None if it is not the documented reply to the command."""
    timer = profile.timer if isinstance(command, SetCountdown) else None
    success = (timer.success if timer else ()) or profile.success
    if not has(body, success):
        return None
    match command:
        case CancelOrder(order_id=order_id):
            return _read_cancel(profile, order_id, body)
        case QueryOrder(order_id=order_id):
            return _read_query(profile, order_id, body, pair=command.pair or "")
        case ListOpenOrders():
            rows = find(body, profile.list_at)
            if not isinstance(rows, list):
                return None
            whole = has(body, profile.whole) and _is_all(profile, body, len(rows))
            return _read_list(profile, command, rows, whole=whole)
        case SetCountdown() if timer:
            return CountdownSet() if _is_set(timer, command, reply, body) else None
        case _:
            return None


def find(value: object, path: Path) -> object:
    """Follow keys and positions into JSON; None when there is no such place."""
    for key in path:
        if isinstance(key, int):
            there = isinstance(value, list) and -len(value) <= key < len(value)
            value = value[key] if there and isinstance(value, list) else None
        else:
            value = value.get(key) if isinstance(value, dict) else None
    return value


def _named_by(body: object, pair: str) -> str:
    """Return the key of a reply that is a pair, in the letter case that it has there."""
    keys = body if isinstance(body, dict) else ()
    return next((key for key in keys if key.casefold() == pair.casefold()), pair)


def has(body: object, shape: Shape) -> bool:
    """Return whether a reply has a shape."""
    return all(_is_one(find(body, at), words) for at, words in shape)


def _is_one(value: object, words: tuple[object, ...]) -> bool:
    return any(type(value) is type(word) and value == word for word in words)


def _word(value: object) -> str:
    return id_text(value).strip().casefold()


def _state(profile: Profile, row: Row, value: object) -> OrderState | None:
    """Return the state of a row by its status; a status may have words after its first."""
    word = _word(find(value, row.status)) or row.default
    return profile.states.get(word) or profile.states.get(word.partition(" ")[0])


def _named(row: Row, value: object, order_id: str) -> bool:
    return order_id != "" and id_text(find(value, row.order_id)) == order_id


def _read_cancel(profile: Profile, order_id: str, body: object) -> Answer | None:
    """A report of the order proves its cancel; that it was accepted does not."""
    if profile.canceled_at is None:
        return CancelAccepted()
    value = find(body, profile.canceled_at)
    if not _named(profile.canceled, value, order_id):
        return CancelAccepted() if profile.success else None
    state = _state(profile, profile.canceled, value)
    if state is OrderState.CANCELED:
        return Closed(Outcome.CANCELED)
    return Closed(Outcome.GONE) if state is OrderState.FILLED else CancelAccepted()


def _read_query(profile: Profile, order_id: str, body: object, *, pair: str) -> Answer | None:
    place = tuple(_named_by(body, pair) if key == PAIR_KEY else key for key in profile.order_at)
    value = find(body, place)
    if place and isinstance(place[-1], int) and find(body, place[:-1]) == []:
        return OrderReport(OrderState.MISSING, "the exchange lists no such order")
    if not _named(profile.order, value, order_id):
        return None
    state = _state(profile, profile.order, value)
    return OrderReport(state) if state else None


def _read_list(
    profile: Profile, scope: ListOpenOrders, rows: list[object], *, whole: bool
) -> OpenOrders:
    """Take the open orders of the scope.

    A row that cannot be read leaves the list incomplete, and so does a full page, or a row
    whose pair may be the one that was asked for in another spelling.
    """
    orders: list[OpenOrder] = []
    complete = whole and (not profile.page or len(rows) < profile.page)
    form = profile.listed
    for row in rows:
        order_id, pair = id_text(find(row, form.order_id)), id_text(find(row, form.pair))
        side, state = _side(form, row), _state(profile, form, row)
        named = PLAIN_ID.pattern.fullmatch(order_id) and PAIR.fullmatch(pair)
        known = SIDE.fullmatch(side) is not None
        if not (named and state and known):
            complete = False
        if not named or state not in (None, OrderState.OPEN):
            continue
        if in_scope(scope, pair, side):
            orders.append(OpenOrder(order_id, pair, side if known else None))
        elif respelled(scope, pair):
            complete = False
    return OpenOrders(tuple(orders), complete)


def _is_all(profile: Profile, body: object, count: int) -> bool:
    """Return whether a list has as many rows as it says that there are, if it is to say so."""
    if not profile.total:
        return True
    told = id_text(find(body, profile.total))
    return told.isascii() and told.isdigit() and told == str(count)


def _side(form: Row, row: object) -> str:
    value = find(row, form.side)
    if form.signed_side and type(value) in (int, float):
        return "buy" if value > 0 else "sell"  # type: ignore[operator]
    word = _word(value)
    return next((side for side in ("buy", "sell") if word.startswith(side)), word)


def _is_set(timer: OwnTimer, command: SetCountdown, reply: Reply, body: object) -> bool:
    """Return whether a reply states the countdown that was asked for.

    Without the exchange's clock in it, ours must do, which may be apart from it. One that is
    stopped fires at no moment, or at one that is not ahead; what stands for it differs.
    """
    if not has(body, timer.set_shape if command.countdown_ms else timer.off_shape):
        return False
    fires_at = find(body, timer.fires)
    fires = _moment_ms(fires_at, timer.moment_ms)
    now = _moment_ms(find(body, timer.now), timer.moment_ms) if timer.now else None
    if timer.now and now is None:
        return False
    slack_ms = SKEW_MAX_MS if now is None else ECHO_SLACK_MS
    since_ms = reply.received_ms if now is None else now
    if not command.countdown_ms:
        place = find(body, timer.fires[:-1])
        stated = isinstance(place, dict) and timer.fires[-1] in place
        if fires is None:
            return stated and fires_at in NO_MOMENT
        return fires <= since_ms + ECHO_SLACK_MS
    if fires is None or fires <= 0:
        return False
    return abs(fires - since_ms - command.countdown_ms) <= slack_ms


def _moment_ms(value: object, unit_ms: int) -> int | None:
    text = id_text(value)
    if DATE.fullmatch(text):
        try:
            return round(datetime.fromisoformat(text).timestamp() * 1_000)
        except ValueError:
            return None
    if not text.isascii() or not text.isdigit() or len(text) > MOMENT_CHARS:
        return None
    return int(text) * unit_ms
