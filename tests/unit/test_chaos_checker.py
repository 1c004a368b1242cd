"""The checker of the fault runs, on histories made by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.chaos import windows
from tests.chaos.checks import cancels, check, duplicates, switches, traffic
from tests.chaos.history import Bounds, CancelCall, Fault, History, Life, SwitchCall
from tests.chaos.recovery import measure
from tests.support.world import KEYS
from worker import Outcome
from worker.model.jobs import Job, Kind, State
from worker.simulator import Arrival, Order

BOUNDS = Bounds(http_ms=1_000, lease_ms=3_000, backoff_max_ms=1_000)
LIVES = (Life(0, 10, 0.0, 900_000.0), Life(1, 11, 0.0, 900_000.0))
END_MS = 800_000.0
TIMEOUT_MS = 2_000


def order(order_id: str = "o1", alias: str = "ev", **changes: Any) -> tuple[str, Order]:
    """Return an order that was placed at 1 s and canceled at 5 s."""
    exchange, key, _, _ = KEYS[alias]
    row = Order(order_id, key, "p_idr", "buy", 1_000.0, "canceled", 5_000.0, "cancel")
    return exchange, replace(row, **changes)


def job(job_id: str = "j1", **changes: Any) -> Job:
    """Return a job that was done at 5.1 s."""
    row = Job(
        id=job_id,
        kind=Kind.CANCEL,
        state=State.DONE,
        lane="everstrike:ev",
        order_id="o1",
        outcome=Outcome.CANCELED,
        created_ms=4_000,
        finished_ms=5_100,
        history=({"at_ms": 4_900, "took_ms": 100, "by": "host:10:x:1", "detail": ""},),
    )
    return replace(row, **changes)


def asked(**changes: Any) -> CancelCall:
    """Return a call that got a ticket at 4 s."""
    row = CancelCall("cancel", "ev", ("o1",), "p_idr", 3_990.0, 4_000.0, "ok", ("j1",))
    return replace(row, **changes)


def sent(seq: int, at_ms: float, **changes: Any) -> Arrival:
    """Return a cancel for `o1` as the exchange saw it."""
    row = Arrival(
        seq=seq,
        at_ms=at_ms,
        exchange="everstrike",
        source="127.0.0.1",
        method="POST",
        path="/auth/cancel",
        operation="cancel",
        api_key=KEYS["ev"][1],
        nonce=None,
        timestamp_ms=None,
        order_ids=("o1",),
        pairs=(),
        countdown_ms=None,
        token_fingerprint=None,
        fault=None,
        applied=True,
        refusal=None,
    )
    return replace(row, **changes)


def countdown(seq: int, at_ms: float, countdown_ms: int, **changes: Any) -> Arrival:
    """Return a countdown for `p_idr` as the exchange saw it."""
    native = {
        "exchange": "indodax",
        "operation": "countdown",
        "api_key": KEYS["ix"][1],
        "order_ids": (),
        "pairs": ("p_idr",),
        "countdown_ms": countdown_ms,
        "nonce": seq,
    }
    return sent(seq, at_ms, **{**native, **changes})


def called(call: str, at_ms: float, said: str = "ok", **changes: Any) -> SwitchCall:
    """Return what a strategy on `ev` called, answered after 10 ms."""
    row = SwitchCall(
        call=call,  # type: ignore[arg-type]
        account="ev",
        pair="p_idr",
        holder="h1",
        timeout_ms=TIMEOUT_MS,
        sent_ms=at_ms,
        told_ms=at_ms + 10,
        said=said,  # type: ignore[arg-type]
    )
    return replace(row, **changes)


def history(**parts: Any) -> History:
    """Return a history of two workers that never failed."""
    return History(**{"bounds": BOUNDS, "lives": LIVES, "end_ms": END_MS, **parts})


def promises(made: History) -> set[str]:
    """Return the promises that a history breaks."""
    return {violation.promise for violation in check(made)}


def test_a_cancel_that_was_done_breaks_nothing() -> None:
    """A ticket, one request, a proof that the book agrees with."""
    made = history(
        cancels=(asked(),), jobs={"j1": job()}, orders=(order(),), journal=(sent(1, 5_000),)
    )
    assert promises(made) == set()


@pytest.mark.parametrize(
    ("jobs", "alerts", "broken"),
    [
        ({}, (), {cancels.LOST}),
        ({"j1": job(state=State.PENDING, outcome=None)}, (), {cancels.LOST}),
        ({"j1": job(state=State.DEAD, outcome=Outcome.UNKNOWN)}, (), {cancels.UNALERTED}),
        (
            {"j1": job(state=State.DEAD, outcome=Outcome.UNKNOWN)},
            ({"alert": "dead letter", "job": "j1"},),
            set(),
        ),
        (
            {"j1": job(state=State.DEAD, outcome=Outcome.UNKNOWN)},
            ({"alert": "dead letter", "job": "another"},),
            {cancels.UNALERTED},
        ),
    ],
    ids=["forgotten", "pending", "dead in silence", "dead with an alert", "another's alert"],
)
def test_what_was_accepted_ends(jobs: Any, alerts: Any, broken: set[str]) -> None:
    """A ticket's job is done, or dead with an alert of its own."""
    assert promises(history(cancels=(asked(),), jobs=jobs, alerts=alerts, orders=(order(),))) == (
        broken
    )


