"""Algo orders of OKX: stops, take-profits, triggers, trailing stops, icebergs, TWAP, chase.

No endpoint for plain orders reaches them, and the timer is not documented to. They are listed
kind by kind: "ordType" must be given, and only `conditional` and `oco` may be given together.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from worker.exchanges.checks import NUMBER_ID
from worker.exchanges.replies import at, same_id, text_at, word_at
from worker.exchanges.rows import Rows
from worker.model.commands import CancelOrder, ListStopOrders, QueryOrder
from worker.model.outcomes import (
    Answer,
    CancelAccepted,
    OpenOrders,
    OrderReport,
    OrderState,
)

PAGE_ROWS: Final = 100
CANCEL: Final = "/api/v5/trade/cancel-algos"
""""A maximum of 10 orders can be canceled per request": one is, so that each has its answer."""
ORDER: Final = "/api/v5/trade/order-algo"
PENDING: Final = "/api/v5/trade/orders-algo-pending"
LATER: Final = ("chase", "smart_iceberg")
"""Kinds that were added later: not every site of the exchange need have them."""
KINDS: Final = ("conditional,oco", "trigger", "move_order_stop", "iceberg", "twap", *LATER)
"""What lists are asked for, in turn."""
NO_SUCH_KIND: Final = re.compile(r"51000: .*\bordType\b.*")
""""Parameter ordType error"."""
BETWEEN: Final = " "
"""Between a kind and the id after which its next page begins, in `ListStopOrders.after`."""
STATES: Final[Mapping[str, OrderState]] = {
    "live": OrderState.OPEN,
    "pause": OrderState.OPEN,
    "partially_effective": OrderState.OPEN,
    "canceled": OrderState.CANCELED,
    # It was triggered, and no order came of it: not open, and by no cancel.
    "order_failed": OrderState.FILLED,
}
"""One that is `effective` has become an order of the book: of that nothing is proven."""
ROWS: Final = Rows(
    order_id="algoId",
    pair="instId",
    status="state",
    client_id="algoClOrdId",
    stop="ordType",
    plain=frozenset(),
    ids=NUMBER_ID,
    states=STATES,
    page=PAGE_ROWS,
    pages="last id",
)


def listing(command: ListStopOrders) -> dict[str, str]:
    """Return the query of a page of one kind."""
    kind, _, after = command.after.partition(BETWEEN)
    asked = {"ordType": kind or KINDS[0], "instId": command.pair, "after": after}
    return {name: value for name, value in asked.items() if value}


def read_list(command: ListStopOrders, rows: list[object]) -> OpenOrders:
    """Take the open algo orders of the scope; after a kind's last page comes the next kind."""
    found = ROWS.read(command, rows)
    kind = _kind(command)
    if found.next:
        return replace(found, next=f"{kind}{BETWEEN}{found.next}")
    return replace(found, next=_following(kind))


def read_refusal(command: ListStopOrders, error: str) -> OpenOrders | None:
    """Read why a list was refused: a site without the kind has no order of it.

    Args:
        command: What was asked.
        error: Code and words, as `51000: Parameter ordType error`.

    Returns:
        None for any other refusal, and for a kind that every site has.
    """
    kind = _kind(command)
    if kind not in LATER or not NO_SUCH_KIND.fullmatch(error):
        return None
    return OpenOrders((), complete=True, next=_following(kind))


def _kind(command: ListStopOrders) -> str:
    return command.after.partition(BETWEEN)[0] or KINDS[0]


def _following(kind: str) -> str:
    """Return the kind that is listed next; empty after the last."""
    following = KINDS[KINDS.index(kind) + 1 :] if kind in KINDS else ()
    return following[0] if following else ""


def read_order(command: CancelOrder | QueryOrder, row: object) -> Answer | None:
    """Read what a reply states of one algo order; its cancel is only accepted."""
    if not same_id(at(row, "algoId"), command.order_id):
        return None
    if isinstance(command, CancelOrder):
        return CancelAccepted() if text_at(row, "sCode") == "0" else None
    state = STATES.get(word_at(row, "state"))
    same = command.pair and text_at(row, "instId").casefold() == command.pair.casefold()
    return OrderReport(state) if state and same else None
