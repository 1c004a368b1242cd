"""One thread's turn: batches of jobs, each sent once, recorded, or put back in time."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import pytest

from tests.support.ledgers import EV, Verb, new_job, settlement
from tests.support.lost_replies import Process
from tests.support.polling import eventually
from tests.support.turning import Turning, turning
from tests.support.world import World
from worker import Outcome, Ticket, clock
from worker.dispatch.batch import BatchRunner
from worker.dispatch.leases import STORE_RETRY_MS, Leases
from worker.dispatch.turn import Turn
from worker.errors import StoreUnavailable
from worker.model.jobs import Job
from worker.model.settlements import Claimed, Settlement
from worker.policy.batch_sizing import BATCH_MAX

MANY = 8 * BATCH_MAX


@pytest.fixture
def process(redis_url: str) -> Process:
    """A process that holds nothing."""
    return Process(redis_url)


class Later:
    """The local clock, moved on."""

    def __init__(self) -> None:
        self._later_ms = 0.0
        self._now_ms = clock.monotonic_ms

    def pass_ms(self, duration_ms: float) -> None:
        """Let time pass."""
        self._later_ms += duration_ms

    def monotonic_ms(self) -> float:
        """Return the time."""
        return self._now_ms() + self._later_ms


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Later:
    """A clock of this process that can be moved on."""
    moved = Later()
    monkeypatch.setattr(clock, "monotonic_ms", moved.monotonic_ms)
    return moved


def never_late(monkeypatch: pytest.MonkeyPatch, late_ms: int = 60_000) -> None:
    """Let no job count as late, whatever holds the machine up, and no turn end."""
    monkeypatch.setattr("worker.dispatch.batch.START_WITHIN_MS", late_ms)
    monkeypatch.setattr("worker.dispatch.dispatcher.TURN_MS", 100 * late_ms)


def run_all(turns: Turning, tickets: Sequence[Ticket]) -> None:
    """Let one thread do all of it; each job needs one attempt, and is proven."""

    def done() -> bool:
        turns.run()
        return all(ticket.result().state == "done" for ticket in tickets)

    eventually(done, within_ms=60_000, what="all of them done")
    assert {ticket.result().outcome for ticket in tickets} == {Outcome.CANCELED}
    assert {ticket.result().attempts for ticket in tickets} == {1}


def test_a_backlog_is_sent_in_full_batches(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each order is sent once, and proven."""
    never_late(monkeypatch)
    turns = turning(world)
    run_all(turns, world.producer().cancel_many("ev", world.place("ev", MANY)))
    assert turns.batches == [(BATCH_MAX, 0)] * (MANY // BATCH_MAX)
    sent = [each for each in world.sim.journal() if each.path.endswith("/auth/cancel")]
    assert len(sent) == MANY


def test_a_turn_that_is_over_leaves_nothing_leased(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread claims no more with the settlement of its last batch."""
    never_late(monkeypatch)
    turns = turning(world)
    world.producer().cancel_many("ev", world.place("ev", MANY))
    monkeypatch.setattr(Turn, "_continues", property(lambda _: len(turns.batches) < 3))
    turns.run()
    assert turns.batches == [(BATCH_MAX, 0)] * 3
    left = world.ledger().pending(limit=MANY)
    assert len(left) == MANY - 3 * BATCH_MAX
    assert {job.claimed_by for job in left} == {None}


def test_jobs_behind_a_slow_attempt_are_put_back_and_done_later(
    world: World, later: Later, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job that was claimed and not started in time is left to a free thread, uncounted."""
    late_ms = 60_000
    never_late(monkeypatch, late_ms)
    world.tables["jobs"] = {"lease_ms": 100 * late_ms, "max_age_ms": 200 * late_ms}
    turns = turning(world)
    tickets = world.producer().cancel_many("ev", world.place("ev", MANY))
    attempt = BatchRunner._attempt  # noqa: SLF001
    slow = BATCH_MAX + 3
    attempted = 0

    def slowly(self: BatchRunner, jobs: Sequence[Job], *args: int) -> list[Settlement]:
        nonlocal attempted
        attempted += 1
        results = attempt(self, jobs, *args)
        if attempted == slow:
            later.pass_ms(late_ms + 1)
        return results

    monkeypatch.setattr(BatchRunner, "_attempt", slowly)
    run_all(turns, tickets)
    assert turns.batches[0] == (BATCH_MAX, 0)
    assert turns.batches[1] == (BATCH_MAX, BATCH_MAX - 3)
    assert {back for _, back in turns.batches[2:]} == {0}


def test_the_time_that_redis_takes_to_reply_makes_no_job_late(
    world: World, later: Later, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a distant Redis all jobs are attempted; none is put back for it."""
    late_ms = 30_000
    never_late(monkeypatch, late_ms)
    world.tables["jobs"] = {"lease_ms": 100 * late_ms, "max_age_ms": 200 * late_ms}
    turns = turning(world)

    def slowed(name: str) -> None:
        call = getattr(Leases, name)

        def slow(self: Leases, *args: Any, **options: Any) -> Claimed:
            claimed: Claimed = call(self, *args, **options)
            later.pass_ms(2 * late_ms)
            turns.dispatcher._poll()  # noqa: SLF001  as the sweep does at the same time
            return claimed

        monkeypatch.setattr(Leases, name, slow)

    slowed("claim")
    slowed("settle")
    run_all(turns, world.producer().cancel_many("ev", world.place("ev", MANY)))
    assert sum(back for _, back in turns.batches) == 0


def test_an_attempt_that_redis_refuses_is_not_repeated_at_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redis may lease jobs and refuse what their attempts need: the lane pauses."""
    turns = turning(world)
    (ticket,) = world.producer().cancel_many("ev", world.place("ev", 1))
    attempt = BatchRunner._attempt  # noqa: SLF001
    refused = []

    def refuse(self: BatchRunner, jobs: Sequence[Job], *args: int) -> list[Settlement]:
        refused.append(clock.monotonic_ms())
        if len(refused) > 3:
            return attempt(self, jobs, *args)
        raise StoreUnavailable("NOPERM")

    monkeypatch.setattr(BatchRunner, "_attempt", refuse)
    run_all(turns, [ticket])
    assert len(refused) == 4
    assert all(b - a >= STORE_RETRY_MS / 2 for a, b in itertools.pairwise(refused))


def test_an_attempt_is_never_dated_later_than_it_was_made(world: World) -> None:
    """By Redis's clock, however long ago its claim was sent."""
    turns = turning(world)
    jobs = world.ledger().accept([new_job("a1", EV)])
    leases = turns.dispatcher._leases  # noqa: SLF001
    claimed = leases.claim("everstrike", holder="x", limit=1, lane=EV, job_id="")
    asked_ms = clock.monotonic_ms() - 500
    (settled,) = turns.watched.run(turns.threads, claimed, asked_ms)
    now_ms = world.ledger().now_ms()
    assert settled.job.id == jobs[0].id
    assert claimed.now_ms <= settled.at_ms <= now_ms


def test_a_throttled_lane_pauses(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a 429 no other job of its batch is sent, and no other is claimed."""
    never_late(monkeypatch)
    turns = turning(world)
    world.producer().cancel_many("ev", world.place("ev", MANY))
    before = 3 * BATCH_MAX + 5
    attempt = BatchRunner._attempt  # noqa: SLF001
    attempted = 0

    def throttled(self: BatchRunner, jobs: Sequence[Job], *args: int) -> list[Settlement]:
        nonlocal attempted
        attempted += 1
        if attempted <= before:
            return attempt(self, jobs, *args)
        pause = {"outcome": Outcome.THROTTLED, "pause_ms": 60_000}
        return [settlement(job, Verb.AGAIN, **pause) for job in jobs]

    monkeypatch.setattr(BatchRunner, "_attempt", throttled)
    turns.run()
    assert attempted == before + 1
    assert turns.batches == [(BATCH_MAX, 0)] * 3 + [(BATCH_MAX, BATCH_MAX - 6)]


def test_a_job_that_is_put_back_twice_is_put_back_once(process: Process) -> None:
    """As when Redis had done it and the reply was lost: no attempt that was made is uncounted."""
    bench, holder = process.bench, process.claims.new_holder()
    bench.accept("a1")
    (job,) = process.claim(holder, EV, limit=1).jobs
    wait = settlement(job, Verb.WAIT)
    for _ in range(3):
        process.claims.settle([wait], holder=holder, limit=0)
    assert bench.get(job.id).attempts == 0
    assert bench.take("other", lane=EV).attempts == 1


def test_an_unreadable_record_holds_up_no_other_of_its_batch(process: Process) -> None:
    """Nor does one of a later version, whatever its fields hold."""
    bench = process.bench
    ids = [accepted.id for accepted in bench.accept("a1", "a2", "a3")]
    bench.client.hset(f"cx:job:{ids[1]}", mapping={"attempts": "many", "claim": "x"})
    bench.client.hset(f"cx:job:{ids[2]}", mapping={"v": 9, "urgent": 1, "attempts": "[2]"})
    jobs = bench.claim(lane=EV, limit=9).jobs
    assert {(job.id, job.attempts, job.claim) for job in jobs} == {(id_, 1, 1) for id_ in ids[:2]}
    assert bench.claim("other", lane=EV, limit=9).jobs == ()


def test_a_claim_that_is_lost_while_others_are_returned_is_returned_next(
    process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A holder that is lost during the call is not forgotten with those it was made for."""
    bench = process.bench
    bench.accept("a1", "a2", "a3")
    process.deaf_claim(EV, limit=1)
    asked = process.claims._ledger.take_back  # noqa: SLF001
    lost: list[str] = []

    def ask(lane: str, holders: Any) -> int:
        count = asked(lane, holders)
        if lane == EV and not lost:
            lost.append(process.deaf_claim(EV))
        return count

    monkeypatch.setattr(process.claims._ledger, "take_back", ask)  # noqa: SLF001
    assert process.take_back() == 1
    assert process.take_back() == 2
    assert len(bench.claim("other", lane=EV, limit=9).jobs) == 3


def test_a_script_that_redis_has_forgotten_is_sent_again(process: Process) -> None:
    """As after a restart of Redis."""
    process.bench.accept("a1")
    process.bench.client.script_flush()
    assert len(process.claim(process.claims.new_holder(), EV).jobs) == 1