def test_what_may_have_been_accepted_is_owed_nothing() -> None:
    """`StoreUnavailable` promises nothing."""
    assert promises(history(cancels=(asked(said="maybe", tickets=()),))) == set()


def test_a_job_without_a_ticket_ends_too() -> None:
    """A switch's cancels and plain messages' jobs are owed just the same."""
    pending = job(state=State.PENDING, outcome=None)
    assert promises(history(jobs={"j1": pending})) == {cancels.LOST}
    assert promises(history(jobs={"j1": replace(pending, created_ms=900_000)})) == set()


@pytest.mark.parametrize(
    ("said", "jobs", "faults", "broken"),
    [
        ("ok", {"j1": job()}, (), set()),
        ("ok", {}, (), {cancels.LOST}),
        ("maybe", {}, (), set()),
        ("ok", {}, (Fault("worker.kill", "w0", 4_100, 4_200),), set()),
        ("ok", {}, (Fault("worker-link.mute", "w1", 4_100, 4_200),), set()),
        ("ok", {}, (Fault("producer-link.cut", "producers", 4_100, 4_200),), {cancels.LOST}),
        ("ok", {}, (Fault("worker.kill", "w0", 1_000, 2_000),), {cancels.LOST}),
        ("ok", {}, (Fault("worker.kill", "w0", 6_100, 7_000),), {cancels.LOST}),
    ],
)
def test_a_plain_message_becomes_a_job(
    said: Any, jobs: Any, faults: tuple[Fault, ...], broken: set[str]
) -> None:
    """Unless the worker that took it was cut off before it could be noted."""
    call = asked(kind="plain", said=said, tickets=())
    made = history(cancels=(call,), jobs=jobs, orders=(order(),), faults=faults)
    assert promises(made) == broken


@pytest.mark.parametrize(
    ("outcome", "book"),
    [
        (Outcome.CANCELED, order(status="open", closed_ms=None, closed_by=None)),
        (Outcome.CANCELED, order(status="filled", closed_by="fill")),
        (Outcome.GONE, order()),
        (Outcome.UNKNOWN, order()),
        (Outcome.CANCELED, order(closed_ms=5_200.0)),
        (Outcome.CANCELED, order("another")),
    ],
    ids=["open", "filled", "canceled", "not proven", "still open then", "never placed"],
)
def test_an_outcome_that_the_book_contradicts(outcome: Outcome, book: Any) -> None:
    """Canceled and gone are what the book shows, at the time of the answer."""
    made = history(jobs={"j1": job(outcome=outcome)}, orders=(book,))
    assert promises(made) == {cancels.WRONG}


@pytest.mark.parametrize(("placed_ms", "broken"), [(1_000.0, {cancels.WRONG}), (4_500.0, set())])
def test_a_scope_is_empty_of_what_was_there_when_it_was_asked_for(
    placed_ms: float, broken: set[str]
) -> None:
    """An order placed after the call is not in its scope's promise."""
    whole = job(kind=Kind.CANCEL_ALL, order_id=None, pair="p_idr")
    left = order(placed_ms=placed_ms, status="open", closed_ms=None, closed_by=None)
    made = history(cancels=(asked(kind="all", order_ids=()),), jobs={"j1": whole}, orders=(left,))
    assert promises(made) == broken


def test_an_eleventh_countdown_in_ten_seconds() -> None:
    """The window is the exchange's: an arrival 10 s after another is outside of it."""
    even = [countdown(n, 1_000.0 * n, 60_000) for n in range(1, 13)]
    assert promises(history(journal=tuple(even))) == set()
    crowded = [*even, countdown(13, 12_500.0, 60_000)]
    assert promises(history(journal=tuple(crowded))) == {traffic.LIMIT}
    apart = [*even, countdown(13, 12_500.0, 60_000, source="127.0.0.2")]
    assert promises(history(journal=tuple(apart))) == set()


def test_a_nonce_that_does_not_rise() -> None:
    """As they arrive, and of each key by itself."""
    first, second = countdown(5, 1_000, 60_000), countdown(4, 1_100, 60_000)
    assert promises(history(journal=(first, second))) == {traffic.NONCE}
    other = replace(second, api_key="another")
    assert promises(history(journal=(first, other))) == set()


