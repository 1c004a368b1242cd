"""Everstrike as its document describes it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.exchange_clients import KEY, Answer, EverstrikeTrader, ask
from worker.simulator import Options, Simulator

INVALID = {"code": 503, "msg": "Invalid request", "result": {}}


@pytest.fixture
def sim() -> Iterator[Simulator]:
    with Simulator(options=Options(everstrike_closed=404)) as running:
        yield running


@pytest.fixture
def trader(sim: Simulator) -> EverstrikeTrader:
    return EverstrikeTrader(sim)


def test_cancel_answers_the_row_in_its_former_state(
    sim: Simulator, trader: EverstrikeTrader
) -> None:
    """The documented success still says ACTIVE; the truth is canceled."""
    (order_id,) = sim.place("everstrike", KEY, pair="BTC_PERP", side="sell")
    reply = trader.cancel(order_id)
    assert reply.status == 200
    assert reply.json["code"] == 200
    row = reply.json["result"]
    assert (row["id"], row["status"], row["pair"], row["side"]) == (
        order_id,
        "ACTIVE",
        "BTC_PERP",
        "SELL",
    )
    order = sim.order("everstrike", order_id)
    assert (order.status, order.closed_by) == ("canceled", "cancel")


def test_ids_are_32_hex_digits(sim: Simulator, trader: EverstrikeTrader) -> None:
    """Ids look like the documented one."""
    (order_id,) = sim.place("everstrike", trader.key)
    assert len(order_id) == 32
    int(order_id, 16)


@pytest.mark.parametrize("closing", ["canceled", "filled", "never placed"])
@pytest.mark.parametrize(
    ("status", "message"),
    [(503, "Invalid request"), (404, "Order not found"), (400, "Order is not active")],
)
def test_a_closed_order_is_refused_in_the_chosen_way(
    sim: Simulator, trader: EverstrikeTrader, closing: str, status: int, message: str
) -> None:
    """No document says how, so the option does, alike for unknown and closed orders."""
    sim.set_option("everstrike_closed", status)
    order_id = "0" * 32
    if closing != "never placed":
        (order_id,) = sim.place("everstrike", KEY)
    if closing == "canceled":
        trader.cancel(order_id)
    elif closing == "filled":
        sim.fill("everstrike", order_id)
    reply = trader.cancel(order_id)
    assert reply.status == status
    assert reply.json == {"code": status, "msg": message, "result": {}}
    assert (sim.journal()[-1].applied, sim.journal()[-1].refusal) == (False, "order")


def _refusals(trader: EverstrikeTrader, order_id: str) -> dict[str, Answer]:
    return {
        "signature": trader.post("/auth/cancel", f"id={order_id}".encode(), "AAAA"),
        "key": EverstrikeTrader.cancel(_stranger(trader), order_id),
        "request": trader.post("/auth/cancel", b"order=1"),
    }


def _stranger(trader: EverstrikeTrader) -> EverstrikeTrader:
    stranger = object.__new__(EverstrikeTrader)
    stranger.url, stranger.key, stranger.secret = trader.url, "nobody", "x"
    return stranger


def test_bad_requests_get_the_one_documented_error(
    sim: Simulator, trader: EverstrikeTrader
) -> None:
    """A wrong signature, an unknown key and a missing id all are 503 Invalid request."""
    (order_id,) = sim.place("everstrike", KEY)
    replies = _refusals(trader, order_id)
    assert {reply.status for reply in replies.values()} == {503}
    assert all(reply.json == INVALID for reply in replies.values())
    assert [arrival.refusal for arrival in sim.journal()] == list(replies)
    assert sim.order("everstrike", order_id).status == "open"


def test_another_traders_order_is_unknown(sim: Simulator, trader: EverstrikeTrader) -> None:
    """A key sees its own orders alone."""
    other = EverstrikeTrader(sim, key="other")
    (order_id,) = sim.place("everstrike", other.key)
    assert trader.cancel(order_id).status == 404
    assert trader.get(f"/order?id={order_id}").status == 404
    assert sim.order("everstrike", order_id).status == "open"


@pytest.mark.parametrize(
    "form", ["ids={0}&ids={1}", "ids[]={0}&ids[]={1}", "ids[0]={0}&ids[1]={1}"]
)
def test_bulk_reads_every_way_to_write_an_array(
    sim: Simulator, trader: EverstrikeTrader, form: str
) -> None:
    """How the array is encoded is not documented, so each usual way is read."""
    ids = sim.place("everstrike", KEY, count=3)
    reply = trader.post("/auth/cancel/bulk", form.format(*ids).encode())
    assert [row["id"] for row in reply.json["result"]] == ids[:2]
    assert [sim.order("everstrike", an_id).closed_by for an_id in ids] == ["bulk", "bulk", None]
    assert sim.journal()[-1].order_ids == tuple(ids[:2])


def test_bulk_leaves_out_what_was_not_open(sim: Simulator, trader: EverstrikeTrader) -> None:
    """The result holds only what this request canceled."""
    filled, still_open = sim.place("everstrike", KEY, count=2)
    sim.fill("everstrike", filled)
    reply = trader.post("/auth/cancel/bulk", f"ids={filled}&ids={still_open}&ids=1".encode())
    assert [row["id"] for row in reply.json["result"]] == [still_open]
    assert sim.order("everstrike", filled).status == "filled"


@pytest.mark.parametrize("body", [b"", b"ids=", b"ids[]=", b"orders=1"])
def test_an_empty_bulk_cancels_everything(
    sim: Simulator, trader: EverstrikeTrader, body: bytes
) -> None:
    """An empty list cancels ALL active orders of the key, for whatever reason it is empty."""
    other = EverstrikeTrader(sim, key="other")
    mine = sim.place("everstrike", KEY, count=3)
    (hers,) = sim.place("everstrike", other.key)
    reply = trader.post("/auth/cancel/bulk", body)
    assert [row["id"] for row in reply.json["result"]] == mine
    assert {order.closed_by for order in sim.orders("everstrike", KEY)} == {"scope"}
    assert sim.order("everstrike", hers).status == "open"
    assert sim.journal()[-1].operation == "scope"


@pytest.mark.parametrize(("count", "status"), [(100, 200), (101, 503)])
def test_bulk_takes_at_most_100(
    sim: Simulator, trader: EverstrikeTrader, count: int, status: int
) -> None:
    """One id more than 100 is the documented error, and nothing is canceled."""
    ids = sim.place("everstrike", KEY, count=count)
    body = "&".join(f"ids={order_id}" for order_id in ids).encode()
    assert trader.post("/auth/cancel/bulk", body).status == status
    still_open = [order for order in sim.orders("everstrike") if order.status == "open"]
    assert len(still_open) == (0 if status == 200 else count)


def test_order_shows_all_three_statuses(sim: Simulator, trader: EverstrikeTrader) -> None:
    """GET /order needs only the key and says ACTIVE, CANCELLED or COMPLETED."""
    ids = sim.place("everstrike", KEY, count=3)
    trader.cancel(ids[1])
    sim.fill("everstrike", ids[2])
    statuses = [trader.get(f"/order?id={an_id}").json["result"]["status"] for an_id in ids]
    assert statuses == ["ACTIVE", "CANCELLED", "COMPLETED"]


def test_an_unknown_order_is_not_found(trader: EverstrikeTrader) -> None:
    """GET /order of an unknown id is a 404 in JSON."""
    reply = trader.get("/order?id=1")
    assert (reply.status, reply.json["code"]) == (404, 404)


def test_lists_filter_by_pair_time_and_number(trader: EverstrikeTrader, sim: Simulator) -> None:
    """GET /orders and /active_orders take pair, start, end and limit (default 100)."""
    first = sim.place("everstrike", KEY, pair="A_PERP", count=2)
    sim.step_clock(1_000)
    later_ms = int(sim.order("everstrike", first[0]).placed_ms) + 500
    second = sim.place("everstrike", KEY, pair="B_PERP", count=100)
    trader.cancel(first[0])

    def ids(target: str) -> list[str]:
        return [row["id"] for row in trader.get(target).json["result"]]

    assert ids("/orders") == (first + second)[:100]
    assert ids("/orders?pair=A_PERP") == first
    assert ids("/active_orders?pair=A_PERP") == first[1:]
    assert ids(f"/orders?end={later_ms}") == first
    assert ids(f"/active_orders?start={later_ms}&limit=2") == second[:2]
    assert ids("/active_orders?limit=500") == first[1:] + second
    assert trader.get("/orders?limit=x").json == INVALID


def test_a_page_that_does_not_exist(sim: Simulator) -> None:
    """Elsewhere there is nothing, and the journal says so."""
    assert ask(sim.url("everstrike"), "GET", "/positions").status == 404
    assert sim.journal()[-1].operation == "unknown"
