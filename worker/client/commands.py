"""Validate cancel commands and turn them into jobs, for workers or the direct path."""

from __future__ import annotations

from collections.abc import Sequence

from worker.errors import InvalidCommand
from worker.exchanges.base import Exchange
from worker.model.jobs import TAKE, Kind, NewJob
from worker.model.names import lane_of
from worker.model.settlements import new_id
from worker.policy.phases import check_cancel, check_cancel_all, check_stops, spelled

HOLD_MAX_MS = 3_600_000
"""Longest time that a scope is kept empty."""


def one_order(order_id: str | None, client_order_id: str | None) -> dict[str, tuple[str, ...]]:
    """Return the one name of an order, as arguments of `cancels`.

    Raises:
        InvalidCommand: Neither id is given, or both are.
    """
    if (order_id is None) == (client_order_id is None):
        raise InvalidCommand("give an order_id or a client_order_id, and only one of them")
    if client_order_id is not None:
        return {"client_order_ids": (client_order_id,)}
    return {"order_ids": (order_id or "",)}


def cancels(
    exchange: Exchange,
    account: str,
    order_ids: Sequence[str] = (),
    *,
    client_order_ids: Sequence[str] = (),
    pair: str | None,
    side: str | None,
) -> list[NewJob]:
    """Return one job for each order, in the given order; those named by client ids come last.

    Raises:
        InvalidCommand: The list is empty, or an argument is missing or wrong.
    """
    for name, ids in (("order_ids", order_ids), ("client_order_ids", client_order_ids)):
        if isinstance(ids, str) or not isinstance(ids, Sequence):
            raise InvalidCommand(f"{name} must be a list of order ids; for one use cancel()")
    pair = spelled(exchange, pair)
    if not order_ids and not client_order_ids:
        raise InvalidCommand("no order ids; to cancel all orders use cancel_all()")
    for order_id in order_ids:
        check_cancel(exchange, order_id=order_id, pair=pair, side=side)
    for client_id in client_order_ids:
        check_cancel(exchange, client_order_id=client_id, pair=pair, side=side)
    named = [(order_id, "") for order_id in order_ids]
    named += [("", client_id) for client_id in client_order_ids]
    return [
        NewJob(
            id=new_id(),
            lane=lane_of(exchange.name, account),
            kind=Kind.CANCEL,
            order_id=order_id,
            pair=pair or "",
            side=side or "",
            client_order_id=client_id,
        )
        for order_id, client_id in named
    ]


def cancel_of_all(
    exchange: Exchange,
    account: str,
    *,
    pair: str | None,
    side: str | None,
    client_id_prefix: str | None = None,
    stops: str = TAKE,
    hold_ms: int = 0,
    urgent: bool = False,
) -> NewJob:
    """Return one job for all open orders of a scope.

    Raises:
        InvalidCommand: The exchange needs a narrower scope, or an argument is wrong.
    """
    if type(hold_ms) is not int or not 0 <= hold_ms <= HOLD_MAX_MS:
        raise InvalidCommand(f"hold_ms must be a whole number from 0 to {HOLD_MAX_MS}")
    pair = spelled(exchange, pair)
    check_cancel_all(exchange, pair=pair, side=side, client_id_prefix=client_id_prefix)
    return NewJob(
        id=new_id(),
        lane=lane_of(exchange.name, account),
        kind=Kind.CANCEL_ALL,
        pair=pair or "",
        side=side or "",
        client_id_prefix=client_id_prefix or "",
        stops=check_stops(exchange, stops),
        hold_ms=hold_ms,
        urgent=urgent,
    )
