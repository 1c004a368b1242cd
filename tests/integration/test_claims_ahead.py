"""Claimed while other work is in hand: sooner to the wire, and nothing given up for it."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest

from tests.support.ledgers import EV, EV2, IX, LEASE_MS, new_job
from tests.support.lost_replies import DONE, Deaf, Process
from tests.support.polling import eventually
from tests.support.world import World
from worker import Outcome, Ticket, clock
from worker.dispatch.batch import BatchRunner, Work
from worker.dispatch.completion import Attempted
from worker.dispatch.concurrency import ExchangeThreads
from worker.dispatch.dispatcher import Dispatcher
from worker.dispatch.leases import STORE_RETRY_MS, Flight, Leases
from worker.errors import StoreUnavailable
from worker.factory import build_dispatcher
from worker.model.jobs import Job, State
from worker.model.settlements import Claimed, Settlement, Verb
from worker.policy.batch_sizing import CHUNK_MAX, FLUSH_MS, BatchSizing
from worker.store.connection import Sent
from worker.store.ledger import Ledger, Settling

MANY = 8 * CHUNK_MAX
LATE = ("engine.FLUSH_MS", "attempts.FLUSH_MS", "attempts.SMOOTH_MS", "claims.FLUSH_MS")


@pytest.fixture
def process(redis_url: str) -> Process:
    """A process with nothing in hand, whose scripts Redis knows."""
    process = Process(redis_url)
    hand = Hand(process)
    hand.land(hand.send(limit=0))
    return process


class Later:
    """The local clock, moved on."""

    def __init__(self) -> None:
        self._ahead_ms = 0.0
        self._now_ms = clock.monotonic_ms

    def pass_ms(self, duration_ms: float) -> None:
        """Let time pass."""
        self._ahead_ms += duration_ms

    def monotonic_ms(self) -> float:
        """Return the time."""
        return self._now_ms() + self._ahead_ms


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Later:
    """A clock of this process that can be moved on."""
    moved = Later()
    monkeypatch.setattr(clock, "monotonic_ms", moved.monotonic_ms)
    return moved


class Unsent:
    """What is sent only when its answer is read."""

    def __init__(self, send: Any, args: Any, options: Any) -> None:
        self._send: Callable[[], Sent] = lambda: send(*args, **options)

    def answer(self) -> Any:
        """Send it, and read the answer."""
        return self._send().answer()


class Hand:
    """One thread's turn in a process."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.claims = process.claims
        self.holder = self.claims.holder()

    def claim(self, lane: str = EV, limit: int = 1) -> Sequence[Job]:
        """Claim in a lane."""
        return self.process.claim(self.holder, lane, limit=limit).jobs

    def send(self, *jobs: Job, limit: int = 2) -> Flight:
        """Settle jobs as done, and claim ahead."""
        done = [(job, DONE) for job in jobs]
        flight = self.claims.send(done, "everstrike", holder=self.holder, limit=limit)
        assert flight is not None
        return flight

    def land(self, flight: Flight | None) -> Claimed:
        """Hear of it."""
        assert flight is not None
        landed = self.claims.land(flight, holder=self.holder)
        assert landed is not None
        return landed


def test_one_call_settles_and_claims_while_work_goes_on(process: Process) -> None:
    """What is sent is done before anybody hears of it; what it claimed is in hand only then."""
    bench, hand = process.bench, Hand(process)
    bench.accept("a1", "a2", "a3")
    (job,) = hand.claim()
    flight = hand.send(job)
    eventually(lambda: bench.get(job.id).state is State.DONE, what="the settlement")
    assert process.claims.hand_back() == 0, "nothing is in mid-attempt"
    assert hand.land(flight).jobs == ()
    assert process.take_back() == 2


def test_what_lands_is_worked_off_and_settled_like_any_other(process: Process) -> None:
    """It is leased to the flight, for as long as to anybody."""
    bench, hand = process.bench, Hand(process)
    bench.accept("a1", "a2", "a3")
    flight = hand.send(limit=9)
    landed = hand.land(flight)
    assert [job.attempts for job in landed.jobs] == [1, 1, 1]
    assert {job.claimed_by for job in landed.jobs} == {flight.name}
    assert process.take_back() == 0
    bench.clock.advance(LEASE_MS - 1)
    assert bench.claim("other", limit=9).jobs == ()
    done = [(job, DONE) for job in landed.jobs]
    assert process.claims.settle(done, holder=hand.holder, limit=1).applied
    assert {bench.get(job.id).state for job in landed.jobs} == {State.DONE}


