"""Switches that run out: the first script that sees it cancels the scope, once."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha1

import pytest

from tests.support.ledgers import Verb, settlement
from tests.support.switchboard import TIMEOUT_MS, Board
from worker.model.jobs import Kind, NewJob, State
from worker.model.settlements import new_id
from worker.model.switches import Armed
from worker.store.switches import TELL_AGAIN_MS

SCOPE = {"pairs": ["a_x", "b_x"], "order_ids": ["1", "2"]}


@pytest.fixture
def board(redis_url: str) -> Board:
    """An empty Redis on a stepped clock."""
    return Board(redis_url)


def beat(board: Board, armed: Armed, _: str) -> None:
    assert board.beat(armed).state == "tripped"


def disarm(board: Board, armed: Armed, _: str) -> None:
    assert board.disarm(armed) == "tripped"


def track(board: Board, armed: Armed, _: str) -> None:
    assert board.track(armed, "3") == ("tripped", "")


def untrack(board: Board, armed: Armed, _: str) -> None:
    assert board.track(armed, "1", add=False) == ("tripped", "")


def arm(board: Board, armed: Armed, alias: str) -> None:
    again = board.arm(alias, **SCOPE)
    assert again.switch_id != armed.switch_id
    assert not again.overlaps


def arm_a_part(board: Board, armed: Armed, alias: str) -> None:
    again = board.arm(alias, pairs=["b_x"])
    assert again.switch_id != armed.switch_id
    assert not again.overlaps


def claim(board: Board, _: Armed, alias: str) -> None:
    board.claim(alias, "w9")


ROUTES: dict[str, Callable[[Board, Armed, str], None]] = {
    each.__name__: each for each in (beat, disarm, track, untrack, arm, arm_a_part, claim)
}


@pytest.mark.parametrize("alias", ["ev", "ix", "it"])
@pytest.mark.parametrize("route", ROUTES)
def test_the_first_script_that_sees_it_cancels_the_scope_once(
    board: Board, route: str, alias: str
) -> None:
    """Each order and each pair is one urgent job of that switch, whatever is called after."""
    armed = board.arm(alias, **SCOPE)
    board.clock.advance(TIMEOUT_MS)
    ROUTES[route](board, armed, alias)
    jobs = board.jobs(alias)
    assert sorted((job.kind, job.order_id, job.pair) for job in jobs) == [
        (Kind.CANCEL, "1", None),
        (Kind.CANCEL, "2", None),
        (Kind.CANCEL_ALL, None, "a_x"),
        (Kind.CANCEL_ALL, None, "b_x"),
    ]
    assert {job.parent for job in jobs} == {armed.switch_id}
    assert all(job.urgent and (job.due_ms or 0) <= board.now_ms for job in jobs)
    assert {job.id for job in jobs} == {
        f"{armed.switch_id}.1.{sha1(named.encode(), usedforsecurity=False).hexdigest()[:16]}"
        for named in ("cancel|||1", "cancel|||2", "cancel_all|a_x||", "cancel_all|b_x||")
    }
    record = board.switches.get(armed.switch_id)
    assert record is not None
    assert (record.state, record.tripped_ms) == ("tripped", board.now_ms)
    assert board.due_ms(armed, alias) is None
    for later in (beat, disarm, track, untrack, claim):
        later(board, armed, alias)
    assert board.jobs(alias) == jobs
    assert board.switches.next_tripped() == armed.switch_id
    assert board.switches.next_tripped() is None


def test_not_an_ms_too_early(board: Board) -> None:
    """One ms before its deadline a switch is armed; at the deadline, not."""
    armed = board.arm("ev", **SCOPE)
    board.clock.advance(TIMEOUT_MS - 1)
    assert not board.claim("ev").tended
    assert board.state(armed) == "armed"
    assert board.due_ms(armed, "ev") == board.now_ms + 1
    board.clock.advance(1)
    board.claim("ev")
    assert board.state(armed) == "tripped"


def test_a_timer_that_has_fired_has_tripped_the_switch(board: Board) -> None:
    """Where the exchange's timer lags, the switch ends with it: the orders are off by then."""
    armed = board.arm()
    board.in_line(armed, fires_ms=armed.deadline_ms - 1_000)
    board.clock.advance(TIMEOUT_MS - 1_001)
    assert board.beat(armed).state == "armed"
    board.clock.advance(1)
    assert board.beat(armed).state == "tripped"
    assert [job.kind for job in board.jobs()] == [Kind.CANCEL_ALL]


def test_the_jobs_are_found_at_once(board: Board) -> None:
    """What has tripped is claimed next, by any worker of the exchange."""
    board.arm("ev", **SCOPE)
    board.clock.advance(TIMEOUT_MS)
    board.claim("ev", "w1")
    claimed = board.ledger.claim(exchange="everstrike", holder="w2", lease_ms=10_000, limit=10)
    assert len(claimed.jobs) == 4
    assert all(job.urgent for job in claimed.jobs)