def test_a_refused_nonce_is_the_exchanges_doing_once() -> None:
    """After its own number jumped, one refusal is expected."""
    jump = countdown(1, 1_000, 60_000, fault="reject_nonce", applied=False)
    refused = countdown(2, 1_100, 60_000, refusal="nonce", applied=False)
    assert promises(history(journal=(jump, refused))) == set()
    again = replace(refused, seq=3, nonce=3, at_ms=1_200.0)
    assert promises(history(journal=(jump, refused, again))) == {traffic.NONCE}


@pytest.mark.parametrize(
    ("first", "faults", "cause"),
    [
        ({"fault": "half_body"}, (), "the exchange failed: half_body"),
        ({"refusal": "token", "applied": False}, (), "it was refused: token"),
        ({"refusal": "order", "applied": False}, (), "retry rule"),
        ({}, (Fault("worker.kill", "w0", 4_950, 5_000),), "killed"),
        ({}, (Fault("redis.stop", "redis", 4_950, 5_500),), "Redis"),
        ({}, (Fault("exchange-link.mute", "w0", 4_950, 5_500),), "link"),
        ({}, (Fault("worker.kill", "w0", 1_000, 1_500),), duplicates.UNEXPLAINED),
        ({}, (Fault("worker.kill", "w1", 4_950, 5_000),), duplicates.UNEXPLAINED),
        ({}, (Fault("exchange-link.mute", "w1", 4_950, 5_500),), duplicates.UNEXPLAINED),
        ({}, (Fault("beat.kill", "beat", 4_950, 5_500),), duplicates.UNEXPLAINED),
        ({}, (), duplicates.UNEXPLAINED),
    ],
)
def test_every_duplicate_has_a_cause(
    first: dict[str, Any], faults: tuple[Fault, ...], cause: str
) -> None:
    """What happened around the first send, and could have kept its outcome from us."""
    made = history(
        jobs={"j1": job(finished_ms=7_000)},
        orders=(order(),),
        journal=(sent(1, 5_000, **first), sent(2, 6_900)),
        faults=faults,
    )
    (named,) = duplicates.counted(made)
    assert cause in named
    assert promises(made) == ({cause} if cause == duplicates.UNEXPLAINED else set())


@pytest.mark.parametrize(
    ("operation", "closed_ms", "faults", "explained"),
    [
        ("bulk", 4_999.0, ["everstrike_503"], True),
        ("bulk", 4_999.0, [], False),
        ("bulk", 4_999.0, [None], False),
        ("bulk", 4_999.0, ["everstrike_503", None], False),
        ("bulk", 5_000.0, ["everstrike_503"], False),
        ("cancel", 4_999.0, ["everstrike_503"], False),
    ],
)
def test_what_a_request_for_several_left_out_is_asked_about_first(
    operation: str, closed_ms: float, faults: list[str | None], *, explained: bool
) -> None:
    """By the book it was closed when the request came; and no question about it was answered."""
    asked = [
        sent(2 + n, 5_100.0 + n, operation="query", fault=fault) for n, fault in enumerate(faults)
    ]
    made = history(
        jobs={"j1": job(finished_ms=7_000)},
        orders=(order(closed_ms=closed_ms),),
        journal=(sent(1, 5_000, operation=operation), *asked, sent(9, 6_900)),
    )
    (named,) = duplicates.counted(made)
    assert (named != duplicates.UNEXPLAINED) == explained


def test_a_second_job_right_after_the_first_sends_for_itself() -> None:
    """However close its claim lies to the first one's request."""
    second = {"at_ms": 4_906, "took_ms": 2, "by": "host:10:x:2", "detail": ""}
    made = history(
        jobs={
            "j1": job(finished_ms=4_903),
            "j2": job("j2", created_ms=4_904, finished_ms=4_910, history=(second,)),
        },
        orders=(order(),),
        journal=(sent(1, 4_902), sent(2, 4_908)),
    )
    assert set(duplicates.counted(made)) == {"another job was for the same order"}


@pytest.mark.parametrize("ahead_ms", [-40.0, 0.0, 40.0])
def test_claims_are_in_shared_time(ahead_ms: float) -> None:
    """Two jobs in a row each send once; a second send by either of them has no cause."""
    at = int(5_000 + ahead_ms)

    def claims(*rows: int) -> tuple[dict[str, Any], ...]:
        return tuple({"at_ms": ms, "took_ms": 2, "by": "host:10:x:1", "detail": ""} for ms in rows)

    jobs = {
        "j1": job(created_ms=at - 10, finished_ms=at + 10, history=claims(at)),
        "j2": job("j2", created_ms=at + 20, finished_ms=at + 60, history=claims(at + 25)),
    }
    ahead = ((1_000.0, ahead_ms),) if ahead_ms else ()

    def made(*sends_ms: float) -> History:
        journal = tuple(sent(n, ms) for n, ms in enumerate(sends_ms, start=1))
        return history(jobs=jobs, orders=(order(),), journal=journal, ahead=ahead)

    assert set(duplicates.counted(made(5_003, 5_028))) == {"another job was for the same order"}
    for sends in ((5_003, 5_015), (5_028, 5_040)):
        assert set(duplicates.counted(made(*sends))) == {duplicates.UNEXPLAINED}


