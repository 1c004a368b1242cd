"""A small model of the ledger, and random histories that hold the real one to it."""

from __future__ import annotations

import itertools
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.support.ledgers import EV, EV2, IX, LEASE_MS, Bench, Verb, new_job
from worker.model.jobs import Job, State
from worker.model.outcomes import Outcome
from worker.model.settlements import Claimed

LANES = (EV, EV2, IX)
ORDERS = ("a1", "a2", "a3")
EXCHANGES = ("everstrike", "indodax")
URGENT_LEASE_MS = 1_800
BRIEF = st.sampled_from((0, 1, 40, LEASE_MS // 2, LEASE_MS))


@dataclass
class Known:
    """One job as it must be.

    `due_ms` is when it may next be claimed, `place_ms` where a job that
    only waited comes due again; `single` if it was accepted alone.
    """

    @property
    def kind(self) -> str:
        """Which share of the attempts it has."""
        if self.doubtful:
            return "doubtful"
        return "urgent" if self.urgent else "single" if self.single else "bulk"

    id: str
    lane: str
    order_id: str
    due_ms: int
    place_ms: int
    claim: int = 0
    attempts: int = 0
    held_by: str = ""
    single: bool = False
    urgent: bool = False
    doubtful: bool = False
    ended: Outcome | None = None
    state: State = State.PENDING


@dataclass
class Held:
    """A lease as its holder knows it; it may have been taken over since."""

    job: Job
    holder: str
    until_ms: int


@dataclass
class Runs:
    """Attempts made in a row of kinds that go first; see `lib/turns.lua`."""

    urgent: int = 0
    single: int = 0
    clear: int = 0

    def note(self, kind: str) -> None:
        """Count an attempt."""
        if kind == "doubtful":
            self.clear = 0
            return
        self.clear = min(9, self.clear + 1)
        if kind == "urgent":
            self.urgent = min(4, self.urgent + 1)
            return
        self.urgent = 0
        self.single = min(3, self.single + 1) if kind == "single" else 0

    def next_kind(self, waiting: Collection[str]) -> str:
        """Return whose turn it is, of the kinds that wait; empty if none does."""
        rest = {"single", "bulk"} & set(waiting)
        if "doubtful" in waiting and (self.clear >= 9 or len(waiting) == 1):
            return "doubtful"
        if "urgent" in waiting and (self.urgent < 4 or not rest):
            return "urgent"
        if "single" in rest and (self.single < 3 or "bulk" not in rest):
            return "single"
        return "bulk" if rest else ""


@dataclass
class LaneModel:
    """When a lane may be claimed from."""

    serial: bool
    not_before_ms: int = 0
    held_by: str = ""
    held_until_ms: int = 0
    jobs: dict[str, Known] = field(default_factory=dict)
    named: list[str] = field(default_factory=list)
    """Single jobs in the order in which they go, the next one last."""
    runs: Runs = field(default_factory=Runs)

    def next_due(self, now_ms: int, limit: int) -> list[Known]:
        """Take names off the list and return what a claim must find, in order."""
        due = [
            job for job in self.jobs.values() if job.state is State.PENDING and job.due_ms <= now_ms
        ]
        due.sort(key=lambda job: (job.due_ms, job.id))
        names: list[Known] = []
        while due and self.named and len(names) < limit:
            job = self.jobs[self.named.pop()]
            if job in due and job not in names:
                names.append(job)
        waiting = {
            "urgent": [job for job in due if job.kind == "urgent"],
            "doubtful": [job for job in due if job.kind == "doubtful"],
            "single": list(names),
            "bulk": [job for job in due if job.kind in ("single", "bulk")],
        }
        found: list[Known] = []
        runs = replace(self.runs)
        while len(found) < limit:
            kind = runs.next_kind([kind for kind, jobs in waiting.items() if jobs])
            if not kind:
                break
            job = waiting[kind][0]
            found.append(job)
            waiting = {name: [it for it in jobs if it != job] for name, jobs in waiting.items()}
            runs.note(kind)
        self.named += [job.id for job in reversed(names) if job not in found]
        return found

    def may_pass(self, now_ms: int) -> bool:
        """Return whether a job that is asked for by name goes ahead of those that wait."""
        due = [
            job.kind
            for job in self.jobs.values()
            if job.state is State.PENDING and job.due_ms <= now_ms
        ]
        return len(due) <= 1 or (
            self.runs.single < 3
            and (self.runs.urgent >= 4 or "urgent" not in due)
            and (self.runs.clear < 9 or "doubtful" not in due)
        )

    def ready_ms(self) -> int:
        """Return the first moment at which any job of the lane may be claimed."""
        return max(self.not_before_ms, self.held_until_ms if self.serial else 0)

    def first_ms(self) -> int | None:
        """Return the first moment at which one of its jobs is claimable; None for none."""
        due = [job.due_ms for job in self.jobs.values() if job.state is State.PENDING]
        return max(min(due), self.ready_ms()) if due else None


class LedgerMachine(RuleBasedStateMachine):
    """Accepts, claims, settles, loses holders and lets time pass, in any order."""

    url = ""

    @initialize()
    def open(self) -> None:
        """Begin with an empty Redis."""
        self.bench = Bench(self.url, register=False)
        self.bench.client.flushall()
        self.bench = Bench(self.url)
        self.model = {lane: LaneModel(serial=lane == IX) for lane in LANES}
        self.held: list[Held] = []
        self.names = itertools.count(1)

    def holder(self) -> str:
        """Return a claimant that holds nothing yet."""
        return f"w{next(self.names)}"

    @property
    def now_ms(self) -> int:
        """The time."""
        return self.bench.clock.now_ms

    @rule(
        lane=st.sampled_from(LANES),
        orders=st.lists(st.sampled_from(ORDERS), min_size=1, max_size=3),
        urgent=st.booleans(),
    )
    def accept(self, lane: str, orders: list[str], *, urgent: bool) -> None:
        """Enqueue; an order that is pending is the job that it is."""
        # Ids of its own making, since what is drawn must not depend on chance.
        new = [
            new_job(order_id, lane, id=f"j{next(self.names)}", urgent=urgent) for order_id in orders
        ]
        for order_id, accepted in zip(orders, self.bench.ledger.accept(new), strict=True):
            jobs = self.model[lane].jobs
            pending = [
                job.id
                for job in jobs.values()
                if job.order_id == order_id and job.state is State.PENDING
            ]
            if pending:
                assert (accepted.id, accepted.fresh) == (pending[0], False)
                if urgent:
                    self.hasten(jobs[pending[0]])
            else:
                assert accepted.fresh
                assert accepted.id not in jobs
                at_ms = self.now_ms
                jobs[accepted.id] = Known(
                    accepted.id,
                    lane,
                    order_id,
                    at_ms,
                    at_ms,
                    single=len(orders) == 1,
                    urgent=urgent,
                )

    def hasten(self, job: Known) -> None:
        """A pending job becomes urgent, unless it is."""
        if job.urgent:
            return
        job.urgent, job.doubtful = True, False
        until_ms = self.now_ms + URGENT_LEASE_MS if job.held_by else self.now_ms
        job.due_ms, job.place_ms = min(job.due_ms, until_ms), min(job.place_ms, self.now_ms)

    @rule(exchange=st.sampled_from(EXCHANGES))
    def claim_any(self, exchange: str) -> None:
        """Take what is due of an exchange; there is something exactly if a lane has it."""
        holder = self.holder()
        claimed = self.bench.claim(holder, exchange=exchange)
        self.check_any(claimed, exchange, holder)

    @rule(lane=st.sampled_from(LANES), limit=st.integers(1, 3))
    def claim_lane(self, lane: str, limit: int) -> None:
        """Take the earliest of a lane."""
        holder = self.holder()
        model = self.model[lane]
        open_now = model.ready_ms() <= self.now_ms
        most = 1 if model.serial else limit
        wanted = model.next_due(self.now_ms, most) if open_now else []
        claimed = self.bench.claim(holder, lane=lane, limit=limit)
        assert [model.jobs[job.id].due_ms for job in claimed.jobs] == [job.due_ms for job in wanted]
        self.note(claimed, holder)

    @rule(lane=st.sampled_from(LANES), order_id=st.sampled_from(ORDERS))
    def claim_job(self, lane: str, order_id: str) -> None:
        """Take one job by name."""
        holder = self.holder()
        model = self.model[lane]
        jobs = [job for job in model.jobs.values() if job.order_id == order_id]
        if not jobs:
            return
        job = jobs[-1]
        free = (
            job.state is State.PENDING
            and job.due_ms <= self.now_ms
            and model.ready_ms() <= self.now_ms
        )
        if job.state is State.PENDING and job.due_ms <= self.now_ms and not free:
            model.named.insert(0, job.id)
        wanted = [job] if free else []
        if free and not model.may_pass(self.now_ms):
            model.named.append(job.id)
            wanted = model.next_due(self.now_ms, 1)
        claimed = self.bench.claim(holder, lane=lane, job_id=job.id)
        assert [model.jobs[each.id].due_ms for each in claimed.jobs] == [
            each.due_ms for each in wanted
        ]
        assert [model.jobs[each.id].kind for each in claimed.jobs] == [each.kind for each in wanted]
        self.note(claimed, holder)

    @precondition(lambda self: self.held)
    @rule(
        which=st.integers(0, 99),
        verb=st.sampled_from(list(Verb)),
        delay_ms=BRIEF,
        pause_ms=BRIEF,
        limit=st.integers(0, 1),
        doubtful=st.booleans(),
    )
    def settle(
        self,
        which: int,
        verb: Verb,
        delay_ms: int,
        pause_ms: int,
        limit: int,
        *,
        doubtful: bool,
    ) -> None:
        """Report an attempt, in time or late."""
        held = self.held.pop(which % len(self.held))
        model = self.model[held.job.lane]
        job = model.jobs[held.job.id]
        ours = job.state is State.PENDING and job.claim == held.job.claim
        applied = ours or (job.state is State.PENDING and verb is Verb.DONE)
        settled = self.bench.settle(
            held.job,
            verb,
            held.holder,
            limit=limit,
            delay_ms=delay_ms,
            pause_ms=pause_ms,
            doubtful=doubtful,
        )
        assert settled.applied is applied
        if ours and verb is not Verb.WAIT:
            model.runs.note(job.kind)
        if applied:
            self.apply(job, verb, delay_ms, doubtful=doubtful)
        if pause_ms:
            model.not_before_ms = max(model.not_before_ms, self.now_ms + pause_ms)
        if model.held_by == held.holder:
            model.held_by, model.held_until_ms = "", 0
        if limit:
            self.check_any(settled, held.job.exchange, held.holder)
        else:
            assert settled.jobs == ()

    @rule(ms=st.sampled_from((1, 40, LEASE_MS // 2, LEASE_MS, LEASE_MS)))
    def advance(self, ms: int) -> None:
        """Let time pass."""
        self.bench.clock.advance(ms)

    @precondition(lambda self: self.held)
    @rule(which=st.integers(0, 99))
    def lose(self, which: int) -> None:
        """Kill a holder: it never reports."""
        self.held.pop(which % len(self.held))

    @precondition(lambda self: self.held)
    @rule(which=st.integers(0, 99))
    def take_back(self, which: int) -> None:
        """A holder never got the reply to a claim in a lane, and returns it, perhaps late."""
        lost = self.held[which % len(self.held)]
        holder, lane = lost.holder, lost.job.lane
        self.held = [each for each in self.held if (each.holder, each.job.lane) != (holder, lane)]
        model = self.model[lane]
        had = [
            job
            for job in model.jobs.values()
            if job.state is State.PENDING and job.held_by == holder and job.due_ms > self.now_ms
        ]
        assert self.bench.ledger.take_back(lane, [holder]) == len(had)
        # The earliest last, so that of single ones it is the next.
        for job in sorted(had, key=lambda job: (job.due_ms, job.id), reverse=True):
            self.apply(job, Verb.WAIT, 0)
        if model.held_by == holder:
            model.held_by, model.held_until_ms = "", 0

    @precondition(lambda self: self.held)
    @rule(which=st.integers(0, 99))
    def take_over(self, which: int) -> None:
        """Let a lease run out and another claim the job; the first may yet report."""
        held = self.held[which % len(self.held)]
        model = self.model[held.job.lane]
        until_ms = max(held.until_ms, model.jobs[held.job.id].due_ms, model.ready_ms())
        self.bench.clock.set(max(self.now_ms, until_ms))
        holder = self.holder()
        job = model.jobs[held.job.id]
        wanted = [job] if job.state is State.PENDING else []
        if wanted and not model.may_pass(self.now_ms):
            model.named.append(job.id)
            wanted = model.next_due(self.now_ms, 1)
        claimed = self.bench.claim(holder, lane=held.job.lane, job_id=held.job.id)
        assert [model.jobs[each.id].due_ms for each in claimed.jobs] == [
            each.due_ms for each in wanted
        ]
        self.note(claimed, holder)

    def apply(self, job: Known, verb: Verb, delay_ms: int, *, doubtful: bool = False) -> None:
        """Change the model as a settlement that counts must change the ledger."""
        job.held_by = ""
        match verb:
            case Verb.DONE:
                job.state, job.ended = State.DONE, Outcome.CANCELED
            case Verb.DEAD:
                job.state, job.ended = State.DEAD, Outcome.UNKNOWN
            case Verb.AGAIN:
                job.due_ms = job.place_ms = self.now_ms + delay_ms
                job.doubtful = doubtful
            case Verb.WAIT:
                job.attempts -= 1
                job.due_ms = job.place_ms
                if job.single and not job.doubtful:
                    self.model[job.lane].named.append(job.id)

    def check_any(self, claimed: Claimed, exchange: str, holder: str) -> None:
        """A claim of an exchange finds something exactly if there is something."""
        claimable = [
            first
            for lane, model in self.model.items()
            if lane.startswith(exchange + ":") and (first := model.first_ms()) is not None
        ]
        assert bool(claimed.jobs) is any(first <= self.now_ms for first in claimable)
        for job in claimed.jobs:
            model = self.model[job.lane]
            (wanted,) = model.next_due(self.now_ms, 1)
            assert model.jobs[job.id].due_ms == wanted.due_ms
            assert model.jobs[job.id].kind == wanted.kind
        self.note(claimed, holder)

    def note(self, claimed: Claimed, holder: str) -> None:
        """Record leases; in a serial lane there must be no other."""
        for job in claimed.jobs:
            model = self.model[job.lane]
            known = model.jobs[job.id]
            assert known.state is State.PENDING
            assert known.due_ms <= self.now_ms
            assert model.ready_ms() <= self.now_ms
            lease_ms = LEASE_MS
            if known.urgent:
                lease_ms = min(LEASE_MS, URGENT_LEASE_MS * (known.attempts + 1))
            if model.serial:
                live = [
                    held
                    for held in self.held
                    if held.job.lane == job.lane and held.until_ms > self.now_ms
                ]
                assert not live, "two live holders in a serial lane"
                assert len(claimed.jobs) == 1
                model.held_by, model.held_until_ms = holder, self.now_ms + lease_ms
            known.claim += 1
            known.attempts += 1
            lost = bool(known.held_by)
            assert (job.claim, job.attempts) == (known.claim, known.attempts)
            if lost:
                assert job.lost
                assert job.history[-1]["by"] == known.held_by
            known.held_by = holder
            known.due_ms = self.now_ms + lease_ms
            self.held.append(Held(job, holder, self.now_ms + lease_ms))

    @invariant()
    def no_job_is_lost(self) -> None:
        """Every accepted job is due at its time, or has ended; never neither, never both."""
        for lane, model in self.model.items():
            rows: Any = self.bench.client.zrange(f"cx:due:{lane}", 0, -1, withscores=True)
            pending = {
                job.id: job.due_ms for job in model.jobs.values() if job.state is State.PENDING
            }
            assert {name: int(score) for name, score in rows} == pending
            known = self.bench.ledger.many(list(model.jobs))
            for job, found in zip(model.jobs.values(), known, strict=True):
                assert found is not None
                assert (found.state, found.attempts) == (job.state, job.attempts)
                if job.ended:
                    assert found.outcome is job.ended

    @invariant()
    def each_job_is_of_one_class(self) -> None:
        """What is urgent is indexed as such, at its time; what is doubtful as that."""
        for lane, model in self.model.items():
            for kind in ("urgent", "doubtful"):
                rows: Any = self.bench.client.zrange(f"cx:{kind}:{lane}", 0, -1, withscores=True)
                wanted = {
                    job.id: job.due_ms
                    for job in model.jobs.values()
                    if job.state is State.PENDING and job.kind == kind
                }
                found = {name: int(score) for name, score in rows}
                if kind == "doubtful":  # what a merge makes urgent is left there, until it is met
                    found = {name: at_ms for name, at_ms in found.items() if name in wanted}
                assert found == wanted

    @invariant()
    def every_lane_is_looked_at_in_time(self) -> None:
        """The index of lanes holds each lane that has jobs, never later than it may be claimed."""
        rows: Any = self.bench.client.zrange("cx:lanes", 0, -1, withscores=True)
        index = dict(rows)
        for lane, model in self.model.items():
            first = model.first_ms()
            if first is None:
                assert lane not in index
            else:
                assert index[lane] <= max(first, self.now_ms)

    @invariant()
    def one_pending_job_an_order(self) -> None:
        """What is called pending is, and each order has one such job."""
        for lane, model in self.model.items():
            known: Any = self.bench.client.hgetall(f"cx:pending:{lane}")
            assert sorted(known.values()) == sorted(
                job.id for job in model.jobs.values() if job.state is State.PENDING
            )
