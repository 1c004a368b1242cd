"""How a scope ends, and what follows from the lists of its open orders."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest

from worker.config.settings import Jobs
from worker.model.decisions import Again, Dead, Decision, Done
from worker.model.jobs import Job, Kind, Phase, State
from worker.model.outcomes import OpenOrder, OpenOrders, Outcome
from worker.policy.retries import decide
from worker.policy.scopes import (
    CHILDREN_WAIT_MS,
    FIRST_LOOK,
    HOLD_LOOK_MS,
    LIST_AGAIN_MS,
    LIST_TWICE_MS,
    NAMED_MAX,
    UNSEEN,
    Lists,
    by_list,
    closed_scope,
    scope_sent,
)

NOW_MS = 1_000_000
WAIT_MS = 7
SEEN: dict[str, Any] = {"listed": True}
EMPTY: dict[str, Any] = {"empty": True}
NOT_PROVEN = "no open order left in the scope; 1 cancels not proven yet"
ENDED = Done(
    Outcome.GONE, "nothing open any more in the scope: its orders had cancels of their own"
)
TWICE = "nothing open in the scope, looked at twice"
LEFT = "no open order left in the scope: "
SENT = "; a cancel of all of it was sent, and no reply says what it canceled"


def scope(**fields: Any) -> Job:
    """Return a scope whose open orders are listed."""
    values = {"kind": Kind.CANCEL_ALL, "phase": Phase.LIST, "streak": 1, **fields}
    return Job(id="j", state=State.PENDING, lane="x:y", **values)


def again(delay_ms: int, detail: str, *, listed: bool = False, empty: bool = False) -> Again:
    """Return another look."""
    return Again(Phase.LIST, delay_ms, Outcome.UNKNOWN, detail, listed=listed, empty=empty)


def orders(count: int = 0, *, complete: bool = True) -> OpenOrders:
    """Return a list."""
    return OpenOrders(tuple(OpenOrder(f"a{n}") for n in range(count)), complete)


LATER = {
    "orders are open": ({}, orders(2), again(257, "2 still open", listed=True)),
    "some are, and the list is not whole": (
        {},
        orders(1, complete=False),
        again(257, "1 still open"),
    ),
    "it was listed before": (SEEN, orders(complete=False), again(257, "0 still open", listed=True)),
    "it was empty before": (EMPTY, orders(complete=False), again(257, "0 still open", listed=True)),
    "nothing at the first look": ({}, orders(), again(LIST_TWICE_MS, FIRST_LOOK, empty=True)),
    "nothing after it was canceled whole": (
        {"swept": True},
        orders(),
        again(LIST_TWICE_MS, FIRST_LOOK, empty=True),
    ),
    "a cancel is not proven yet": (
        {**SEEN, "children": 4, "canceled": 1, "closed": 1, "unproven": 1},
        orders(),
        again(WAIT_MS + LIST_AGAIN_MS, NOT_PROVEN, listed=True, empty=True),
    ),
    "nor is it a ms before the wait is over": (
        {**EMPTY, "children": 1, "empty_ms": NOW_MS - CHILDREN_WAIT_MS + 1},
        orders(),
        again(WAIT_MS + LIST_AGAIN_MS, NOT_PROVEN, listed=True, empty=True),
    ),
    "nor after it": (
        {**EMPTY, "children": 1, "empty_ms": NOW_MS - CHILDREN_WAIT_MS},
        orders(),
        Done(Outcome.GONE, f"{LEFT}1 not proven"),
    ),
    "nothing any more": (SEEN, orders(), ENDED),
    "nothing twice": (EMPTY, orders(), Done(Outcome.GONE, TWICE)),
    "all cancels are proven": (
        {**SEEN, "children": 1, "canceled": 1},
        orders(),
        Done(Outcome.CANCELED, f"{LEFT}1 canceled"),
    ),
}


@pytest.mark.parametrize("case", LATER)
def test_what_follows_from_a_list(case: str) -> None:
    """Another look until nothing is open, and until the cancels of its orders are proven."""
    fields, answer, wanted = LATER[case]
    found: Decision = by_list(scope(**fields), answer, WAIT_MS, NOW_MS)
    assert found == wanted


ENDS = {
    "each kind is counted": (
        {"children": 6, "canceled": 3, "closed": 2},
        "",
        Done(Outcome.CANCELED, f"{LEFT}3 canceled, 2 found closed, 1 not proven"),
    ),
    "none is canceled": (
        {"children": 2, "closed": 2},
        "",
        Done(Outcome.GONE, f"{LEFT}2 found closed"),
    ),
    "it was listed": (SEEN, "", ENDED),
    "it was empty": (EMPTY, "", Done(Outcome.GONE, TWICE)),
    "it ends before its stop orders are listed again": (
        {**SEEN, **EMPTY, "phase": Phase.STOPS_LEFT},
        "; too late",
        Done(Outcome.GONE, f"{FIRST_LOOK}; too late"),
    ),
    "it ends early": (EMPTY, "; too late", Done(Outcome.GONE, f"{FIRST_LOOK}; too late")),
    "it was canceled whole": (
        {**EMPTY, "swept": True},
        "",
        Done(Outcome.GONE, f"{TWICE}{SENT}"),
    ),
    "it was canceled whole, and no list has shown its pair": (
        {**EMPTY, "swept": True, "unseen": True},
        "",
        Done(Outcome.GONE, f"{TWICE}{SENT}"),
    ),
    "it was canceled whole, and then its stop orders were listed": (
        {"swept": True, "phase": Phase.STOPS_LEFT},
        "",
        Done(Outcome.GONE, f"nothing open in the scope, nor a stop order, looked at twice{SENT}"),
    ),
    "no list has shown its pair": (
        {**EMPTY, "unseen": True},
        "; too late",
        Done(Outcome.GONE, f"{FIRST_LOOK}; {UNSEEN}; too late"),
    ),
}


@pytest.mark.parametrize("case", ENDS)
def test_how_a_scope_ends(case: str) -> None:
    """With the results for its orders, and what is not known of them."""
    fields, why, wanted = ENDS[case]
    assert closed_scope(scope(**fields), why) == wanted


def step(phase: Phase, delay_ms: int, detail: str, **seen: Any) -> Again:
    """Return another look at one of the lists."""
    return Again(phase, delay_ms, Outcome.UNKNOWN, detail, **seen)


GONE = "no other order left in the scope; stop orders are listed again"
STEPS: dict[str, tuple[dict[str, Any], OpenOrders, Again]] = {
    "stop orders are listed once": (
        {"phase": Phase.STOPS},
        orders(2),
        step(Phase.LIST, 0, "2 stop orders open"),
    ),
    "as long as that takes": (
        {"phase": Phase.STOPS},
        orders(2, complete=False),
        step(Phase.STOPS, 257, "2 stop orders open"),
    ),
    "then the others until there are none": (
        SEEN,
        orders(1),
        step(Phase.LIST, 257, "1 still open", listed=True),
    ),
    "then stop orders again": (
        SEEN,
        orders(),
        step(Phase.STOPS_LEFT, 0, GONE, listed=True, empty=True),
    ),
    "until there are none": (
        {**SEEN, "phase": Phase.STOPS_LEFT},
        orders(1),
        step(Phase.STOPS_LEFT, 257, "1 still open", listed=True),
    ),
    "and from the first list on while the scope is kept empty": (
        {"phase": Phase.STOPS_LEFT, **EMPTY, "hold_until_ms": NOW_MS + 1},
        orders(),
        step(Phase.STOPS, 1, "kept empty for another 1 ms", listed=True, empty=True, held=True),
    ),
}


@pytest.mark.parametrize("case", STEPS)
def test_stop_orders_that_are_listed_apart_are_looked_at_before_and_after(case: str) -> None:
    """Each gets its cancel at once, and none is left when the scope ends."""
    fields, answer, wanted = STEPS[case]
    assert by_list(scope(**fields), answer, WAIT_MS, NOW_MS, Lists(stops=True)) == wanted


def test_a_scope_without_such_a_list_is_kept_empty_by_its_only_one() -> None:
    """The time that is left is shown."""
    held_ms = HOLD_LOOK_MS + 1
    job = scope(**EMPTY, hold_until_ms=NOW_MS + held_ms)
    words = f"kept empty for another {held_ms} ms"
    wanted = step(Phase.LIST, HOLD_LOOK_MS, words, listed=True, empty=True, held=True)
    assert by_list(job, orders(), WAIT_MS, NOW_MS) == wanted


def test_the_wait_for_cancels_begins_when_a_scope_is_no_longer_kept_empty() -> None:
    """Not when it was first found empty."""
    kept = {**EMPTY, "children": 1, "empty_ms": NOW_MS - CHILDREN_WAIT_MS}
    job = scope(**kept, hold_until_ms=NOW_MS - CHILDREN_WAIT_MS + 1)
    wanted = again(WAIT_MS + LIST_AGAIN_MS, NOT_PROVEN, listed=True, empty=True)
    assert by_list(job, orders(), WAIT_MS, NOW_MS) == wanted


@pytest.mark.parametrize(
    ("count", "named"), [(NAMED_MAX, ""), (NAMED_MAX + 1, ", …")], ids=["all", "one more"]
)
def test_a_cancel_of_a_whole_scope_names_the_first_of_what_it_canceled(
    count: int, named: str
) -> None:
    """And shows that there were more."""
    ids = [f"a{n}" for n in range(count)]
    first = ", ".join(ids[:NAMED_MAX])
    assert scope_sent(count, ids) == f"cancel-all accepted: {count} canceled ({first}{named})"


def test_a_scope_ends_once_no_stop_order_is_left() -> None:
    """A last list of them proves it."""
    last = scope(**{**SEEN, "phase": Phase.STOPS_LEFT})
    assert isinstance(by_list(last, orders(), WAIT_MS, NOW_MS, Lists(stops=True)), Done)


def test_kept_stop_orders_do_not_hold_a_scope_up() -> None:
    """They are not counted as open."""
    kept = OpenOrders((OpenOrder("1", stop=True),), complete=True)
    assert isinstance(by_list(scope(**SEEN, stops="keep"), kept, WAIT_MS, NOW_MS), Done)
    taken = step(Phase.LIST, 257, "1 still open", listed=True)
    assert by_list(scope(**SEEN), kept, WAIT_MS, NOW_MS) == taken


def test_other_orders_are_open_beside_kept_stop_orders() -> None:
    """Those alone are counted."""
    both = OpenOrders((OpenOrder("1", stop=True), OpenOrder("2")), complete=True)
    wanted = step(Phase.LIST, 257, "1 still open", listed=True)
    assert by_list(scope(**SEEN, stops="keep"), both, WAIT_MS, NOW_MS) == wanted


def held(hold_until_ms: int, **fields: Any) -> Job:
    """Return a scope that is listed, and kept empty."""
    return scope(**SEEN, hold_until_ms=hold_until_ms, attempts=9_000, first_ms=1, **fields)


def decided(job: Job, answer: OpenOrders) -> Decision:
    """Return what follows, its budgets spent long ago."""
    budgets = Jobs(max_attempts=10, max_age_ms=1_000)
    rng = random.Random(1)
    return decide(job, answer, asks=None, now_ms=NOW_MS, jobs=budgets, rng=rng)


def test_a_scope_is_kept_empty_while_it_is_held() -> None:
    """It is listed again soon, whatever its attempts and its age; then it ends with its counts."""
    empty = decided(held(NOW_MS + 5_000), orders())
    assert isinstance(empty, Again)
    assert (empty.phase, empty.delay_ms, empty.held) == (Phase.LIST, HOLD_LOOK_MS, True)
    assert not empty.doubtful
    found = decided(held(NOW_MS + 5_000), orders(1))
    assert isinstance(found, Again)
    assert (found.delay_ms, found.held) == (LIST_AGAIN_MS, False)
    short = decided(held(NOW_MS + 300), orders())
    assert isinstance(short, Again)
    assert short.delay_ms == 300
    last = decided(held(NOW_MS + 1), orders(1, complete=False))
    assert isinstance(last, Again)
    assert last.delay_ms == LIST_AGAIN_MS
    over = decided(held(NOW_MS - 1, canceled=2, children=2), orders())
    assert over == Done(Outcome.CANCELED, f"{LEFT}2 canceled")
    assert isinstance(decided(held(NOW_MS - 1_000), orders(1)), Dead)
    assert isinstance(decided(held(NOW_MS - 999), orders(1)), Again)


@pytest.mark.parametrize("counts", [{}, {"children": 1, "canceled": 1}])
def test_stop_orders_that_no_list_shows_are_named(counts: dict[str, int]) -> None:
    """The scope is empty as far as the exchange can be asked."""
    words = "its stop orders may be open"
    job = scope(**SEEN, **EMPTY, **counts)
    ends = [by_list(job, orders(), WAIT_MS, NOW_MS, Lists(unasked=each)) for each in (words, "")]
    without, asked = ends
    assert isinstance(without, Done)
    assert isinstance(asked, Done)
    assert without == replace(asked, detail=f"{asked.detail}; {words}")
    assert closed_scope(job, "; why", unasked=words).detail == f"{asked.detail}; {words}; why"


@pytest.mark.parametrize(
    ("misnamed", "seen", "listed"), [(True, False, False), (True, True, True), (False, False, True)]
)
def test_a_list_under_another_name_lists_nothing(
    *, misnamed: bool, seen: bool, listed: bool
) -> None:
    """Its orders have no jobs yet, so that no other switch of the pair can end the scope."""
    job = scope(**(SEEN if seen else {}))
    doubt = Lists(doubt="it is named @107", misnamed=misnamed)
    decision = by_list(job, orders(), WAIT_MS, NOW_MS, doubt)
    assert isinstance(decision, Again)
    assert (decision.listed, decision.empty) == (listed, False)