def test_a_step_is_either_clock_until_all_know_of_it() -> None:
    """For two seconds around it; then there is one answer."""
    made = history(ahead=((10_000.0, 12_000.0), (13_000.0, 5.0)))
    assert made.ahead_ms(7_999) == {0.0}
    assert made.ahead_ms(9_000) == {0.0, 12_000.0}
    assert made.ahead_ms(12_500) == {12_000.0, 5.0}
    assert made.ahead_ms(15_001) == {5.0}
    assert made.apart_ms == 5.0


@pytest.mark.parametrize(
    ("created_ms", "lane", "broken"),
    [
        (5_100, "everstrike:ev", set()),
        (5_000, "everstrike:ev", {duplicates.TWICE}),
        (5_000, "everstrike:other", set()),
    ],
)
def test_a_pending_order_has_one_job(created_ms: int, lane: str, broken: set[str]) -> None:
    """Asked for again while its job is pending, an order gets no second one."""
    later = job("j2", created_ms=created_ms, finished_ms=5_200, lane=lane, outcome=Outcome.CANCELED)
    assert promises(history(jobs={"j1": job(), "j2": later}, orders=(order(),))) == broken


ALIVE = (called("arm", 1_000), called("beat", 1_700), called("beat", 2_400))
"""Its deadline is at 4.4 s, or 10 ms later."""


@pytest.mark.parametrize(
    ("closed_ms", "faults", "broken"),
    [
        (4_450.0, (), set()),
        (6_800.0, (), set()),
        (7_500.0, (), {switches.LATE}),
        (None, (), {switches.LATE}),
        (4_300.0, (), {switches.FALSE}),
        (2_000.0, (), {switches.FALSE}),
        (7_500.0, (Fault("redis.kill", "redis", 4_000, 5_000),), set()),
        (8_500.0, (Fault("redis.kill", "redis", 4_000, 5_000),), {switches.LATE}),
        (7_500.0, (Fault("worker.kill", "w0", 4_500, 5_000),), {switches.LATE}),
        (7_500.0, (Fault("beat.kill", "beat", 4_400, 6_000),), {switches.LATE}),
        (7_500.0, (Fault("producer-link.cut", "producers", 4_500, 6_000),), {switches.LATE}),
        (4_300.0, (Fault("redis.kill", "redis", 2_500, 4_200),), {switches.FALSE}),
        (20_000.0, (Fault("machine.starved", "machine", 4_500, 5_500),), set()),
        (30_000.0, (Fault("machine.starved", "machine", 4_500, 5_500),), {switches.LATE}),
    ],
)
def test_an_emulated_switch_is_neither_late_nor_false(
    closed_ms: float | None, faults: tuple[Fault, ...], broken: set[str]
) -> None:
    """Only what keeps all workers from acting excuses, and only for as long as it does."""
    status = "open" if closed_ms is None else "canceled"
    book = order(status=status, closed_ms=closed_ms, closed_by=closed_ms and "cancel")
    assert promises(history(switches=ALIVE, orders=(book,), faults=faults)) == broken


FAILOVER = Fault("redis.failover", "redis", 2_390, 4_200)


@pytest.mark.parametrize(
    ("closed_ms", "faults", "broken"),
    [
        (3_750.0, (FAILOVER,), set()),
        (3_600.0, (FAILOVER,), {switches.FALSE}),
        (3_750.0, (Fault("redis.failover", "redis", 2_600, 4_200),), {switches.FALSE}),
        (3_750.0, (Fault("redis.stop", "redis", 2_390, 4_200),), {switches.FALSE}),
    ],
    ids=["the last is lost", "the one before is not", "answered before", "no failover"],
)
def test_a_failover_may_lose_the_heartbeats_that_it_met(
    closed_ms: float, faults: tuple[Fault, ...], broken: set[str]
) -> None:
    """Replication does not wait for them; what was answered before it is kept."""
    book = order(status="canceled", closed_ms=closed_ms, closed_by="cancel")
    assert promises(history(switches=ALIVE, orders=(book,), faults=faults)) == broken