def test_what_cannot_wait_is_never_claimed_ahead(process: Process) -> None:
    """A switch that is due, an urgent cancel, a key's one request at a time: to who is free."""
    bench, hand = process.bench, Hand(process)
    (urgent,) = bench.ledger.accept([new_job("u1", EV2, urgent=True)])
    bench.clock.advance(1)  # so that it is that lane's turn
    bench.accept("a1", "a2")
    assert hand.land(hand.send()).jobs == ()
    assert [job.id for job in bench.claim("other", lane=EV2).jobs] == [urgent.id]
    assert len(hand.land(hand.send()).jobs) == 2
    bench.accept("1", lane=IX)
    flight = process.claims.send([], "indodax", holder=hand.holder, limit=2)
    assert hand.land(flight).jobs == ()
    assert len(bench.claim("other", lane=IX).jobs) == 1
    bench.accept("a3")
    bench.client.zadd("cx:lanes", {f"{EV}:switch": 1})
    landed = hand.land(hand.send())
    assert (landed.jobs, landed.tended) == ((), "")


def test_an_answer_that_is_lost_costs_no_lease(process: Process) -> None:
    """What it settled is offered again, and counts once; what it claimed is due at once."""
    bench, hand = process.bench, Hand(process)
    bench.accept("a1", "a2", "a3")
    (job,) = hand.claim()
    flight = hand.send(job)
    eventually(lambda: bench.get(job.id).state is State.DONE, what="the settlement")
    flight.settling._sent._connection.disconnect()  # type: ignore[no-untyped-call]  # noqa: SLF001
    assert process.claims.land(flight, holder=hand.holder) is None
    assert process.claims.settle([(job, DONE)], holder=hand.holder, limit=0).jobs == ()
    assert (bench.get(job.id).state, bench.get(job.id).attempts) == (State.DONE, 1)
    assert process.take_back() == 2
    assert len(bench.claim("other", lane=EV, limit=9).jobs) == 2


