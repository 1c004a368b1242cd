"""The life of jobs: accept, merge, claim, settle, hand back, take back, and lost workers.

One strategy places orders and has them canceled; two workers claim, send, read
and settle. The result of each call and when it runs is the adversary's choice.
The scripts and the decisions (`retries.decide`) are the real ones.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Hashable, Iterator
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import NamedTuple

from tests.explore.image import Content, Late, Staged
from tests.support.stepped_time import START_MS
from worker.config.settings import Jobs as Budgets
from worker.model.jobs import Job, Kind, NewJob, Phase, State
from worker.model.outcomes import (
    Answer,
    Closed,
    OpenOrder,
    OpenOrders,
    OrderReport,
    OrderState,
    Outcome,
    ScopeCanceled,
    Unproven,
)
from worker.model.settlements import Settlement
from worker.policy.retries import decide
from worker.store.ledger import Ledger

What = tuple[object, ...]
"""A script call: its name and arguments."""
Move = tuple[str, "Callable[[], World]", bool]
"""Its words, its effect, and whether it is a fault."""
EXCHANGE = "everstrike"
PAIR = "btc_idr"
DIGEST = "these-lanes"
LEASE_MS = 10_000
TICK_MS = 6_000
VALID_MS = 1_000
CALLS_TO_END = 200
"""Claims after which every job has ended: a scope is listed every 250 ms while a dead worker's
lease on one of its orders lasts."""
SINGLE = 1
"""The order that is canceled by its id; the others are canceled with their scope."""


class Zero(random.Random):
    """No jitter."""

    def randrange(self, *_: object) -> int:
        """Return 0."""
        return 0


class Worker(NamedTuple):
    """A worker between two of its steps.

    Attributes:
        holder: The name under which it claims; another after each loss.
        at: idle, unheard (its claim was not answered), holding, children or
            deciding (an attempt has been made and is to be settled).
        job: What it holds.
        until_ms: When its lease ends, as it knows.
        answer: What the exchange answered.
        left: Steps that it may still make.
    """

    holder: str
    at: str
    left: int
    job: Job | None = None
    until_ms: int = 0
    answer: Answer | None = None


class Call(NamedTuple):
    """A script call that its caller has given up and that may run yet."""

    words: str
    what: What
    until_ms: int


class Promise(NamedTuple):
    """What the strategy was answered: this job, and the orders that it covers."""

    job: str
    orders: int


class World(NamedTuple):
    """One state of everything."""

    image: bytes
    now_ms: int
    ticks: int
    faults: int
    """How much may still go wrong."""
    strategy: int
    """Steps that the strategy may still make."""
    placed: int
    """Orders placed so far; order n is bit n."""
    open: int
    workers: tuple[Worker, Worker]
    wire: tuple[Call, ...]
    promises: frozenset[Promise]


class JobsModel:
    """Every history of jobs in one lane within a scope.

    Args:
        url: A Redis that this may empty.
        steps: Steps of each worker.
        asks: Steps of the strategy.
        ticks: How often time passes, by more than half a lease.
        faults: How many calls and requests fail, and workers die.
        serial: Whether the lane takes one request at a time.
        scope: Whether the strategy also cancels a whole scope.
        planted: A bug; see `Staged`.
    """

    def __init__(
        self,
        url: str,
        *,
        steps: int,
        asks: int,
        ticks: int,
        faults: int,
        serial: bool = False,
        scope: bool = True,
        planted: tuple[str, str] | None = None,
    ) -> None:
        self.staged = Staged(url, planted)
        self.ledger = Ledger(self.staged, digest=DIGEST)
        self.steps, self.asks, self.ticks, self.faults = steps, asks, ticks, faults
        self.serial, self.scope = serial, scope
        self.lane = f"{EXCHANGE}:ev"
        self._ended: set[int] = set()

    def start(self) -> World:
        """Return a Redis that knows the account, and nothing else."""
        self.staged.now_ms = START_MS
        self.staged.until_ms = START_MS + VALID_MS
        self.ledger.register([("ev", EXCHANGE, int(self.serial))])
        workers = (Worker("w00", "idle", self.steps), Worker("w01", "idle", self.steps))
        return World(
            image=self.staged.image,
            now_ms=START_MS,
            ticks=self.ticks,
            faults=self.faults,
            strategy=self.asks,
            placed=0,
            open=0,
            workers=workers,
            wire=(),
            promises=frozenset(),
        )

    def key(self, state: World) -> tuple[Hashable, tuple[int, ...]]:
        """Return the state, the same for one in which the workers have changed places."""
        first, second = state.workers
        left = (state.strategy, state.ticks, state.faults, first.left, second.left)
        state = state._replace(
            strategy=0, ticks=0, faults=0, workers=(first._replace(left=0), second._replace(left=0))
        )
        first, second = state.workers
        swapped = _swap(state.image, first.holder, second.holder)
        other = state._replace(
            image=swapped,
            workers=(_renamed(second, first.holder), _renamed(first, second.holder)),
            wire=tuple(_renamed_call(call, first.holder, second.holder) for call in state.wire),
        )
        one, two = hash(state), hash(other)
        if one < two or (one == two and left[3] >= left[4]):
            return one, left
        return two, (*left[:3], left[4], left[3])

    # What can happen.

    def moves(self, state: World) -> Iterator[tuple[str, Callable[[], World]]]:
        """Return every move: of the strategy, the workers, the wire and the clock."""
        actors: list[Iterator[Move]] = []
        if state.strategy:
            actors.append(self._strategy(state))
        actors += [self._worker(state, n) for n in (0, 1) if state.workers[n].left]
        for words, move, fault in chain(*actors):
            if not fault:
                yield words, move
            elif state.faults:
                yield words, partial(_after, move)
        for call in state.wire:
            yield f"late: {call.words}", partial(self._late, state, call)
        if state.ticks:
            yield f"{TICK_MS} ms pass", lambda: self._tick(state)

    def _tick(self, state: World) -> World:
        now = state.now_ms + TICK_MS
        wire = tuple(call for call in state.wire if call.until_ms > now)
        return state._replace(now_ms=now, ticks=state.ticks - 1, wire=wire)

    def _strategy(self, state: World) -> Iterator[Move]:
        if not state.placed & SINGLE:
            placed = state._replace(placed=SINGLE, open=SINGLE)
            state = placed
        yield from self._asks(state, "cancel(order 0)", ("cancel", SINGLE))
        if self.scope:
            order = 1 << state.placed.bit_length()
            more = state._replace(placed=state.placed | order, open=state.open | order)
            covered = more.placed & ~SINGLE
            yield from self._asks(more, "place, cancel_all()", ("cancel_all", covered))

    def _asks(self, state: World, words: str, what: tuple[str, int]) -> Iterator[Move]:
        name = _unused(state, "j")
        state = state._replace(strategy=state.strategy - 1)
        call: What = ("accept", what[0], name)

        def answered() -> World:
            job, after = self._run(state, call)
            promise = Promise(str(job), what[1])
            return after._replace(promises=after.promises | {promise})

        yield f"strategy: {words}", answered, False
        yield f"strategy: {words}, given up", (lambda: self._given_up(state, words, call)), True

    def _worker(self, state: World, n: int) -> Iterator[Move]:
        call: What
        worker = state.workers[n]
        worker = worker._replace(left=worker.left - 1)
        name = f"worker {n + 1}"
        match worker.at:
            case "idle":
                call = ("claim", worker.holder)
                yield f"{name}: claim", (lambda: self._claimed(state, n, worker, call)), False
                unheard = _put(state, n, worker._replace(at="unheard"))
                yield (
                    f"{name}: claim, given up",
                    (lambda: self._given_up(unheard, "claim", call)),
                    True,
                )
            case "unheard":
                call = ("take_back", worker.holder)
                idle = _without(state, n, worker)
                yield f"{name}: take back", (lambda: self._run(idle, call)[1]), False
                yield f"{name}: dies", (lambda: idle), True
            case "holding":
                assert worker.job is not None
                yield from self._attempts(state, n, worker, worker.job)
                call = ("hand_back", worker.holder, worker.job)
                idle = _without(state, n, worker)
                yield f"{name}: hand back", (lambda: self._run(idle, call)[1]), False
                yield f"{name}: dies", (lambda: idle), True
            case "children":
                assert worker.job is not None
                call = ("children", worker.job, worker.answer)
                then = _put(state, n, worker._replace(at="deciding"))
                yield f"{name}: accept children", (lambda: self._run(then, call)[1]), False
                idle = _without(state, n, worker)
                yield f"{name}: dies", (lambda: idle), True
            case _:
                assert worker.job is not None
                call = ("settle", worker.holder, worker.job, worker.answer)
                idle = _without(state, n, worker)
                yield f"{name}: settle", (lambda: self._run(idle, call)[1]), False
                yield (
                    f"{name}: settle, given up",
                    (lambda: self._given_up(idle, "settle", call)),
                    True,
                )

    def _attempts(self, state: World, n: int, worker: Worker, job: Job) -> Iterator[Move]:
        """Return the possible results of one request, if the lease still lasts."""
        name = f"worker {n + 1}"
        if state.now_ms >= worker.until_ms:
            yield f"{name}: lease is over", (lambda: _without(state, n, worker)), False
            return
        answer, still_open = _exchange(job, state.open)
        done = worker._replace(at="deciding", answer=answer)
        if isinstance(answer, OpenOrders) and answer.orders:
            done = done._replace(at="children")
        sent = state._replace(open=still_open)
        lost = worker._replace(at="deciding", answer=Unproven(Outcome.UNKNOWN, "no reply"))
        yield f"{name}: {job.sends} {job.id}, answered", (lambda: _put(sent, n, done)), False
        yield f"{name}: {job.sends} {job.id}, no reply", (lambda: _put(sent, n, lost)), True
        yield f"{name}: {job.sends} {job.id}, never arrived", (lambda: _put(state, n, lost)), True

    def _claimed(self, state: World, n: int, worker: Worker, call: What) -> World:
        job, after = self._run(state, call)
        if not isinstance(job, Job):
            return _put(after, n, worker)
        held = worker._replace(at="holding", job=job, until_ms=state.now_ms + job.lease_ms)
        return _put(after, n, held)

    def _given_up(self, state: World, words: str, call: What) -> World:
        late = Call(words, call, state.now_ms + VALID_MS)
        return state._replace(wire=(*state.wire, late))

    def _late(self, state: World, call: Call) -> World:
        wire = list(state.wire)
        wire.remove(call)
        state = state._replace(wire=tuple(wire))
        try:
            return self._run(state, call.what, until_ms=call.until_ms)[1]
        except Late:
            return state

    def _run(
        self, state: World, call: What, *, until_ms: int | None = None
    ) -> tuple[object, World]:
        """Run a script on a state; return its answer and what it leaves."""
        staged = self.staged
        staged.image, staged.now_ms = state.image, state.now_ms
        staged.until_ms = state.now_ms + VALID_MS if until_ms is None else until_ms
        staged.sent_ms = staged.until_ms - VALID_MS
        answer: object = None
        match call:
            case ("accept", "cancel", str(name)):
                answer = self._accept(Kind.CANCEL, name)
            case ("accept", _, str(name)):
                answer = self._accept(Kind.CANCEL_ALL, name)
            case ("claim", str(holder)):
                claimed = self.ledger.claim(exchange=EXCHANGE, holder=holder, lease_ms=LEASE_MS)
                answer = _plain(claimed.jobs[0]) if claimed.jobs else None
            case ("take_back", str(holder)):
                self.ledger.take_back(self.lane, [holder])
            case ("hand_back", str(holder), Job() as job):
                self.ledger.hand_back([(job, holder)])
            case ("children", Job() as job, OpenOrders(orders)):
                self.ledger.accept(
                    [
                        NewJob(f"{job.id}.{each.order_id}", self.lane, Kind.CANCEL, each.order_id)
                        for each in orders
                    ]
                )
            case ("settle", str(holder), Job() as job, answered):
                self.ledger.settle(
                    [settled(job, answered, state.now_ms)],  # type: ignore[arg-type]
                    holder=holder,
                    retention_ms=3_600_000,
                    lease_ms=LEASE_MS,
                    limit=0,
                )
            case _:
                raise AssertionError(call)
        return answer, state._replace(image=staged.image)

    def _accept(self, kind: Kind, name: str) -> str:
        order, pair = ("0", "") if kind is Kind.CANCEL else ("", PAIR)
        (accepted,) = self.ledger.accept([NewJob(name, self.lane, kind, order, pair)])
        return accepted.id

    # What must hold.

    def check(self, state: World) -> str:
        """Return what is broken."""
        content = Content.read(state.image)
        for promise in state.promises:
            if broken := self._kept(content, state, promise):
                return broken
        if broken := self._alone(content, state):
            return broken
        return self._ends(state)

    def _kept(self, content: Content, state: World, promise: Promise) -> str:
        """An accepted job can be found until its orders are proven not to be open."""
        record = content.hash(f"job:{promise.job}")
        if not record:
            return f"job {promise.job} was accepted, and is gone"
        if record["state"] == State.DONE:
            still = promise.orders & state.open
            return f"job {promise.job} is done, orders {still:b} are open" if still else ""
        if record["state"] == State.DEAD:
            return f"job {promise.job} is a dead letter"
        due = content.zset(f"due:{self.lane}").get(promise.job)
        lane = content.zset("lanes").get(self.lane)
        if due is None:
            return f"job {promise.job} is pending, and not in the due set"
        if lane is None:
            return f"job {promise.job} is pending, and its lane is not among the lanes"
        return ""

    def _alone(self, content: Content, state: World) -> str:
        """An order has one pending job; in a serial lane, one worker has a lease."""
        pending = [
            (row["kind"], row.get("order_id", ""), row.get("pair", ""))
            for row in (content.hash(name) for name in content.names("job:"))
            if row["state"] == State.PENDING
        ]
        if len(pending) != len(set(pending)):
            return f"two pending jobs of one order: {pending}"
        if not self.serial:
            return ""
        holding = [
            worker.holder
            for worker in state.workers
            if worker.at == "holding" and state.now_ms < worker.until_ms
        ]
        return "two workers may send in a serial lane" if len(holding) > 1 else ""

    def _ends(self, state: World) -> str:
        """Let both workers die here: another then ends every job that was accepted."""
        worker = Worker("w99", "idle", 1)
        passed: set[int] = set()
        for _ in range(CALLS_TO_END):
            # What follows from equal states is equal.
            here = hash((state.image, state.now_ms, state.open, state.promises))
            if here in self._ended:
                return ""
            passed.add(here)
            content = Content.read(state.image)
            if not content.zset(f"due:{self.lane}"):
                break
            at = content.zset("lanes").get(self.lane)
            if at is None:
                return "jobs are pending, and their lane is not among the lanes"
            state = state._replace(now_ms=max(state.now_ms, int(at)))
            job, state = self._run(state, ("claim", worker.holder))
            if isinstance(job, Job):
                answer, still_open = _exchange(job, state.open)
                state = state._replace(open=still_open)
                if isinstance(answer, OpenOrders) and answer.orders:
                    state = self._run(state, ("children", job, answer))[1]
                state = self._run(state, ("settle", worker.holder, job, answer))[1]
        content = Content.read(state.image)
        for promise in state.promises:
            if content.hash(f"job:{promise.job}").get("state") != State.DONE:
                return f"job {promise.job} never ends"
            if promise.orders & state.open:
                return (
                    f"job {promise.job} has ended, orders {promise.orders & state.open:b} are open"
                )
        self._ended |= passed
        return ""


def settled(job: Job, answer: Answer, now_ms: int) -> Settlement:
    """Return what the real decision makes of an answer."""
    asks = Phase.LIST if job.kind is Kind.CANCEL_ALL else Phase.ASK
    decision = decide(job, answer, asks=asks, now_ms=now_ms, jobs=Budgets(), rng=Zero())
    return Settlement(job, decision, at_ms=now_ms, took_ms=0)


def _exchange(job: Job, open_: int) -> tuple[Answer, int]:
    """Return what the exchange answers to what a job sends, and what is open then."""
    if job.kind is Kind.CANCEL_ALL:
        rest = open_ & ~SINGLE
        if job.sends is Phase.LIST:
            orders = tuple(OpenOrder(str(n)) for n in range(1, 16) if rest >> n & 1)
            return OpenOrders(orders, complete=True), open_
        return ScopeCanceled(), open_ & SINGLE
    bit = 1 << int(job.order_id or 0)
    if job.sends is Phase.ASK:
        return OrderReport(OrderState.OPEN if open_ & bit else OrderState.CANCELED), open_
    return Closed(Outcome.CANCELED), open_ & ~bit


def _plain(job: Job) -> Job:
    """Return a job without what is only shown."""
    return replace(job, history=(), detail="")


def _after(fault: Callable[[], World]) -> World:
    state = fault()
    return state._replace(faults=state.faults - 1)


def _put(state: World, n: int, worker: Worker) -> World:
    first, second = state.workers
    workers = (worker, second) if n == 0 else (first, worker)
    return state._replace(workers=workers)


def _without(state: World, n: int, worker: Worker) -> World:
    """Return a state in which a worker holds nothing, under a name that nothing knows."""
    idle = Worker("", "idle", worker.left)
    state = _put(state, n, idle)
    return _put(state, n, idle._replace(holder=_unused(state, "w")))


def _unused(state: World, stem: str) -> str:
    """Return the first name that is not in a state."""
    known = repr(state)
    return next(
        name for n in range(99) if f"{stem}{n:02}" not in known for name in [f"{stem}{n:02}"]
    )


def _swap(image: bytes, first: str, second: str) -> bytes:
    one, two = first.encode(), second.encode()
    return image.replace(one, b"\0").replace(two, one).replace(b"\0", two)


def _renamed(worker: Worker, holder: str) -> Worker:
    job = worker.job
    if job is not None and job.claimed_by == worker.holder:
        job = replace(job, claimed_by=holder)
    return worker._replace(holder=holder, job=job)


def _renamed_call(call: Call, first: str, second: str) -> Call:
    names = {first: second, second: first}

    def other(part: object) -> object:
        if isinstance(part, str):
            return names.get(part, part)
        if isinstance(part, Job) and part.claimed_by in names:
            return replace(part, claimed_by=names[part.claimed_by])
        return part

    return call._replace(what=tuple(other(part) for part in call.what))