@pytest.mark.parametrize(
    ("closed_ms", "lost_by", "target", "broken"),
    [
        (8_100.0, "host:10:x:1", "w1", set()),
        (8_100.0, "host:10:x:1", "w0", {switches.LATE}),
        (8_100.0, "", "w1", {switches.LATE}),
        (14_000.0, "host:10:x:1", "w1", {switches.LATE}),
    ],
)
def test_after_one_worker_is_lost_a_cut_of_the_next_excuses(
    closed_ms: float, lost_by: str, target: str, broken: set[str]
) -> None:
    """It has the job for its longer lease; that of another, or of the first, excuses nothing."""
    lost = {"at_ms": 4_700, "by": lost_by, "detail": windows.LOST}
    asked = {"at_ms": 6_500, "took_ms": 800, "by": "host:11:y:1", "detail": "2 still open"}
    rows = (lost, asked) if lost_by else (asked,)
    tripped = job(history=rows, finished_ms=closed_ms + 10)
    made = history(
        switches=ALIVE,
        orders=(order(closed_ms=closed_ms),),
        jobs={"j1": tripped},
        faults=(Fault("worker-link.mute", target, 6_400, 8_000),),
    )
    assert promises(made) == broken


def test_no_worker_can_cancel_while_all_are_down() -> None:
    """The bound begins when the first worker is back."""
    lives = (Life(0, 10, 0.0, 4_000.0), Life(0, 12, 6_000.0, 900_000.0))
    for closed_ms, broken in ((8_400.0, set()), (8_600.0, {switches.LATE})):
        book = order(closed_ms=closed_ms)
        assert promises(history(switches=ALIVE, orders=(book,), lives=lives)) == broken


def test_a_beat_that_may_have_counted_moves_the_latest_deadline_alone() -> None:
    """It neither makes a trip false nor lets the order stay open for ever."""
    calls = (*ALIVE, called("beat", 3_100, "maybe"))
    for closed_ms, broken in ((4_450.0, set()), (7_500.0, set()), (7_700.0, {switches.LATE})):
        book = order(closed_ms=closed_ms)
        assert promises(history(switches=calls, orders=(book,))) == broken


def test_a_call_that_was_given_up_moves_no_deadline_later() -> None:
    """What lay in a socket buffer is refused when Redis continues."""
    calls = (*ALIVE, called("beat", 3_100, "maybe"))
    stop = Fault("producer-link.hold", "producers", 3_000, 4_000)
    book = order(closed_ms=9_000.0)
    assert promises(history(switches=calls, orders=(book,), faults=(stop,))) == {switches.LATE}


@pytest.mark.parametrize(
    ("closed_ms", "faults", "broken"),
    [
        (None, (), set()),
        (9_000.0, (), {switches.REARMED}),
        (9_000.0, (Fault("worker.kill", "w0", 1_500, 1_900),), set()),
    ],
)
def test_a_message_that_disarmed_is_not_undone_by_an_older_one(
    closed_ms: float | None, faults: tuple[Fault, ...], broken: set[str]
) -> None:
    """The order of sending counts, unless the message may have been lost."""
    calls = (called("message", 1_000, "maybe"), called("disarm", 2_500, "queued"))
    status = "open" if closed_ms is None else "canceled"
    book = order(status=status, closed_ms=closed_ms)
    assert promises(history(switches=calls, orders=(book,), faults=faults)) == broken


def test_tracking_moves_no_deadline() -> None:
    """An order that joins late comes off with the others, and is no sign of life."""
    calls = (*ALIVE, called("track", 4_200))
    late = order("o2", closed_ms=7_500.0, placed_ms=4_100.0)
    assert promises(history(switches=calls, orders=(order(closed_ms=4_450.0),))) == set()
    made = history(switches=calls, orders=(order(closed_ms=4_450.0), late))
    assert promises(made) == {switches.LATE}


@pytest.mark.parametrize(
    ("closed_ms", "broken"),
    [(None, set()), (2_600.0, {switches.FALSE}), (9_000.0, {switches.FALSE})],
)
def test_a_disarmed_switch_takes_nothing_off(closed_ms: float | None, broken: set[str]) -> None:
    """After a disarm that was acknowledged the orders stay."""
    calls = (*ALIVE, called("disarm", 2_500))
    status = "open" if closed_ms is None else "canceled"
    book = order(status=status, closed_ms=closed_ms, closed_by=closed_ms and "cancel")
    assert promises(history(switches=calls, orders=(book,))) == broken


@pytest.mark.parametrize(("closed_ms", "broken"), [(4_450.0, set()), (4_300.0, {switches.FALSE})])
def test_arming_again_does_not_save_what_has_tripped(closed_ms: float, broken: set[str]) -> None:
    """A switch that tripped has another id when its scope is armed again."""
    calls = (*ALIVE, called("arm", 4_440, holder="h2", switch_id="another"))
    book = order(closed_ms=closed_ms)
    assert promises(history(switches=calls, orders=(book,))) == broken