def test_with_redis_out_of_reach_what_is_to_be_settled_is_settled_first(
    process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is under way then, and nothing has been claimed."""
    bench, hand = process.bench, Hand(process)
    bench.accept("a1", "a2")
    (job,) = hand.claim()

    def away(*_: object, **__: object) -> Sent:
        raise StoreUnavailable("away")

    monkeypatch.setattr(Deaf, "send", away)
    done = [(job, DONE)]
    assert process.claims.send(done, "everstrike", holder=hand.holder, limit=2) is None
    assert bench.get(job.id).state is State.DONE
    assert process.take_back() == 0


def test_a_script_that_redis_has_forgotten_is_run_all_the_same(process: Process) -> None:
    """As after a restart: it is told the whole of it."""
    bench, hand = process.bench, Hand(process)
    bench.accept("a1")
    hand.land(hand.send(limit=0))
    bench.client.script_flush()
    assert len(hand.land(hand.send()).jobs) == 1


def test_a_worker_that_must_end_gives_up_what_is_in_flight(process: Process) -> None:
    """It is due at once; who hears of it later does not begin it, nor count it twice."""
    bench, hand = process.bench, Hand(process)
    bench.accept("a1", "a2", "a3")
    (job,) = hand.claim()
    flight = hand.send()
    eventually(lambda: bench.client.zcount("cx:due:" + EV, "-inf", bench.clock.now_ms) == 0)
    assert process.claims.hand_back() == 1
    assert process.take_back() == 2
    assert hand.land(flight).jobs == ()
    taken = bench.claim("other", lane=EV, limit=9).jobs
    assert sorted(job.attempts for job in taken) == [1, 1, 2]
    assert [each.lost for each in taken if each.id == job.id] == [True]


def test_a_thread_that_crashes_leaves_nothing_leased(process: Process) -> None:
    """A flight that is dropped is returned, and its connection is used no more."""
    bench, hand = process.bench, Hand(process)
    bench.accept("a1", "a2")
    flight = hand.send()
    eventually(lambda: bench.client.zcount("cx:due:" + EV, "-inf", bench.clock.now_ms) == 0)
    process.claims.drop(flight)
    assert flight.settling._sent._connection._sock is None  # noqa: SLF001
    process.claims.leave(hand.holder)
    assert process.take_back() == 2
    assert len(bench.claim("other", lane=EV, limit=9).jobs) == 2


def never_late(monkeypatch: pytest.MonkeyPatch, late_ms: int = 60_000) -> None:
    """Let nothing count as late, whatever holds the machine up, and no turn end."""
    for name in LATE:
        monkeypatch.setattr(f"worker.{name}", late_ms)
    monkeypatch.setattr("worker.dispatch.dispatcher.TURN_MS", 60_000)


class Fast(BatchSizing):
    """That of an exchange which is known to be fast, whatever holds the machine up."""

    def __init__(self) -> None:
        super().__init__()
        for _ in range(50):
            super().learn(0.2, 0.2)

    def learn(self, took_ms: float, cpu_ms: float) -> None:
        """Learn no more."""


def test_behind_what_hangs_it_goes_back_to_others(process: Process, later: Later) -> None:
    """The sweep returns what nobody has come to hear of; who does then, begins none of it."""
    bench, hand = process.bench, Hand(process)
    bench.accept("a1", "a2", "a3")
    (job,) = hand.claim()
    flight = hand.send(job, limit=1)
    assert process.take_back() == 0
    later.pass_ms(FLUSH_MS + 1)
    eventually(lambda: process.take_back() == 1, what="what was claimed returned")
    assert len(bench.claim("other", lane=EV, limit=9).jobs) == 2
    assert hand.land(flight).jobs == ()
    assert process.take_back() == 0, "what another has by now is taken from it"
    assert bench.get(job.id).state is State.DONE


def test_what_has_landed_is_not_returned(process: Process, later: Later) -> None:
    """However long it takes from then on: it is in hand, and begun."""
    bench, hand = process.bench, Hand(process)
    bench.accept("a1", "a2")
    flight = hand.send()
    landed = hand.land(flight)
    later.pass_ms(10 * FLUSH_MS)
    assert process.take_back() == 0
    assert {bench.get(job.id).claimed_by for job in landed.jobs} == {flight.name}


def test_what_is_put_back_twice_is_put_back_once(process: Process) -> None:
    """As when Redis had done it, and nobody heard: no attempt is taken off that was made."""
    bench, hand = process.bench, Hand(process)
    bench.accept("a1")
    (job,) = hand.claim()
    wait = Attempted(Settlement(Verb.WAIT))
    for _ in range(3):
        process.claims.settle([(job, wait)], holder=hand.holder, limit=0)
    assert bench.get(job.id).attempts == 0
    assert bench.take("other", lane=EV).attempts == 1


def test_a_record_of_nonsense_holds_up_none_of_its_chunk(process: Process) -> None:
    """Nor one of a later version, whatever it counts."""
    bench = process.bench
    ids = [accepted.id for accepted in bench.accept("a1", "a2", "a3")]
    bench.client.hset(f"cx:job:{ids[1]}", mapping={"attempts": "many", "claim": "x"})
    bench.client.hset(f"cx:job:{ids[2]}", mapping={"v": 9, "urgent": 1, "attempts": "[2]"})
    jobs = bench.claim(lane=EV, limit=9).jobs
    assert {(job.id, job.attempts, job.claim) for job in jobs} == {(id_, 1, 1) for id_ in ids[:2]}
    assert bench.claim("other", lane=EV, limit=9).jobs == ()


class Watched(BatchRunner):
    """Says what it works on."""

    claims: Leases
    chunks: list[tuple[int, bool, int]]
    """How many jobs, whether they were claimed ahead, and how many were put back."""

    def work(
        self, crew: ExchangeThreads, claimed: Claimed, since_ms: float, *, put_back: bool
    ) -> Work:
        """Work, and say so."""
        work = super().work(crew, claimed, since_ms, put_back=put_back)
        back = sum(each.settlement.verb is Verb.WAIT for _, each in work.done)
        holder = claimed.jobs[0].claimed_by
        ahead = holder not in self.claims._in_hand  # noqa: SLF001  then it is a flight's
        self.chunks.append((len(work.done), ahead, back))
        return work


@dataclass(frozen=True)
class Turning:
    """A worker's engine that knows its exchange to be fast, and what it works on."""

    engine: Dispatcher
    watched: Watched

    @property
    def chunks(self) -> list[tuple[int, bool, int]]:
        """What it has worked on."""
        return self.watched.chunks

    def run(self) -> None:
        """Have one thread its turn."""
        self.engine.run_exchange("everstrike")


def turning(world: World) -> Turning:
    """Return an engine of this process."""
    engine = build_dispatcher(world.settings())
    engine.register()
    engine._crews["everstrike"].pace = Fast()  # noqa: SLF001
    watched = engine._attempts  # noqa: SLF001
    watched.__class__ = Watched
    assert isinstance(watched, Watched)
    watched.claims, watched.chunks = engine._claims, []  # noqa: SLF001
    return Turning(engine, watched)


def work_off(engine: Turning, tickets: Sequence[Ticket]) -> None:
    """Have one thread do all of it; each needs one attempt, and is proven."""

    def done() -> bool:
        engine.run()
        return all(ticket.result().state == "done" for ticket in tickets)

    eventually(done, within_ms=60_000, what="all of them done")
    assert {ticket.result().outcome for ticket in tickets} == {Outcome.CANCELED}
    assert {ticket.result().attempts for ticket in tickets} == {1}


def test_a_backlog_is_worked_off_without_waiting_for_redis(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All but the first chunks are claimed ahead; each order is sent once, and proven."""
    never_late(monkeypatch)
    engine = turning(world)
    work_off(engine, world.producer().cancel_many("ev", world.place("ev", MANY)))
    assert engine.chunks == [(CHUNK_MAX, n > 1, 0) for n in range(MANY // CHUNK_MAX)]
    sent = [each for each in world.sim.journal() if each.path.endswith("/auth/cancel")]
    assert len(sent) == MANY


def test_a_turn_ends_with_what_has_been_claimed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread that has had its turn claims no more, and leaves nothing leased."""
    never_late(monkeypatch)
    engine = turning(world)
    world.producer().cancel_many("ev", world.place("ev", MANY))
    goes_on = Dispatcher._goes_on  # noqa: SLF001

    def for_three(self: Dispatcher, exchange: str, started: float, turn_ms: float | None) -> bool:
        return len(engine.chunks) < 3 and goes_on(self, exchange, started, turn_ms)

    monkeypatch.setattr(Dispatcher, "_goes_on", for_three)
    engine.run()
    assert [size for size, _, _ in engine.chunks] == [CHUNK_MAX] * 4
    left = world.ledger().pending(limit=MANY)
    assert len(left) == MANY - 4 * CHUNK_MAX
    assert {job.claimed_by for job in left} == {None}


def test_few_jobs_are_left_to_who_is_free(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is claimed ahead of what nobody is behind with."""
    never_late(monkeypatch)
    engine = turning(world)
    world.producer().cancel_many("ev", world.place("ev", CHUNK_MAX))
    engine.run()
    assert [ahead for _, ahead, _ in engine.chunks] == [False]


def test_what_waited_too_long_is_put_back_and_done_all_the_same(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What comes too late is not begun; what is claimed anew is, and others' lanes go on."""
    never_late(monkeypatch)
    engine = turning(world)
    late = threading.Event()
    send = Leases.send

    def long_ago(self: Leases, *args: Any, **options: Any) -> Flight | None:
        flight = send(self, *args, **options)
        if flight is None or late.is_set():
            return flight
        late.set()
        return replace(flight, sent_ms=flight.sent_ms - 60_001)

    monkeypatch.setattr(Leases, "send", long_ago)
    work_off(engine, world.producer().cancel_many("ev", world.place("ev", MANY)))
    assert late.is_set()
    claimed_ahead = [ahead for _, ahead, _ in engine.chunks]
    late_one = claimed_ahead.index(True)
    assert engine.chunks[late_one][2] == CHUNK_MAX, "it was begun"
    assert engine.chunks[late_one + 1][2] == 0, "what is claimed next is not"


def test_what_waited_while_redis_was_away_is_not_begun(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its lease may be over: it is due as before, and nothing is told of it that never was."""
    never_late(monkeypatch)
    engine = turning(world)
    away = threading.Event()
    send = Ledger.send_settlement

    def once(self: Ledger, settled: Any, **options: Any) -> Settling:
        if settled and not away.is_set():
            away.set()
            raise StoreUnavailable("away")
        return send(self, settled, **options)

    monkeypatch.setattr(Ledger, "send_settlement", once)
    work_off(engine, world.producer().cancel_many("ev", world.place("ev", MANY)))
    assert away.is_set()
    put_back = [(ahead, back) for _, ahead, back in engine.chunks if back]
    assert put_back == [(True, CHUNK_MAX)]


def test_what_redis_refuses_an_attempt_is_not_tried_again_at_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redis may give out jobs and yet not do what their attempts need: the lane rests."""
    engine = turning(world)
    (ticket,) = world.producer().cancel_many("ev", world.place("ev", 1))
    attempt = BatchRunner._attempt  # noqa: SLF001
    refused = []

    def refuse(self: BatchRunner, jobs: Sequence[Job], *args: int) -> list[Attempted]:
        refused.append(clock.monotonic_ms())
        if len(refused) > 3:
            return attempt(self, jobs, *args)
        raise StoreUnavailable("NOPERM")

    monkeypatch.setattr(BatchRunner, "_attempt", refuse)
    work_off(engine, [ticket])
    assert len(refused) == 4
    assert all(b - a >= STORE_RETRY_MS / 2 for a, b in itertools.pairwise(refused))


def test_what_is_lost_again_while_it_is_asked_for_is_asked_for_again(
    process: Process, later: Later, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redis carries out a flight's claim after the sweep has looked for it in vain."""
    bench, hand = process.bench, Hand(process)
    sent = process.deaf.send
    monkeypatch.setattr(process.deaf, "send", lambda *args, **options: Unsent(sent, args, options))
    flight = hand.send(limit=9)
    bench.accept("a1", "a2")
    later.pass_ms(2 * FLUSH_MS)
    asked = process.claims._ledger.take_back  # noqa: SLF001
    landed: list[Claimed] = []

    def ask(lane: str, holders: Any) -> int:
        count = asked(lane, holders)
        if lane == EV and not landed:
            landed.append(hand.land(flight))
        return count

    monkeypatch.setattr(process.claims._ledger, "take_back", ask)  # noqa: SLF001
    assert process.take_back() == 0
    assert [claimed.jobs for claimed in landed] == [()]
    assert process.take_back() == 2
    assert len(bench.claim("other", lane=EV, limit=9).jobs) == 2


def test_a_redis_far_away_is_worked_for_all_the_same(
    world: World, later: Later, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What its answers take is no waiting behind other work: nothing is put back for it."""
    late_ms = 30_000
    never_late(monkeypatch, late_ms)
    monkeypatch.setattr("worker.dispatch.dispatcher.TURN_MS", 100 * late_ms)
    world.tables["jobs"] = {"lease_ms": 100 * late_ms, "max_age_ms": 200 * late_ms}
    engine = turning(world)
    read = Settling.claimed

    def slow(self: Settling) -> Claimed:
        later.pass_ms(2 * late_ms)
        engine.engine._look()  # noqa: SLF001  as the sweep does meanwhile
        return read(self)

    settle = Leases.settle

    def slower(self: Leases, *args: Any, **options: Any) -> Claimed:
        later.pass_ms(2 * late_ms)
        return settle(self, *args, **options)

    monkeypatch.setattr(Settling, "claimed", slow)
    monkeypatch.setattr(Leases, "settle", slower)
    work_off(engine, world.producer().cancel_many("ev", world.place("ev", MANY)))
    assert any(ahead for _, ahead, _ in engine.chunks)
    assert sum(back == CHUNK_MAX for _, _, back in engine.chunks) == 0


def test_an_attempt_is_never_dated_later_than_it_was_made(world: World) -> None:
    """By Redis's clock, however long ago its claim was asked for."""
    engine = turning(world)
    jobs = world.ledger().accept([new_job("a1", EV)])
    claimed = engine.engine._claims.claim("everstrike", holder="x", limit=1, lane=EV, job_id="")  # noqa: SLF001
    crew = engine.engine._crews["everstrike"]  # noqa: SLF001
    asked_ms = clock.monotonic_ms() - 500
    work = engine.watched.work(crew, claimed, asked_ms, put_back=False)
    now_ms = world.ledger().now_ms()
    ((job, attempted),) = work.done
    assert job.id == jobs[0].id
    assert claimed.now_ms <= json.loads(attempted.settlement.line)["at_ms"] <= now_ms


def test_a_lane_that_is_told_to_rest_rests(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a 429 nothing else of its chunk is sent, nor of what was claimed meanwhile."""
    never_late(monkeypatch)
    engine = turning(world)
    world.producer().cancel_many("ev", world.place("ev", MANY))
    before = 3 * CHUNK_MAX + 5
    rest = Settlement(Verb.AGAIN, outcome=Outcome.THROTTLED, phase="send", pause_ms=60_000)
    attempt = BatchRunner._attempt  # noqa: SLF001
    attempted = 0

    def throttled(self: BatchRunner, jobs: Sequence[Job], *args: int) -> list[Attempted]:
        nonlocal attempted
        attempted += 1
        return [Attempted(rest)] if attempted > before else attempt(self, jobs, *args)

    monkeypatch.setattr(BatchRunner, "_attempt", throttled)
    engine.run()
    assert attempted == before + 1
    assert engine.chunks[-1] == (CHUNK_MAX, True, CHUNK_MAX)
