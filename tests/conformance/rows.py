"""The rows of the matrix. Each fails by an assertion, or returns why it does not apply."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.conformance.bench import KEY, Bench
from worker.exchanges.base import Exchange
from worker.model.commands import (
    CancelOrder,
    CancelScope,
    ListOpenOrders,
    ListStopOrders,
    QueryOrder,
    SetCountdown,
)
from worker.model.outcomes import (
    Answer,
    CancelAccepted,
    Closed,
    CountdownSet,
    OpenOrders,
    OrderReport,
    OrderState,
    Outcome,
    ScopeCanceled,
    Unproven,
)
from worker.model.wire import Reply

MANY = 150
ASK_AGAIN_MS = 100
TIMEOUT_MS = 60_000
NO_TIMER = "no timer"
NO_NONCE = "no nonce"
Row = Callable[[Bench], str]


@dataclass(frozen=True, slots=True)
class Numbered:
    """A row with its number and its words."""

    number: int
    words: str
    run: Row


def unproven(answer: Answer | None) -> Unproven:
    """Return an answer that proves nothing."""
    assert isinstance(answer, Unproven), answer
    assert not answer.outcome.proven
    return answer


def settled(
    bench: Bench, order_id: str, answer: Answer | None, outcome: Outcome, *, stop: bool = False
) -> None:
    """Hold an answer to a cancel against the truth, and ask later where it proves nothing."""
    if isinstance(answer, Closed):
        assert answer.outcome is outcome
        return
    if not isinstance(answer, CancelAccepted | None):
        unproven(answer)
    state = {Outcome.CANCELED: OrderState.CANCELED, Outcome.GONE: OrderState.FILLED}[outcome]
    bench.sim.step_clock(ASK_AGAIN_MS)
    report = bench.query(order_id, stop=stop)
    assert isinstance(report, OrderReport)
    assert report.state is state


def proven(bench: Bench) -> str:
    """One request proves a cancel, or accepts it and one question proves it."""
    (order,) = bench.place()
    settled(bench, order, bench.cancel(order), Outcome.CANCELED)
    assert bench.status(order) == "canceled"
    return ""


def filled(bench: Bench) -> str:
    """A filled order is not called canceled."""
    (order,) = bench.place()
    bench.sim.fill(bench.name, order)
    settled(bench, order, bench.cancel(order), Outcome.GONE)
    return ""


def canceled_before(bench: Bench) -> str:
    """A second cancel proves nothing that the first did not."""
    (order,) = bench.place()
    bench.cancel(order)
    settled(bench, order, bench.cancel(order), Outcome.CANCELED)
    return ""


def never_placed(bench: Bench) -> str:
    """Neither the cancel nor the question proves anything."""
    unproven(bench.cancel(bench.venue.never))
    report = bench.query(bench.venue.never)
    if isinstance(report, OrderReport):
        assert report.state is OrderState.MISSING
    else:
        unproven(report)
    return ""


def accepted_only(bench: Bench) -> str:
    """A cancel that is only accepted is asked about."""
    accepts = bench.faults("open")
    if not (accepts or bench.venue.accepts_all):
        return "its success is proof"
    (order,) = bench.place()
    for fault in accepts:
        bench.sim.fault_next(fault, exchange=bench.name)
    assert isinstance(bench.cancel(order), CancelAccepted)
    settled(bench, order, None, Outcome.CANCELED)
    return ""


def reply_lost(bench: Bench) -> str:
    """The exchange acted; the question shows it."""
    (order,) = bench.place()
    bench.ask(ListOpenOrders(pair=bench.pair))
    bench.sim.fault_next("accept_then_drop", exchange=bench.name)
    answer = bench.cancel(order)
    assert answer is None
    settled(bench, order, answer, Outcome.CANCELED)
    return ""


def page_with_200(bench: Bench) -> str:
    """No proof, to no command."""
    for body in (b"<html>maintenance</html>", b"", b"null", b"[]", b'{"odd": true}'):
        answer = classified(bench.exchange, body)
        assert unproven(answer).outcome is Outcome.UNKNOWN
    return ""


def page_with_5xx(bench: Bench) -> str:
    """A proxy's page proves nothing, and the order is asked about."""
    for status in (500, 502, 503, 504):
        assert unproven(classified(bench.exchange, b"<html></html>", status)).outcome in (
            Outcome.UNKNOWN,
            Outcome.UNAVAILABLE,
        )
    return ""


def documented_errors(bench: Bench) -> str:
    """Each is read as what it is, and none as a proof."""
    for fault in bench.faults("passes", "lasts"):
        (order,) = bench.place()
        bench.open_orders()
        bench.sim.fault_next(fault, exchange=bench.name)
        answer = unproven(bench.cancel(order))
        assert answer.detail
        if answer.token_refused:
            bench.token = None
        settled(bench, order, bench.cancel(order), Outcome.CANCELED)
    return ""