def test_an_order_that_is_being_canceled_is_one_job(board: Board) -> None:
    """A cancel that is pending already is the switch's too."""
    job_id = new_id()
    board.ledger.accept([NewJob(job_id, "everstrike:ev", Kind.CANCEL, order_id="1")])
    board.arm("ev", order_ids=["1", "2"])
    board.clock.advance(TIMEOUT_MS)
    board.claim("ev")
    jobs = {job.order_id: job for job in board.jobs("ev")}
    assert len(board.jobs("ev")) == 2
    assert jobs["1"].id == job_id
    assert jobs["1"].urgent
    assert jobs["2"].urgent


def test_what_is_proven_not_open_is_tracked_no_more(board: Board) -> None:
    """An order canceled or filled by then is not canceled again at the deadline."""
    armed = board.arm("ev", order_ids=["1", "2", "3"])
    board.ledger.accept([NewJob(new_id(), "everstrike:ev", Kind.CANCEL, order_id="2")])
    (job,) = board.ledger.claim(exchange="everstrike", holder="w", lease_ms=9_000).jobs
    done = settlement(job, Verb.DONE)
    board.ledger.settle([done], holder="w", retention_ms=9_000, lease_ms=9_000, limit=0)
    record = board.switches.get(armed.switch_id)
    assert record is not None
    assert record.order_ids == ("1", "3")
    # The scope is the same still: a restarted strategy takes it over.
    assert board.arm("ev", order_ids=["1", "2", "3"]).switch_id == armed.switch_id
    other = board.arm("ev", order_ids=["4"])
    assert board.track(other, "2") == ("overlap", armed.switch_id)


def test_a_trip_is_reported_though_the_reporter_died(board: Board) -> None:
    """A tripped switch is reported once; if it was not, again after a while."""
    armed = board.arm("ev")
    board.clock.advance(TIMEOUT_MS)
    board.claim("ev")
    assert board.switches.next_tripped() == armed.switch_id
    assert board.switches.next_tripped() is None
    board.clock.advance(TELL_AGAIN_MS)
    assert board.switches.next_tripped() == armed.switch_id
    board.switches.told(armed.switch_id)
    board.clock.advance(TELL_AGAIN_MS)
    assert board.switches.next_tripped() is None


def test_no_crowd_of_renewals_hides_a_deadline(board: Board) -> None:
    """With more out of line than one look takes in, what has run out is tripped all the same."""
    crowd = [board.arm(pairs=[f"p{n}_x"], timeout_ms=10 * TIMEOUT_MS) for n in range(300)]
    board.clock.advance(1)
    silent = board.arm(pairs=["silent_x"])
    board.clock.advance(TIMEOUT_MS)
    assert board.claim().tended
    assert board.state(silent) == "tripped"
    assert {board.state(armed) for armed in crowd} == {"armed"}


def test_what_was_untracked_is_left_alone(board: Board) -> None:
    """Only what is tracked when the switch runs out is canceled."""
    armed = board.arm("ev", order_ids=["1", "2"])
    board.track(armed, "3", "4")
    board.track(armed, "1", "3", add=False)
    board.clock.advance(TIMEOUT_MS)
    board.beat(armed)
    assert [job.order_id for job in board.jobs("ev")] == ["2", "4"]


def test_the_same_scope_trips_again(board: Board) -> None:
    """Armed again after it tripped, a scope is canceled again, as new jobs."""
    for n in (1, 2, 3):
        armed = board.arm("ev", pairs=["a_x"])
        board.clock.advance(TIMEOUT_MS)
        board.claim("ev")
        claimed = board.ledger.claim(exchange="everstrike", holder="w", lease_ms=9_000, limit=9)
        assert [job.parent for job in claimed.jobs] == [armed.switch_id]
        for job in claimed.jobs:
            board.client.hset(f"cx:job:{job.id}", "state", State.DONE)
        assert len(board.switches.recent(limit=9)) == n


def test_a_disarmed_switch_never_trips(board: Board) -> None:
    """Its deadline passes, its timer may yet fire; no cancel is made."""
    native, emulated = board.arm("ix"), board.arm("ev", **SCOPE)
    board.in_line(native)
    assert board.disarm(native) == board.disarm(emulated) == "armed"
    board.clock.advance(10 * TIMEOUT_MS)
    board.claim("ix")
    board.claim("ev")
    assert [board.state(native), board.state(emulated)] == ["disarmed", "disarmed"]
    assert not board.jobs("ix")
    assert not board.jobs("ev")
