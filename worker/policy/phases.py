"""What a job may send next: pure decisions from the job and the exchange."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from worker.errors import InvalidCommand
from worker.exchanges.base import Exchange
from worker.exchanges.timer import Reach
from worker.model.commands import (
    CancelOrder,
    CancelScope,
    Command,
    ListOpenOrders,
    ListStopOrders,
    QueryOrder,
    SetCountdown,
)
from worker.model.jobs import KEEP, TAKE, Job, Kind, Phase


def able(exchange: Exchange, command: Command) -> bool:
    """Return whether the exchange can carry out this command."""
    try:
        exchange.check(command)
    except InvalidCommand:
        return False
    return True


def command_of(job: Job, phase: Phase) -> Command:
    """Return what `phase` of a job sends."""
    match phase:
        case Phase.STOPS | Phase.STOPS_LEFT:
            return ListStopOrders(job.pair, job.side, job.client_id_prefix)
        case Phase.LIST:
            return ListOpenOrders(job.pair, job.side, job.client_id_prefix)
        case Phase.ASK | Phase.PAST:
            past = phase is Phase.PAST
            return QueryOrder(job.order_id or "", job.pair, job.client_order_id, job.stop, past)
        case _ if job.kind is not Kind.CANCEL_ALL:
            names = (job.order_id or "", job.pair, job.side, job.client_order_id)
            return CancelOrder(*names, stop=job.stop, stop_kind=job.stop_kind)
        case Phase.SEND:
            return CancelScope(pair=job.pair, side=job.side)
        case Phase.BUY | Phase.SELL:
            return CancelScope(pair=job.pair, side=job.side or phase.value)


def next_phase(job: Job, exchange: Exchange) -> Phase:
    """Return what the next attempt of a job sends.

    A job whose worker was lost in mid-attempt may have been done by it, which
    one question shows sooner than another cancel.
    """
    phase = job.phase or _first_phase(job, exchange)
    if job.lost:
        return asking_phase(job, exchange) or phase
    return phase


def _first_phase(job: Job, exchange: Exchange) -> Phase:
    if job.client_id_prefix or (job.stops and not lists_stops(exchange)):
        return first_list(job, exchange)  # a cancel of the whole scope would reach other orders
    if job.kind is not Kind.CANCEL_ALL or able(exchange, command_of(job, Phase.SEND)):
        return Phase.SEND
    if able(exchange, command_of(job, Phase.BUY)):
        return Phase.BUY
    return first_list(job, exchange)


def repeated_phase(job: Job, exchange: Exchange) -> Phase | None:
    """Return the phase that cancels a whole scope again while many orders are left in it.

    None where one cancel reaches all of it, or where its orders are canceled one by one.
    """
    if job.kind is not Kind.CANCEL_ALL or not exchange.capabilities.scope_max:
        return None
    phase = _first_phase(job, exchange)
    return phase if phase.cancels else None


def lists_stops(exchange: Exchange) -> bool:
    """Return whether an exchange lists stop orders apart from others."""
    return ListStopOrders in exchange.capabilities.commands


def shows_stops(exchange: Exchange) -> bool:
    """Return whether an exchange can be asked about stop orders: by one of its lists."""
    return exchange.capabilities.tells_stops or lists_stops(exchange)


def unasked(job: Job, exchange: Exchange) -> str:
    """Say which orders of a scope may be open though no list shows them; empty for none."""
    words = []
    if not shows_stops(exchange):
        words.append(f"its stop orders may be open: {exchange.name} has no documented list of them")
    if exchange.capabilities.leaves_out and job.pair is None:
        words.append(f"{exchange.capabilities.leaves_out} may be open: they are not listed")
    return "; ".join(words)


def takes_apart(job: Job, exchange: Exchange) -> bool:
    """Return whether a scope's stop orders are listed apart, and canceled."""
    return job.stops != KEEP and lists_stops(exchange)


def first_list(job: Job, exchange: Exchange) -> Phase:
    """Return the first phase that lists a scope's orders."""
    return Phase.STOPS if takes_apart(job, exchange) else Phase.LIST


def check_stops(exchange: Exchange, stops: object) -> str:
    """Refuse to keep stop orders where they cannot be told from others.

    Returns:
        As a job's record has it: `keep`, or empty.

    Raises:
        InvalidCommand: The text says what is wrong.
    """
    if stops == TAKE:
        return ""
    if stops != KEEP:
        raise InvalidCommand('stops must be "take" or "keep"')
    if not shows_stops(exchange):
        raise InvalidCommand(
            f"no document of {exchange.name} says how to tell stop orders from others: "
            'leave stops="keep" (--keep-stops) out'
        )
    return KEEP


def asking_phase(job: Job, exchange: Exchange) -> Phase | None:
    """Return the phase that asks about a job's orders, if there is one."""
    phase = Phase.ASK
    if job.kind is Kind.CANCEL_ALL:
        phase = job.sends if job.sends.lists else first_list(job, exchange)
    return phase if able(exchange, command_of(job, phase)) else None


def spelled(exchange: Exchange, pair: str | None) -> str | None:
    """Return a pair as the exchange's documents spell it; what is no pair as it is."""
    return exchange.capabilities.spelling(pair) if isinstance(pair, str) else pair