def unknown_code(bench: Bench) -> str:
    """An error that no document describes is unknown."""
    for body in (
        b'{"code":-98765,"msg":"odd"}',
        b'{"error":["EOdd:Thing"],"result":{"count":1}}',
        b'{"success":0,"error":"odd","error_code":"odd_code"}',
        b'{"code":98765,"msg":"odd","result":null}',
        b'{"code":"98765","msg":"odd","data":[]}',
        b'{"message":"odd"}',
    ):
        answer = unproven(classified(bench.exchange, body, 400))
        assert (answer.outcome, answer.missing) == (Outcome.UNKNOWN, False)
    return ""


def clock_refused(bench: Bench) -> str:
    """A timestamp that is too old is distinguished, and the order is untouched."""
    if "timestamp" in bench.exchange.capabilities.auth_modes:
        bench = Bench(bench.name, auth="timestamp")
    elif not bench.venue.stamped:
        return bench.venue.unstamped
    (order,) = bench.place()
    bench.open_orders()
    bench.sim.set_clock_skew(90_000)
    assert unproven(bench.cancel(order)).clock_refused
    assert bench.status(order) == "open"
    return ""


def nonce_refused(bench: Bench) -> str:
    """The next nonce is taken."""
    if bench.exchange.capabilities.unordered_nonce:
        (order,) = bench.place()
        bench.cancel(order)
        bench.nonce -= 1
        assert unproven(bench.cancel(order)).nonce_floor == 0
        settled(bench, order, bench.cancel(order), Outcome.CANCELED)
        return ""
    if "nonce" not in bench.exchange.capabilities.nonce_auth:
        return NO_NONCE
    bench = Bench(bench.name, auth="nonce")
    (order,) = bench.place()
    bench.sim.set_nonce(KEY, bench.nonce + 50)
    answer = unproven(bench.cancel(order))
    as_rate = bench.venue.nonce_as_rate
    assert answer.outcome is Outcome.THROTTLED if as_rate else answer.nonce_floor is not None
    bench.nonce = max(bench.nonce + 50, answer.nonce_floor or 0)
    settled(bench, order, bench.cancel(order), Outcome.CANCELED)
    return "refused as for the rate" if as_rate else ""


def throttled(bench: Bench) -> str:
    """It is distinguished from every other refusal; nothing was done."""
    (order,) = bench.place()
    bench.open_orders()
    bench.sim.fault_next("throttle", exchange=bench.name)
    assert unproven(bench.cancel(order)).outcome is Outcome.THROTTLED
    assert bench.status(order) == "open"
    return ""


def banned(bench: Bench) -> str:
    """It is distinguished from being throttled, and has its length."""
    if not bench.exchange.capabilities.bans:
        return "no documented ban"
    (order,) = bench.place()
    (ban,) = bench.faults("bans")
    bench.sim.fault_next(ban, exchange=bench.name)
    answer = unproven(bench.cancel(order))
    assert answer.banned
    assert answer.retry_after_ms
    return ""


def pages(bench: Bench) -> str:
    """A list is read to its last page, or says that it is not whole."""
    orders = set(bench.place(MANY))
    found = bench.open_orders()
    assert isinstance(found, OpenOrders)
    listed = {order.order_id for order in found.orders}
    assert listed <= orders
    assert found.complete is (listed == orders)
    return "" if found.complete else "a list that is cut says so"


def one_pair(bench: Bench) -> str:
    """Neither a list nor a cancel-all reaches another pair."""
    mine = bench.place(3)
    (other,) = bench.place(pair=bench.other)
    found = bench.open_orders()
    assert isinstance(found, OpenOrders)
    assert {order.order_id for order in found.orders} == set(mine)
    if bench.has(CancelScope):
        scope = CancelScope(pair=bench.pair, side="buy" if bench.name == "bitmart" else None)
        try:
            bench.exchange.check(scope)
        except Exception:  # noqa: BLE001  then it is not sent
            return ""
        assert isinstance(bench.ask(scope), ScopeCanceled)
        bench.sim.step_clock(ASK_AGAIN_MS)
        assert {bench.status(order) for order in mine} == {"canceled"}
    assert bench.status(other) == "open"
    return ""


def by_client_id(bench: Bench) -> str:
    """The order that the strategy named, and no other."""
    if bench.exchange.capabilities.client_ids is None:
        return "no client order ids"
    ids = bench.venue.client_ids
    mine, other = bench.place(2, client_ids=ids)
    if not bench.venue.names_by_client:
        found = bench.ask(ListOpenOrders(bench.pair, client_id_prefix=ids[0]))
        assert isinstance(found, OpenOrders)
        assert ([row.order_id for row in found.orders], found.complete) == ([mine], True)
        return "they name no single order; a scope of them passes"
    answer = bench.ask(CancelOrder(pair=bench.pair, client_order_id=ids[0]))
    assert isinstance(answer, Closed | CancelAccepted)
    settled(bench, mine, answer, Outcome.CANCELED)
    assert (bench.status(mine), bench.status(other)) == ("canceled", "open")
    return ""


