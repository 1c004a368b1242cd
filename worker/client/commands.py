"""Validate cancel commands and turn them into jobs, for workers or the direct path."""

from __future__ import annotations

from collections.abc import Sequence

from worker.errors import InvalidCommand
from worker.exchanges.base import Exchange
from worker.model.jobs import Kind, NewJob
from worker.model.names import lane_of
from worker.model.settlements import new_id
from worker.policy.phases import check_cancel, check_cancel_all, spelled


def cancels(
    exchange: Exchange,
    account: str,
    order_ids: Sequence[str],
    *,
    pair: str | None,
    side: str | None,
) -> list[NewJob]:
    """Return one job for each order, in the given order.

    Raises:
        InvalidCommand: The list is empty, or an argument is missing or wrong.
    """
    if isinstance(order_ids, str) or not isinstance(order_ids, Sequence):
        raise InvalidCommand("order_ids must be a list of order ids; for one use cancel()")
    pair = spelled(exchange, pair)
    if not order_ids:
        raise InvalidCommand("no order ids; to cancel all orders use cancel_all()")
    for order_id in order_ids:
        check_cancel(exchange, order_id=order_id, pair=pair, side=side)
    return [
        NewJob(
            id=new_id(),
            lane=lane_of(exchange.name, account),
            kind=Kind.CANCEL,
            order_id=order_id,
            pair=pair or "",
            side=side or "",
        )
        for order_id in order_ids
    ]


def cancel_of_all(
    exchange: Exchange, account: str, *, pair: str | None, side: str | None
) -> NewJob:
    """Return one job for all open orders of a scope.

    Raises:
        InvalidCommand: The exchange needs a narrower scope, or an argument is wrong.
    """
    pair = spelled(exchange, pair)
    check_cancel_all(exchange, pair=pair, side=side)
    return NewJob(
        id=new_id(),
        lane=lane_of(exchange.name, account),
        kind=Kind.CANCEL_ALL,
        pair=pair or "",
        side=side or "",
    )
