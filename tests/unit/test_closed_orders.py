"""Orders that an exchange keeps elsewhere once they are closed, and what a question teaches."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from worker.config.settings import Jobs
from worker.errors import InvalidCommand
from worker.exchanges import EXCHANGES
from worker.model.commands import CancelOrder, QueryOrder
from worker.model.decisions import Again, Dead, Decision, Done
from worker.model.jobs import Job, Kind, Phase, State
from worker.model.outcomes import (
    Answer,
    OpenOrder,
    OpenOrders,
    OrderReport,
    OrderState,
    Outcome,
    Unproven,
)
from worker.model.settlements import Settlement
from worker.policy.phases import command_of, repeated_phase
from worker.policy.retries import decide
from worker.policy.scopes import Lists, by_list
from worker.policy.settling import settlement_of
from worker.store.settlement_rows import settlement_row

JOBS = Jobs()
MISSING = OrderReport(OrderState.MISSING)
NOW_MS = 1_000_000


def job(phase: Phase, **fields: object) -> Job:
    """Return a cancel in its third attempt, whose order has been missing for long."""
    values: dict[str, object] = {
        "kind": Kind.CANCEL,
        "attempts": 3,
        "first_ms": 1,
        "missing": True,
        "missing_ms": 1,
        **fields,
    }
    return Job(id="j", state=State.PENDING, lane="x:y", order_id="a1", phase=phase, **values)  # type: ignore[arg-type]


def decided(phase: Phase, answer: Answer, *, past: bool = True, **fields: object) -> Decision:
    """Return what follows."""
    rng = random.Random(1)
    claimed = job(phase, **fields)
    return decide(claimed, answer, asks=Phase.ASK, now_ms=NOW_MS, jobs=JOBS, rng=rng, past=past)


def test_a_missing_order_is_looked_for_among_the_closed_ones_first() -> None:
    """However long it has been missing: only both answers together say that."""
    decision = decided(Phase.ASK, MISSING)
    assert isinstance(decision, Again)
    assert (decision.phase, decision.missing) == (Phase.PAST, True)


def test_in_its_first_attempts_the_second_question_follows_at_once() -> None:
    """Later it waits its backoff, as every hopeful step."""
    decision = decided(Phase.ASK, MISSING, attempts=2)
    assert isinstance(decision, Again)
    assert decision.delay_ms == 0


@pytest.mark.parametrize(("phase", "past"), [(Phase.PAST, True), (Phase.ASK, False)])
def test_an_order_missing_everywhere_is_given_up(phase: Phase, past: bool) -> None:  # noqa: FBT001
    """After `missing_max_ms`, and as unknown."""
    decision = decided(phase, MISSING, past=past)
    assert isinstance(decision, Dead)
    assert decision.outcome is Outcome.UNKNOWN
    again = decided(phase, MISSING, past=past, missing_ms=NOW_MS)
    assert isinstance(again, Again)
    assert again.phase is Phase.SEND


@pytest.mark.parametrize(
    ("state", "outcome"),
    [(OrderState.CANCELED, Outcome.CANCELED), (OrderState.FILLED, Outcome.GONE)],
)
def test_the_history_proves(state: OrderState, outcome: Outcome) -> None:
    """As the other answer does."""
    assert decided(Phase.PAST, OrderReport(state)) == Done(outcome)


def test_an_answer_that_proves_nothing_is_asked_for_again_where_it_was() -> None:
    """The next question goes to the same place."""
    decision = decided(Phase.PAST, Unproven(Outcome.UNAVAILABLE), missing_ms=NOW_MS)
    assert isinstance(decision, Again)
    assert decision.phase is Phase.PAST


def test_what_a_question_shows_of_a_stop_order_is_kept() -> None:
    """Its next cancel says so; the record gets it once it is known."""
    decision = decided(Phase.ASK, OrderReport(OrderState.OPEN, stop_kind="tpslOrder"))
    assert isinstance(decision, Again)
    assert (decision.phase, decision.stop_kind) == (Phase.SEND, "tpslOrder")
    assert '"stop_kind":"tpslOrder"' in settlement_row(Settlement(job(Phase.ASK), decision))
    again = Job.read({"id": "j", "kind": "cancel", "order_id": "a1", "stop_kind": "tpslOrder"})
    assert command_of(again, Phase.SEND) == CancelOrder("a1", stop_kind="tpslOrder")
    assert "stop_kind" not in settlement_row(Settlement(job(Phase.ASK), Done(Outcome.GONE)))


def test_a_closed_order_is_asked_about_where_the_exchange_has_such_a_place() -> None:
    """Elsewhere there is no such question."""
    asked = command_of(job(Phase.PAST, pair="BTCUSDT"), Phase.PAST)
    assert asked == QueryOrder("a1", "BTCUSDT", past=True)
    for exchange in EXCHANGES.values():
        named = {"bybit": QueryOrder("1", "A", past=True)}.get(exchange.name)
        if exchange.capabilities.asks_past:
            assert named is not None
            exchange.check(named)
        elif QueryOrder in exchange.capabilities.commands:
            with pytest.raises(InvalidCommand, match="closed orders"):
                exchange.check(QueryOrder("1", "A_B", past=True))


SCOPE = Job("s", Kind.CANCEL_ALL, State.PENDING, pair="BTCUSDT", phase=Phase.LIST)
MANY = tuple(OpenOrder(f"a{n}", "BTCUSDT") for n in range(51))
STOPS = tuple(replace(order, stop=True) for order in MANY)


@pytest.mark.parametrize(
    ("orders", "repeats", "attempts", "phase", "children"),
    [
        (MANY, Phase.SEND, 2, Phase.SEND, 0),
        (MANY[:50], Phase.SEND, 2, Phase.LIST, 50),
        (STOPS, Phase.SEND, 2, Phase.LIST, 51),
        (STOPS + MANY, Phase.SEND, 2, Phase.SEND, 51),
        (MANY, None, 2, Phase.LIST, 51),
        (MANY, Phase.SEND, 50, Phase.LIST, 51),
    ],
)
def test_a_scope_that_one_cancel_does_not_empty_is_canceled_again(
    orders: tuple[OpenOrder, ...],
    repeats: Phase | None,
    attempts: int,
    phase: Phase,
    children: int,
) -> None:
    """While many orders are left; few are canceled by their ids, and so are stop orders."""
    scope, answer = replace(SCOPE, attempts=attempts), OpenOrders(orders, complete=True)
    decision = by_list(scope, answer, 7, NOW_MS, Lists(repeats=repeats))
    assert isinstance(decision, Again)
    assert decision.phase is phase
    settlement = settlement_of(scope, answer, decision, now_ms=NOW_MS, took_ms=1)
    assert len(settlement.children) == children


@pytest.mark.parametrize(
    ("fields", "phase"),
    [
        ({}, Phase.SEND),
        ({"pair": None}, None),
        ({"side": "buy"}, None),
        ({"stops": "keep"}, None),
        ({"client_id_prefix": "my-"}, None),
        ({"kind": Kind.CANCEL}, None),
    ],
)
def test_only_a_cancel_of_the_whole_scope_is_repeated(
    fields: dict[str, object], phase: Phase | None
) -> None:
    """What it would reach beyond the scope is canceled order by order."""
    values: dict[str, object] = {"kind": Kind.CANCEL_ALL, "pair": "BTCUSDT", **fields}
    scope = Job(id="s", state=State.PENDING, **values)  # type: ignore[arg-type]
    assert repeated_phase(scope, EXCHANGES["bybit"]) is phase
    assert repeated_phase(scope, EXCHANGES["binance"]) is None