@pytest.mark.parametrize(("said", "broken"), [("ok", {switches.OLD_EPOCH}), ("replaced", set())])
def test_a_replaced_holder_counts_for_nothing(said: str, broken: set[str]) -> None:
    """Its beats are refused, and move no deadline."""
    calls = (*ALIVE, called("arm", 2_500, holder="h2"), called("beat", 3_000, said))
    book = order(closed_ms=5_200.0 if said == "ok" else 4_520.0)
    assert promises(history(switches=calls, orders=(book,))) == broken


NATIVE: dict[str, Any] = {"account": "ix", "timeout_ms": 8_000}
BEATEN = (called("arm", 1_000, **NATIVE), called("beat", 4_000, **NATIVE))
"""Its deadline is at 12 s."""
IX: dict[str, Any] = {"alias": "ix", "closed_by": "countdown"}


@pytest.mark.parametrize(
    ("timers", "closed_ms", "faults", "broken"),
    [
        ([(1_050, 7_600), (4_050, 7_600)], 11_650.0, (), set()),
        ([(1_050, 7_600)], 8_650.0, (), {switches.FALSE}),
        (
            [(1_050, 7_600)],
            8_650.0,
            (Fault("exchange-link.cut", "w0", 3_000, 8_000),),
            set(),
        ),
        ([(1_050, 7_600), (4_050, 8_400)], 12_450.0, (), {switches.STALE, switches.LATE}),
        (
            [(1_050, 7_600), (4_800, 8_000)],
            12_800.0,
            (Fault("exchange-link.hold", "w0", 3_900, 4_900),),
            {switches.STALE, switches.LATE},
        ),
        (
            [(1_050, 7_600), (4_800, 8_000), (4_900, 6_900)],
            11_800.0,
            (Fault("worker.stop", "w0", 3_900, 4_780),),
            set(),
        ),
        (
            [(1_050, 7_600), (4_800, 8_000)],
            12_800.0,
            (Fault("worker.stop", "w0", 3_900, 4_780),),
            {switches.STALE, switches.LATE},
        ),
        ([(1_050, 7_600), (6_000, 0)], None, (), {switches.LATE}),
        ([], None, (), {switches.LATE}),
        ([], 12_100.0, (), set()),
    ],
    ids=[
        "kept",
        "early",
        "early, cut off",
        "stale",
        "held back",
        "frozen",
        "frozen, left",
        "stopped",
        "never",
        "by a worker",
    ],
)
def test_a_native_switch_is_neither_late_nor_false(
    timers: list[tuple[int, int]],
    closed_ms: float | None,
    faults: tuple[Fault, ...],
    broken: set[str],
) -> None:
    """The exchange's timer is held to the deadline, and its early end to its renewals."""
    status = "open" if closed_ms is None else "canceled"
    book = order(**{**IX, "status": status, "closed_ms": closed_ms})
    journal = tuple(countdown(n, *timer) for n, timer in enumerate(timers, start=1))
    made = history(switches=BEATEN, orders=(book,), faults=faults, journal=journal)
    assert promises(made) == broken


@pytest.mark.parametrize(
    ("faults", "closed_ms", "broken"),
    [
        ((), 31_000.0, set()),
        ((), 60_000.0, {switches.LATE}),
        ((Fault("machine.starved", "machine", 19_000, 70_000),), 60_000.0, set()),
    ],
    ids=["in time", "late", "late, starved"],
)
def test_a_timer_of_a_former_life_holds_no_later_one(
    faults: tuple[Fault, ...], closed_ms: float, broken: set[str]
) -> None:
    """The exchange has no timer for it: workers hold its deadline, and are judged as such."""
    again = called("arm", 20_000, holder="h2", switch_id="s2", **NATIVE)
    calls = (*(replace(call, switch_id="s1") for call in BEATEN), again)
    timers = (countdown(1, 1_050, 7_600), countdown(2, 4_050, 7_600))
    former = order(**{**IX, "status": "canceled", "closed_ms": 11_650.0})
    late = {"placed_ms": 20_020.0, "closed_by": "cancel", "closed_ms": closed_ms}
    ours = order("o2", **{**IX, "status": "canceled", **late})
    made = history(switches=calls, orders=(former, ours), faults=faults, journal=timers)
    assert promises(made) == broken


PROMOTED = Fault("redis.readonly", "redis", 2_000, 3_000)


