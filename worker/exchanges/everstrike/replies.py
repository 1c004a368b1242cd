"""What Everstrike's replies mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from worker.exchanges.checks import PRINTABLE_ID
from worker.exchanges.replies import (
    at,
    describe,
    id_text,
    is_number,
    read_json,
    refused,
    rows_of,
    same_id,
    unknown,
    word_at,
)
from worker.exchanges.rows import Rows, not_known
from worker.model.commands import CancelOrder, CancelOrders, Command, ListOpenOrders, QueryOrder
from worker.model.outcomes import (
    Answer,
    Closed,
    ClosedMany,
    OpenOrders,
    OrderReport,
    OrderState,
    Outcome,
    Unproven,
)
from worker.model.wire import Reply

PAGE_ROWS: Final = 100
LIMIT_GROWTH: Final = 5
LIMIT_MAX: Final = 2_500
"""The highest limit that is asked for: as many rows as fit in a reply of 1 MB."""
TIMESTAMP_TOO_OLD: Final = 414

# The documented success still says ACTIVE: no proof in itself. Code 200 with
# the order's id is, and only what has been filled was not canceled by it.
CLOSED: Final[Mapping[str, Outcome]] = {
    "active": Outcome.CANCELED,
    "cancelled": Outcome.CANCELED,
    "canceled": Outcome.CANCELED,
    "completed": Outcome.GONE,
}
STATES: Final[Mapping[str, OrderState]] = {
    "active": OrderState.OPEN,
    "cancelled": OrderState.CANCELED,
    "canceled": OrderState.CANCELED,
    "completed": OrderState.FILLED,
}
ROWS: Final = Rows(order_id="id", pair="pair", ids=PRINTABLE_ID, states=STATES)


def read_reply(command: Command, reply: Reply) -> Answer:
    """Read a reply, whatever it holds; what is not documented is `UNKNOWN`.

    `503 "Invalid request"`, the one documented error, is ambiguous: elsewhere
    the same code stands for a rate limit. It is read as any 5xx, as a page
    that says that the exchange could not.
    """
    body = read_json(reply.body)
    match reply.status:
        case 200 if is_number(at(body, "code"), 200):
            answer = _read(command, at(body, "result"))
            return answer or unknown(reply, body, "not the documented reply to what was asked")
        case 404 if isinstance(body, dict):
            return not_known(command, describe(reply, body))
        case 408 if is_number(at(body, "code"), TIMESTAMP_TOO_OLD):
            return Unproven(Outcome.UNAVAILABLE, describe(reply, body), clock_refused=True)
        case _:
            return refused(reply, body)


def _read(command: Command, result: object) -> Answer | None:
    match command:
        case CancelOrder(order_id=order_id) if same_id(at(result, "id"), order_id):
            outcome = CLOSED.get(word_at(result, "status"))
            return Closed(outcome) if outcome else None
        case CancelOrders(order_ids=order_ids) if (rows := rows_of(result)) is not None:
            return _read_bulk(frozenset(order_ids), rows)
        case QueryOrder(order_id=order_id) if same_id(at(result, "id"), order_id):
            state = STATES.get(word_at(result, "status"))
            return OrderReport(state) if state else None
        case ListOpenOrders() if (rows := rows_of(result)) is not None:
            return _read_list(command, rows)
        case _:
            return None


def _read_list(scope: ListOpenOrders, rows: list[object]) -> OpenOrders:
    """Take the open orders of the scope; of a list that its limit has cut, ask for more rows.

    No document says what `start` and `end` count, nor the highest limit. So a list that is
    full is asked for with a higher limit; one that is not longer than the documented 100
    rows may have been cut all the same.
    """
    found, limit = ROWS.read(scope, rows), int(scope.after or PAGE_ROWS)
    if len(rows) >= limit and limit < LIMIT_MAX:
        return replace(found, next=str(limit * LIMIT_GROWTH))
    cut = len(rows) >= limit or (limit > PAGE_ROWS and len(rows) <= PAGE_ROWS)
    return replace(found, complete=found.complete and not cut)


def _read_bulk(asked: frozenset[str], rows: list[object]) -> ClosedMany | None:
    """Take what each row proves; an order with two different stories proves nothing."""
    told: dict[str, set[Outcome]] = {}
    others = set()
    for row in rows:
        order_id, outcome = id_text(at(row, "id")), CLOSED.get(word_at(row, "status"))
        if order_id in asked and outcome:
            told.setdefault(order_id, set()).add(outcome)
        elif outcome:
            others.add(order_id)
    outcomes = {order_id: story.pop() for order_id, story in told.items() if len(story) == 1}
    return ClosedMany(outcomes, len(others)) if outcomes or others else None
