"""The orders of one exchange: the ground truth that tests ask for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Literal

Status = Literal["open", "canceled", "filled"]
ClosedBy = Literal["cancel", "bulk", "scope", "countdown", "fill"]


@dataclass(frozen=True, slots=True)
class Order:
    """One order, in its state when it was asked for.

    Attributes:
        stop: It is a stop order.
        client_id: The id that the trader gave it; empty for none.
        placed_ms: Unix ms by the host's clock.
        closed_ms: Likewise; None while open.
        closed_by: What closed it; None while open.
    """

    order_id: str
    api_key: str
    pair: str
    side: str
    placed_ms: float
    status: Status = "open"
    closed_ms: float | None = None
    closed_by: ClosedBy | None = None
    client_id: str = ""
    stop: bool = False


class Book:
    """All orders ever placed, and which of them are open."""

    def __init__(self, new_id: Callable[[], str]) -> None:
        self._new_id = new_id
        self._orders: dict[str, Order] = {}
        self.pairs: set[str] = set()
        """Those of all orders."""
        self._open: defaultdict[str, dict[str, Order]] = defaultdict(dict)

    def place(
        self,
        api_key: str,
        *,
        pair: str,
        side: str,
        count: int,
        order_ids: Iterable[str] | None,
        at_ms: float,
        client_ids: Iterable[str] = (),
        stop: bool = False,
    ) -> list[str]:
        """Place open orders and return their ids; the first ones get the client's ids.

        Raises:
            ValueError: An id is taken. Nothing was placed.
        """
        ids = [self._new_id() for _ in range(count)] if order_ids is None else list(order_ids)
        if len(set(ids)) != len(ids) or any(order_id in self._orders for order_id in ids):
            raise ValueError("an order with this id was placed before")
        self.pairs.add(pair)
        named = dict(zip(ids, client_ids, strict=False))
        for order_id in ids:
            client_id = named.get(order_id, "")
            order = Order(order_id, api_key, pair, side, at_ms, client_id=client_id, stop=stop)
            self._orders[order_id] = order
            self._open[api_key][order_id] = order
        return ids

    def find(self, order_id: str, api_key: str | None = None) -> Order | None:
        """Return an order; with a key, only if it is that key's own."""
        order = self._orders.get(order_id)
        return order if order and api_key in (None, order.api_key) else None

    def find_by_client(self, client_id: str, api_key: str, pair: str) -> Order | None:
        """Return the order of a pair that was placed last under a client's id."""
        found = [
            order
            for order in self._orders.values()
            if (order.client_id, order.api_key, order.pair) == (client_id, api_key, pair)
        ]
        return found[-1] if found and client_id else None

    def orders(self, api_key: str | None = None) -> list[Order]:
        """Return orders, oldest first."""
        return [order for order in self._orders.values() if api_key in (None, order.api_key)]

    def open_orders(
        self, api_key: str, pair: str | None = None, side: str | None = None
    ) -> list[Order]:
        """Return a key's open orders of a scope, oldest first."""
        return [
            order
            for order in self._open[api_key].values()
            if pair in (None, order.pair) and side in (None, order.side)
        ]

    def close(self, order: Order, status: Status, by: ClosedBy, at_ms: float) -> bool:
        """Close an order if it is still open; return whether it was."""
        if self._open[order.api_key].pop(order.order_id, None) is None:
            return False
        self._orders[order.order_id] = replace(order, status=status, closed_ms=at_ms, closed_by=by)
        return True