@pytest.mark.parametrize(
    ("held", "beats", "faults", "broken"),
    [
        ("exchange", 3, (), {switches.UNARMED}),
        ("both", 3, (), {switches.UNARMED}),
        ("exchange", 1, (), set()),
        ("workers", 3, (), set()),
        ("exchange", 3, (Fault("exchange-link.cut", "w0", 2_000, 15_000),), set()),
        ("exchange", 3, (Fault("redis.stop", "redis", 2_000, 15_000),), set()),
        ("exchange", 3, (PROMOTED,), {switches.UNARMED}),
        ("exchange", 3, (PROMOTED, Fault("worker.kill", "w1", 1_500, 1_600)), set()),
    ],
    ids=[
        "never",
        "nor a part",
        "soon silent",
        "by workers",
        "no way there",
        "no Redis",
        "promoted",
        "promoted, and a worker's slots are not known",
    ],
)
def test_a_live_switch_is_brought_to_the_exchange(
    held: str, beats: int, faults: tuple[Fault, ...], broken: set[str]
) -> None:
    """Within a window of the limit, unless its arming says that workers hold it."""
    arm = replace(called("arm", 1_000, **NATIVE), held=held)
    calls = (arm, *(called("beat", 1_000 + 4_000 * n, **NATIVE) for n in range(1, beats + 1)))
    closed_ms = calls[-1].told_ms + 8_200.0
    ours = order(**{**IX, "status": "canceled", "closed_by": "cancel", "closed_ms": closed_ms})
    made = history(switches=calls, orders=(ours,), faults=faults)
    assert promises(made) == broken


@pytest.mark.parametrize(
    ("closed_ms", "broken"),
    [(12_500.0, {switches.FALSE}), (13_500.0, {switches.FALSE, switches.UNARMED})],
)
def test_what_has_ended_need_not_be_brought_to_the_exchange(
    closed_ms: float, broken: set[str]
) -> None:
    """That it ended too early is another fault; here within a window of the limit, or later."""
    arm = replace(called("arm", 1_000, **NATIVE), held="exchange")
    calls = (arm, *(called("beat", 1_000 + 4_000 * n, **NATIVE) for n in range(1, 6)))
    ours = order(**{**IX, "status": "canceled", "closed_by": "cancel", "closed_ms": closed_ms})
    assert promises(history(switches=calls, orders=(ours,))) == broken


def test_nothing_may_follow_a_stop() -> None:
    """A disarm is the last call to arrive."""
    calls = (*BEATEN, called("disarm", 5_000, **NATIVE))
    book = order(**{**IX, "status": "open", "closed_ms": None})
    stop = (countdown(1, 1_050, 7_600), countdown(2, 5_050, 0))
    assert promises(history(switches=calls, orders=(book,), journal=stop)) == set()
    after = (*stop, countdown(3, 5_100, 6_000))
    made = history(switches=calls, orders=(book,), journal=after)
    assert promises(made) == {switches.STALE}


@pytest.mark.parametrize(
    ("placed_ms", "closed_ms", "broken"),
    [
        (1_000.0, 3_100.0, set()),
        (1_000.0, 2_500.0, {switches.FALSE}),
        (1_000.0, 4_300.0, {switches.FALSE}),
        (3_500.0, 4_300.0, {switches.FALSE}),
    ],
    ids=["by the first", "by the first, early", "after the second", "placed after the second"],
)
def test_a_former_arming_cancels_nothing_once_another_is_answered(
    placed_ms: float, closed_ms: float, broken: set[str]
) -> None:
    """An arming that may have been done trips at its time, and not later."""
    calls = (called("arm", 1_000, "maybe"), called("arm", 3_400, switch_id="second"))
    made = history(
        switches=(*calls, called("beat", 4_000, switch_id="second")),
        orders=(order(placed_ms=placed_ms, closed_ms=closed_ms),),
    )
    assert promises(made) == broken


def test_a_tripped_switch_is_reported() -> None:
    """By an alert that names it."""
    alert = {"alert": "switch tripped", "message": "switch 5w tripped: its strategy fell silent"}
    assert promises(history(tripped=("5w",), alerts=(alert,))) == set()
    assert promises(history(tripped=("5w", "6x"), alerts=(alert,))) == {switches.UNTOLD}


def test_spans() -> None:
    """Union, overlap, and the first calm."""
    spans = windows.union([(5, 9), (1, 3), (2, 4), (7, 7)])
    assert spans == [(1, 4), (5, 9)]
    assert windows.overlap_ms(spans, 3, 6) == 2
    assert windows.calm_from(spans, 0, 1) == 1
    assert windows.calm_from(spans, 0, 2) == 11
    assert windows.calm_from(spans, 6, 2) == 11
    assert windows.calm_from(spans, 20, 2) == 22
    assert windows.calm_in_all(spans, 0, 1) == 1
    assert windows.calm_in_all(spans, 0, 1.5) == 4.5
    assert windows.calm_in_all(spans, 2, 2) == 10


