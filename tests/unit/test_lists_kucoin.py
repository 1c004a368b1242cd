"""KuCoin's lists of open orders, stop orders and pairs of orders: what is of a scope."""

from __future__ import annotations

import json

import pytest

from worker.exchanges.kucoin.replies import read_reply
from worker.model.commands import ListOpenOrders, ListStopOrders
from worker.model.outcomes import Answer, OpenOrder, OpenOrders, Unproven
from worker.model.wire import Reply

ID = "5e8c8c2f"
LIST = ListOpenOrders("BTC-USDT")
STOPS, OCOS = ListStopOrders(), ListStopOrders(after="oco-1")


def read(scope: ListOpenOrders | ListStopOrders, data: object) -> Answer:
    """Read a success."""
    body = json.dumps({"code": "200000", "data": data}).encode()
    return read_reply(scope, Reply(200, {}, body, received_ms=0))


def row(**other: object) -> dict[str, object]:
    """Build an open order of the book."""
    named = {"id": ID, "symbol": "BTC-USDT", "side": "buy", "clientOid": "my-1", "active": True}
    return {**named, **other}


def stop(**other: object) -> dict[str, object]:
    """Build a stop order that waits; an OCO pair has its id elsewhere, and no side."""
    return {"id": ID, "symbol": "BTC-USDT", "side": "buy", "status": "NEW", **other}


BUY, ODD = OpenOrder(ID, "BTC-USDT", "buy"), OpenOrder(ID, "BTC-USDT")
OTHER_PAIR, RESPELLED = row(symbol="ETH-USDT"), row(symbol="BTCUSDT")
PREFIXED = ListOpenOrders("BTC-USDT", client_id_prefix="my-")
SIDED = ListOpenOrders("BTC-USDT", "buy")


@pytest.mark.parametrize(
    ("scope", "rows", "orders", "complete"),
    [
        (LIST, [], (), True),
        (LIST, [row()], (BUY,), True),
        (LIST, [row(id=5)], (), False),
        (LIST, [row(symbol="")], (), False),
        (LIST, [row(side="odd")], (ODD,), False),
        (LIST, [row(active=1)], (BUY,), False),
        (LIST, [row(active=False)], (), True),
        (LIST, [row(active=False, side="odd")], (), False),
        (LIST, [row(active=False), row()], (BUY,), True),
        (LIST, [row(id=5), row()], (BUY,), False),
        (LIST, [OTHER_PAIR], (), True),
        (LIST, [OTHER_PAIR, row()], (BUY,), True),
        (LIST, [RESPELLED], (), False),
        (SIDED, [row()], (BUY,), True),
        (SIDED, [row(side="sell")], (), True),
        (PREFIXED, [row()], (BUY,), True),
        (PREFIXED, [row(clientOid="your-1")], (), True),
        (PREFIXED, [row(clientOid=None)], (), False),
        (LIST, [row(clientOid=None)], (BUY,), True),
    ],
)
def test_a_list_holds_the_open_orders_of_the_scope(
    scope: ListOpenOrders,
    rows: list[object],
    orders: tuple[OpenOrder, ...],
    complete: bool,  # noqa: FBT001
) -> None:
    """What cannot be read leaves it incomplete, for one pair as for all."""
    assert read(scope, rows) == OpenOrders(orders, complete)


@pytest.mark.parametrize(
    ("after", "data", "answer"),
    [
        ("", {"symbols": []}, OpenOrders((), complete=True)),
        ("", {"symbols": ["A-B", "C-D"]}, OpenOrders((), complete=True, next="A-B,C-D")),
        ("", {"symbols": ["A-B", 5, ""]}, OpenOrders((), complete=False, next="A-B")),
        ("BTC-USDT", [row()], OpenOrders((BUY,), complete=True)),
        ("BTC-USDT,C-D,E-F", [row()], OpenOrders((BUY,), complete=True, next="C-D,E-F")),
        ("C-D", [row()], OpenOrders((), complete=True)),
    ],
)
def test_all_pairs_are_listed_one_after_the_other(after: str, data: object, answer: object) -> None:
    """The first reply says which have orders."""
    assert read(ListOpenOrders(after=after), data) == answer


