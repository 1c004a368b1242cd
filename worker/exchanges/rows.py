"""Read what many exchanges write alike: a list of open orders, an order that is not known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from worker.exchanges.base import IdForm
from worker.exchanges.checks import PAIR, SIDE
from worker.exchanges.replies import at, id_text, in_scope, respelled, text_at, word_at
from worker.model.commands import (
    CancelOrder,
    Command,
    ListOpenOrders,
    ListStopOrders,
    QueryOrder,
)
from worker.model.outcomes import (
    Answer,
    OpenOrder,
    OpenOrders,
    OrderReport,
    OrderState,
    Outcome,
    ScopeCanceled,
    Unproven,
)

Lists = ListOpenOrders | ListStopOrders
COUNT_MAX = 1_000_000
"""More orders than any exchange keeps open for an account."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """How an exchange writes its open orders.

    Attributes:
        order_id: Key of the order's id.
        pair: Key of its pair.
        side: Key of its side.
        status: Key of its status.
        client_id: Key of its client order id, an empty text if the order has none; empty where
            lists have no such key.
        stop: Key of its kind of stop order; empty where lists do not say.
        plain: What is there for an order that is no stop order, in lower case.
        ids: What its order ids look like.
        states: By status, in lower case. What a list of open orders holds and is not
            known to be closed is open.
        page: Rows of a full page, after which there may be others; 0 without pages.
        pages: How the page after a full one is asked for: by the id of the last row. Empty
            where it cannot be: a full page then leaves the list incomplete.
    """

    order_id: str
    pair: str
    side: str = "side"
    status: str = "status"
    client_id: str = ""
    stop: str = ""
    plain: frozenset[str] = frozenset({""})
    ids: IdForm
    states: Mapping[str, OrderState]
    page: int = 0
    pages: Literal["", "last id"] = ""

    def read(self, scope: Lists, rows: list[object]) -> OpenOrders:
        """Take the open orders of the scope.

        A row that cannot be read leaves the list incomplete, and so does one whose pair
        may be the one that was asked for in another spelling.
        """
        orders: list[OpenOrder] = []
        next_page = self._next(rows)
        complete = not self.page or len(rows) < self.page or bool(next_page)
        for row in rows:
            order_id, pair = id_text(at(row, self.order_id)), text_at(row, self.pair)
            side, state = word_at(row, self.side), self.states.get(word_at(row, self.status))
            named = self.ids.pattern.fullmatch(order_id) and PAIR.fullmatch(pair)
            if not (named and state and SIDE.fullmatch(side)):
                complete = False
            if not named or state not in (None, OrderState.OPEN):
                continue
            client_id = text_at(row, self.client_id) if self.client_id else ""
            if in_scope(scope, pair, side, client_id):
                known = side if SIDE.fullmatch(side) else None
                orders.append(OpenOrder(order_id, pair, known, stop=self.is_stop(row)))
            elif self._unnamed(scope, row) or respelled(scope, pair):
                complete = False
        seen = tuple(id_text(at(row, self.order_id)) for row in rows)
        return OpenOrders(tuple(orders), complete, next_page, seen)

    def _next(self, rows: list[object]) -> str:
        """Return the page that follows a full one; empty if there is none, or no way to it."""
        if not self.pages or len(rows) < self.page:
            return ""
        last = id_text(at(rows[-1], self.order_id))
        return last if self.ids.pattern.fullmatch(last) else ""

    def _unnamed(self, scope: Lists, row: object) -> bool:
        """Return whether a client order id decides, and a row's cannot be read."""
        return bool(scope.client_id_prefix) and not isinstance(at(row, self.client_id), str)

    def is_stop(self, row: object) -> bool:
        """Return whether a row is a stop order's."""
        return bool(self.stop) and word_at(row, self.stop) not in self.plain


def scope_canceled(count: object) -> ScopeCanceled | None:
    """Read how many orders an exchange says that it has canceled; None if that is no count."""
    if type(count) is not int or not 0 <= count <= COUNT_MAX:
        return None
    return ScopeCanceled(count)


def not_known(command: Command, detail: str) -> Answer:
    """Read "no such open order": filled, canceled, or one that was never there."""
    if isinstance(command, QueryOrder):
        return OrderReport(OrderState.MISSING, detail)
    return Unproven(Outcome.UNKNOWN, detail, missing=isinstance(command, CancelOrder))