@pytest.mark.parametrize(
    ("other", "held"),
    [
        (Fault("worker.kill", "w0", 1_000, 1_500), True),
        (Fault("worker.stop", "w0", 5_500, 9_000), True),
        (Fault("worker-link.cut", "w0", 4_500, 4_600), True),
        (Fault("worker.kill", "w0", -9_000, -2_000), False),
        (Fault("beat.kill", "beat", 4_500, 4_600), False),
    ],
)
def test_slots_are_held_off_after_a_failover_until_each_worker_reports(
    other: Fault, *, held: bool
) -> None:
    """Until what it was granted has arrived and left the window; where there is a limit."""
    limit = BOUNDS.limits["indodax"]
    until_ms = 5_000 + BOUNDS.http_ms + windows.RESEND_MS + limit.window_ms + windows.SLACK_MS
    for kind in windows.PROMOTIONS:
        made = history(faults=(Fault(kind, "redis", 4_000, 5_000), other))
        assert windows.held_off(made, limit) == ([(4_000, until_ms)] if held else [])
        assert windows.held_off(made, None) == []
    assert windows.held_off(history(faults=(other,)), limit) == []


def test_slots_are_spent_while_a_window_is_full() -> None:
    """Until the first has left it of what counts there, and of nothing else."""
    limit = BOUNDS.limits["indodax"]
    full = tuple(
        replace(sent(n, 1_000 + n), exchange="indodax", operation="cancel")
        for n in range(limit.most)
    )
    until_ms = 1_000 + limit.window_ms + windows.SLACK_MS
    spent = [(1_000 + limit.most - 1, until_ms)]
    assert windows.spent(history(journal=full[1:]), "indodax") == []
    assert windows.spent(history(journal=full), "indodax") == spent
    assert windows.spent(history(journal=full), "everstrike") == []
    mixed = (*full[:-1], replace(full[-1], operation="query"))
    assert windows.spent(history(journal=mixed), "indodax") == []
    both = replace(limit, operations=frozenset({"cancel", "query"}))
    bounds = replace(BOUNDS, limits={"indodax": both})
    assert windows.spent(history(bounds=bounds, journal=mixed), "indodax") == spent
    over = (*mixed, replace(full[-1], at_ms=1_000 + limit.most))
    assert promises(history(bounds=bounds, journal=over)) >= {traffic.LIMIT}
    assert traffic.LIMIT not in promises(history(journal=over))


def test_recovery_is_measured_from_the_kill() -> None:
    """A job in the hands of a killed worker, and the next worker's claim of it."""
    lost = {"at_ms": 4_800, "by": "host:10:x:1", "detail": windows.LOST}
    again = {"at_ms": 8_100, "took_ms": 10, "by": "host:11:y:1", "detail": ""}
    made = history(
        jobs={"j1": job(history=(lost, again), finished_ms=8_120)},
        lives=(Life(0, 10, 0.0, 5_000.0), LIVES[1]),
        faults=(Fault("worker.kill", "w0", 5_000, 5_500),),
    )
    assert measure(made).resumed == (3_100.0,)
    for kind, target, from_ms, counts in (
        ("redis.kill", "redis", 5_500, True),  # over before the lease was
        ("exchange-link.cut", "w1", 7_900, True),
        ("worker-link.cut", "w1", 7_900, False),  # no other was left
        ("redis.kill", "redis", 7_900, False),
    ):
        more = replace(made, faults=(*made.faults, Fault(kind, target, from_ms, from_ms + 150)))
        assert bool(measure(more).resumed) is counts, kind
    for fault, counts in (("drop_before", True), ("throttle", False)):
        more = replace(made, journal=(sent(1, 7_900, fault=fault),))
        assert bool(measure(more).resumed) is counts, fault
    promoted = (*made.faults, Fault("redis.readonly", "redis", 6_000, 7_500))
    limited = replace(made, jobs={"j1": replace(made.jobs["j1"], lane="indodax:ix")})
    assert bool(measure(replace(made, faults=promoted)).resumed)
    assert not measure(replace(limited, faults=promoted)).resumed
    restart = replace(made, faults=(Fault("redis.kill", "redis", 7_000, 8_000),))
    assert measure(restart).redis == {"redis.kill": (120.0,)}
    failover = replace(made, faults=(Fault("redis.kill-master", "redis", 7_000, 8_000),))
    assert measure(failover).redis == {"redis.kill-master": (1_120.0,)}


@pytest.mark.parametrize(
    ("again_ms", "measured"), [(5_002, ()), (4_998, (3_100,)), (8_200, (3_100,))]
)
def test_redis_lost_again_is_another_recovery(again_ms: float, measured: tuple[float, ...]) -> None:
    """Until then nothing could be done; one that had begun before, or came later, is no excuse."""
    lost = (
        Fault("redis.kill", "redis", 4_000, 5_000),
        Fault("redis.kill", "redis", again_ms, 9_000),
    )
    made = history(faults=lost, jobs={"j1": job(finished_ms=8_100)})
    assert measure(made).redis["redis.kill"] == measured