@pytest.mark.parametrize(
    ("scope", "data"),
    [
        (LIST, None),
        (LIST, {}),
        (ListOpenOrders(), []),
        (ListOpenOrders(after="BTC-USDT"), {}),
        (STOPS, []),
        (STOPS, {"items": {}}),
    ],
)
def test_what_is_no_list_proves_nothing(
    scope: ListOpenOrders | ListStopOrders, data: object
) -> None:
    """An empty list is one all the same."""
    assert isinstance(read(scope, data), Unproven)


STOPPED = OpenOrder(ID, "BTC-USDT", "buy", stop=True)
PAIRED = OpenOrder(f"oco-{ID}", "BTC-USDT", None, stop=True)
OCO_ROW = {"orderId": ID, "symbol": "BTC-USDT", "status": "NEW", "clientOid": "my-1"}


@pytest.mark.parametrize(
    ("scope", "total", "rows", "orders", "complete", "following"),
    [
        (STOPS, 1, [stop()], (STOPPED,), True, "oco-1"),
        (ListStopOrders(side="buy"), 1, [stop()], (STOPPED,), True, "oco-1"),
        (ListStopOrders(side="sell"), 1, [stop()], (), True, "oco-1"),
        (STOPS, "0", [], (), True, "oco-1"),
        (STOPS, "2", [stop()], (STOPPED,), False, "2"),
        (STOPS, 3, [], (), False, "2"),
        (ListStopOrders(after="2"), 3, [], (), False, "3"),
        (ListStopOrders(after="3"), 3, [], (), False, "oco-1"),
        (STOPS, None, [stop()], (STOPPED,), False, "oco-1"),
        (STOPS, "\N{ARABIC-INDIC DIGIT TWO}", [], (), False, "oco-1"),
        (STOPS, "x", [], (), False, "oco-1"),
        (STOPS, "99999", [], (), False, "2"),
        (STOPS, "100000", [], (), False, "oco-1"),
        (STOPS, 1, [stop(status="DONE")], (), False, "oco-1"),
        (STOPS, 1, [stop(status="CANCELLED")], (), True, "oco-1"),
        (STOPS, 1, [stop(id=None)], (), False, "oco-1"),
        (STOPS, 1, [stop(side="odd")], (), False, "oco-1"),
        (STOPS, 1, [stop(side="odd"), stop()], (STOPPED,), False, "oco-1"),
        (ListStopOrders("ETH-USDT"), 1, [stop()], (), True, "oco-1"),
        (ListStopOrders(None, "sell"), 1, [stop()], (), True, "oco-1"),
        (ListStopOrders(client_id_prefix="my-"), 1, [stop()], (), False, "oco-1"),
        (ListStopOrders(client_id_prefix="my-"), 1, [stop(clientOid="x")], (), True, "oco-1"),
        (
            ListStopOrders(client_id_prefix="my-"),
            1,
            [stop(clientOid="my-1")],
            (STOPPED,),
            True,
            "oco-1",
        ),
        (OCOS, 1, [OCO_ROW], (PAIRED,), True, ""),
        (OCOS, 2, [OCO_ROW], (PAIRED,), False, "oco-2"),
        (ListStopOrders(after="oco-2"), 2, [], (), False, ""),
        (OCOS, 1, [{**OCO_ROW, "status": "DONE"}], (), True, ""),
        (OCOS, 1, [{**OCO_ROW, "orderId": None, "id": ID}], (), False, ""),
        (ListStopOrders(None, "buy", after="oco-1"), 1, [OCO_ROW], (), False, ""),
    ],
)
def test_stop_orders_come_before_pairs_of_orders(  # noqa: PLR0917
    scope: ListStopOrders,
    total: object,
    rows: list[object],
    orders: tuple[OpenOrder, ...],
    complete: bool,  # noqa: FBT001
    following: str,
) -> None:
    """A list of several pages is not complete; one of a side has no pair of orders."""
    assert read(scope, {"items": rows, "totalPage": total}) == OpenOrders(
        orders, complete, following
    )