def wrong_secret(bench: Bench) -> str:
    """Refused credentials are distinguished where a document says how."""
    (order,) = bench.place()
    bench.open_orders()
    bench.secret = bench.venue.stranger or bench.venue.secret.swapcase()
    outcome = unproven(bench.cancel(order)).outcome
    assert bench.status(order) == "open"
    return "" if outcome is Outcome.UNAUTHORIZED else f"no document says how: `{outcome}`"


def timer_fires(bench: Bench) -> str:
    """It is armed and renewed, and cancels its orders at the last time that was set."""
    if not bench.has(SetCountdown):
        return NO_TIMER
    (order,) = bench.place()
    assert bench.countdown(TIMEOUT_MS) == CountdownSet()
    bench.sim.step_clock(TIMEOUT_MS - 1_000)
    assert bench.countdown(TIMEOUT_MS) == CountdownSet()
    bench.sim.step_clock(TIMEOUT_MS - 1_000)
    assert bench.status(order) == "open"
    bench.sim.step_clock(1_000)
    assert bench.sim.order(bench.name, order).closed_by == "countdown"
    return ""


def timer_stops(bench: Bench) -> str:
    """After it was stopped no order is canceled."""
    if not bench.has(SetCountdown):
        return NO_TIMER
    (order,) = bench.place()
    bench.countdown(TIMEOUT_MS)
    bench.sim.step_clock(5_000)
    assert bench.countdown(0) == CountdownSet()
    bench.sim.step_clock(2 * TIMEOUT_MS)
    assert bench.status(order) == "open"
    return ""


def timer_bounds(bench: Bench) -> str:
    """It is rounded down, never to what stops it, and never set beyond its longest."""
    timer = bench.exchange.capabilities.timer
    if timer is None:
        return NO_TIMER
    for left_ms in (1, timer.unit_ms, timer.shortest_ms, 59_999, 60_000, 10**9):
        setting_ms = timer.setting_ms(left_ms)
        assert setting_ms <= left_ms
        assert setting_ms % timer.unit_ms == 0
        assert not timer.longest_ms or setting_ms <= timer.longest_ms
        if setting_ms:
            assert timer.written(setting_ms) != timer.off
            assert setting_ms >= timer.shortest_ms
    return ""


def stop_order(bench: Bench) -> str:
    """It is listed as one, and canceled and asked about as one; a plain order stays."""
    apart = bench.has(ListStopOrders)
    if not (apart or bench.exchange.capabilities.tells_stops):
        return "lists do not mark stop orders"
    (plain,), (stop,) = bench.place(), bench.place(stop=True)
    listing = ListStopOrders if apart else ListOpenOrders
    found = bench.ask(listing(pair=bench.pair))
    assert isinstance(found, OpenOrders)
    (listed,) = [order for order in found.orders if order.stop]
    assert listed.order_id == stop
    pair = bench.pair
    assert bench.ask(QueryOrder(stop, pair, stop=True)) == OrderReport(OrderState.OPEN)
    answer = bench.ask(CancelOrder(stop, pair, "buy", stop=True))
    settled(bench, stop, answer, Outcome.CANCELED, stop=True)
    assert (bench.status(stop), bench.status(plain)) == ("canceled", "open")
    return ""


def classified(exchange: Exchange, body: bytes, status: int = 200) -> Answer:
    """Read a reply to a cancel, and see that a question about it is not answered either."""
    bench = Bench(exchange.name)
    cancel = CancelOrder(bench.venue.never, pair=bench.pair, side="buy")
    return exchange.classify(cancel, Reply(status, {}, body, 0))


ROWS = tuple(
    Numbered(number, words, run)
    for number, (words, run) in enumerate(
        (
            ("a cancel is proven", proven),
            ("the order was filled first", filled),
            ("the order was canceled before", canceled_before),
            ("the order was never placed", never_placed),
            ("a cancel is accepted only", accepted_only),
            ("the reply is lost after the act", reply_lost),
            ("a page with status 200", page_with_200),
            ("a proxy's page with 5xx", page_with_5xx),
            ("each documented error", documented_errors),
            ("an unknown code", unknown_code),
            ("the clock is refused", clock_refused),
            ("the nonce is refused", nonce_refused),
            ("refused for the rate", throttled),
            ("banned", banned),
            ("a list of 150 orders", pages),
            ("one pair and no other", one_pair),
            ("a client order id", by_client_id),
            ("the signature is refused", wrong_secret),
            ("the timer is armed, renewed, and fires", timer_fires),
            ("the timer is stopped", timer_stops),
            ("the timer's rounding and bounds", timer_bounds),
            ("a stop order", stop_order),
        ),
        start=1,
    )
)