def check_cancel(
    exchange: Exchange,
    *,
    order_id: str = "",
    pair: str | None,
    side: str | None,
    client_order_id: str | None = None,
) -> None:
    """Refuse a cancel that the exchange could not be sent.

    Raises:
        InvalidCommand: The text says what is missing or wrong.
    """
    exchange.check(CancelOrder(order_id, pair, side, client_order_id))


def check_cancel_all(
    exchange: Exchange,
    *,
    pair: str | None,
    side: str | None,
    client_id_prefix: str | None = None,
) -> None:
    """Refuse a cancel-all whose scope the exchange cannot be asked about.

    Raises:
        InvalidCommand: The text says what is missing or wrong.
    """
    exchange.check(ListOpenOrders(pair, side, client_id_prefix))


def holds_timers(exchange: Exchange) -> bool:
    """Return whether an exchange keeps countdowns itself."""
    return exchange.capabilities.timer is not None


NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
"""A name of a switch."""
REPLACE_MAX = 20_000
"""Orders of a scope that one step swaps at most, so that Redis is not blocked."""


def check_name(name: object, *, replace: bool, orders: int) -> None:
    """Refuse a name that no switch can have, and a swap that one step cannot do.

    Raises:
        InvalidCommand: The text says what is wrong.
    """
    if name is not None and not (isinstance(name, str) and NAME.fullmatch(name)):
        raise InvalidCommand("a switch's name is 1 to 64 letters, digits, _, . and -")
    if replace and name is None:
        raise InvalidCommand("replace=True replaces the switch of a name; give name")
    if replace and orders > REPLACE_MAX:
        raise InvalidCommand(f"replace=True takes at most {REPLACE_MAX} order ids")


def check_switch(
    exchange: Exchange,
    *,
    pairs: tuple[str, ...],
    order_ids: tuple[str, ...],
    timeout_ms: int,
    shortest_ms: int,
    longest_ms: int,
    client_order_ids: tuple[str, ...] = (),
    client_id_prefix: str | None = None,
    everything: bool = False,
) -> None:
    """Refuse a switch that could not be kept, or could not cancel its scope.

    Args:
        exchange: The account's.
        pairs: Covers all open orders of these pairs.
        order_ids: Covers these orders.
        timeout_ms: From each heartbeat to the deadline.
        shortest_ms: The shortest timeout that the settings allow.
        longest_ms: The longest.
        client_order_ids: Covers orders to which the strategy gave these ids.
        client_id_prefix: Covers only orders whose client order id begins with this, of the
            pairs, or of all if there are none.
        everything: Covers the whole account.

    Raises:
        InvalidCommand: The text says what is missing or wrong.
    """
    if isinstance(timeout_ms, bool) or not isinstance(timeout_ms, int):
        raise InvalidCommand("timeout_ms must be a whole number of milliseconds")
    if not shortest_ms <= timeout_ms <= longest_ms:
        raise InvalidCommand(f"timeout_ms must be from {shortest_ms} to {longest_ms}")
    prefixed = client_id_prefix is not None
    orders = bool(order_ids or client_order_ids)
    if everything:
        if pairs or orders or prefixed:
            raise InvalidCommand(
                "a switch of everything covers each pair and order: give no pairs or order ids"
            )
        exchange.check(ListOpenOrders())
        return
    if not (pairs or orders or prefixed):
        raise InvalidCommand(
            "a switch needs a scope: give pairs, order ids, client order ids, or client_id_prefix; "
            "--everything (everything=True in Python) covers the whole account"
        )
    timer = exchange.capabilities.timer
    if timer is not None and timer.reach is Reach.PAIRS and not prefixed:
        if not pairs:
            raise InvalidCommand(
                f"{exchange.name} keeps its countdown by pair; give pairs "
                '(--pair btc_idr, or pairs=["btc_idr"])'
            )
        exchange.check(SetCountdown(pairs, 0))
    listed: tuple[str | None, ...] = pairs or ((None,) if prefixed else ())
    for pair in listed:
        exchange.check(ListOpenOrders(pair=pair, client_id_prefix=client_id_prefix))
    check_tracked(exchange, pairs, order_ids, client_order_ids)


def check_tracked(
    exchange: Exchange,
    pairs: tuple[str, ...],
    order_ids: Sequence[str],
    client_order_ids: Sequence[str],
) -> str:
    """Refuse orders that a switch of these pairs could not cancel.

    Returns:
        The pair to name with their ids: the switch's only pair, if the exchange needs one;
        else empty.

    Raises:
        InvalidCommand: The text says what is missing or wrong.
    """
    only = pairs[0] if len(pairs) == 1 else ""
    needed = ""
    named: list[tuple[str, str | None]] = [(order_id, None) for order_id in order_ids]
    named += [("", client_id) for client_id in client_order_ids]
    for order_id, client_id in named:
        by_pair = CancelOrder(order_id, only, client_order_id=client_id)
        if only and not needed and able(exchange, by_pair):
            needed = "" if able(exchange, replace(by_pair, pair=None)) else only
        exchange.check(replace(by_pair, pair=needed or None))
    return needed
