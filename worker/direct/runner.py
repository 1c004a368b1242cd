"""The emergency path: this process takes orders off the book by itself.

The attempts are those of the workers: the same signing, reading and deciding,
so that an outcome means the same. What is missing is all that Redis gives: no
job is recorded, and once the time given is up, or this process dies, nobody
goes on with it.

Where Redis answers, limits, nonces and tokens are those of the workers. Where
it does not, or stops to, they are this process's own. Workers that still run
then do not know of them: together they may send more than an exchange allows.
The key's nonces may move ahead of theirs, which the exchange refuses, and which
by that mends itself.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import logging
import os
import random
import socket
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from worker import clock
from worker.config.settings import Settings
from worker.direct.jobs import accepted, settled, taken
from worker.direct.mirror import mirrored
from worker.dispatch.attempt import SETTLE_MARGIN_MS, AttemptRunner
from worker.dispatch.completion import Attempted, crashed, tell
from worker.errors import StoreUnavailable
from worker.gateway.account import AccountSession, AccountSessions
from worker.gateway.http.transport import Transport
from worker.gateway.ports import Ports
from worker.model.jobs import Job, NewJob, State
from worker.model.outcomes import Evidence, Outcome
from worker.model.settlements import Settlement, Verb
from worker.store.holds import Holds

log = logging.getLogger(__name__)

HOLD_MARGIN_MS = 500
"""For how much longer than a request may take it is held, for what comes before and after."""
REFUSED_MS = 3_000
"""For how long an account's credentials are refused before a run ends, without one attempt
that shows them accepted: somebody waits for it, who may be the one to correct them."""
REFUSED = (Evidence.NO_CANCELS, Evidence.NO_READS, Evidence.NO_TOKEN)
ACCEPTED = (Evidence.CANCELS, Evidence.READS)
AWAY = "Redis went away in between"


@dataclass(frozen=True, slots=True)
class DirectRun:
    """What became of the orders given to `Direct.run`.

    Attributes:
        jobs: As they ended, in the order given, then those that followed from
            them. None is pending: what is not proven in time is given up.
        alone: Why limits and nonces were kept by this process alone; empty if
            they were shared with the workers throughout.
        refused: Whether it ended before its time, as the exchange refused the account's
            credentials.
    """

    jobs: tuple[Job, ...]
    alone: str
    refused: bool = False


class Direct:
    """Attempts jobs until they are proven or the time given is up.

    Safe to use from many threads; after a fork make another.

    Args:
        settings: For the budgets of a job and of a request.
        lanes: Accounts; looked up when a job is attempted.
        common: What workers share, in Redis.
        own: The same, kept by this process, and told what it takes of the other.
        look: Raises `StoreUnavailable` if Redis does not answer.
        holds: The workers' holds of accounts whose requests must go one at a time.
        transport: Sends requests.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        lanes: AccountSessions,
        common: Ports,
        own: Ports,
        look: Callable[[], object],
        holds: Holds,
        transport: Transport,
    ) -> None:
        self._settings = settings
        self._lanes = lanes
        self._look = look
        self._holds = holds
        self._together, self._alone = (
            AttemptRunner(
                settings=settings,
                lanes=lanes,
                shared=shared,
                transport=transport,
                rng=random.Random(),  # noqa: S311  jitter
            )
            for shared in (mirrored(common, own), own)
        )
        self._lock = threading.Lock()
        self._busy: dict[str, threading.Semaphore] = {}
        self.name = f"direct:{socket.gethostname()}:{os.getpid()}"

    def run(self, jobs: Sequence[NewJob], *, timeout_ms: int) -> DirectRun:
        """Attempt jobs of one account until each is proven, at most `timeout_ms`.

        It ends sooner once the account's credentials have been refused for `REFUSED_MS`.
        No request is under way once this has returned, and none waits for Redis
        for longer than `redis_timeout_ms`.
        """
        until_ms = clock.monotonic_ms() + timeout_ms
        lane = self._lanes.of(jobs[0].lane)
        run = _Run(jobs, until_ms)
        try:
            self._look()
        except StoreUnavailable as error:
            run.alone = str(error)
        count = 1 if lane.uses_nonce else self._settings.worker.exchange_threads
        threads = [
            threading.Thread(target=self._work, args=(run, lane), daemon=True) for _ in range(count)
        ]
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        finally:
            run.end()
        return DirectRun(tuple(run.jobs.values()), run.alone, run.refused)

    def _work(self, run: _Run, lane: AccountSession) -> None:
        while (job := run.take(self.name, self._settings.jobs.lease_ms)) is not None:
            attempted = self._attempt(run, lane, job)
            tell([attempted])
            run.settle(job, attempted)

    def _attempt(self, run: _Run, lane: AccountSession, job: Job) -> Attempted:
        places = self._places(lane)
        if not places.acquire(timeout=max(0.0, run.left_ms) / 1_000):
            return Attempted(Settlement(Verb.WAIT))
        try:
            job = replace(job, lease_ms=min(job.lease_ms, round(run.left_ms) + SETTLE_MARGIN_MS))
            if not run.alone:
                with contextlib.suppress(StoreUnavailable):
                    return self._beside_workers(run, lane, job)
                run.alone = AWAY
                log.warning("Redis went away; going on without", extra={"account": lane.alias})
            return self._alone.attempt(job, now_ms=clock.now_ms())
        except Exception as error:  # noqa: BLE001  one order's fault must not cost the others
            budget = self._settings.jobs
            return Attempted(crashed(job, error, now_ms=clock.now_ms(), jobs=budget))
        finally:
            places.release()

    def _beside_workers(self, run: _Run, lane: AccountSession, job: Job) -> Attempted:
        """Attempt a job in turn with the workers, where one request goes at a time."""
        if not lane.uses_nonce:
            return self._together.attempt(job, now_ms=clock.now_ms())
        holder = f"{self.name}:{job.id}"
        http = self._settings.http
        lease_ms = http.deadline_ms + http.resend_budget_ms + HOLD_MARGIN_MS
        while wait_ms := self._holds.take(job.lane, lane.identity, holder, lease_ms=lease_ms):
            if run.left_ms <= wait_ms:
                self._holds.give_up(job.lane, lane.identity, holder)
                return Attempted(Settlement(Verb.WAIT))
            clock.sleep_ms(wait_ms)
        try:
            job = replace(job, lease_ms=min(job.lease_ms, round(run.left_ms) + SETTLE_MARGIN_MS))
            return self._together.attempt(job, now_ms=clock.now_ms())
        finally:
            with contextlib.suppress(StoreUnavailable):  # the lease ends it
                self._holds.give_up(job.lane, lane.identity, holder)

    def _places(self, lane: AccountSession) -> threading.Semaphore:
        """Return the places of an account: one if its requests must arrive in order."""
        width = 1 if lane.uses_nonce else self._settings.worker.exchange_threads
        with self._lock:
            return self._busy.setdefault(lane.alias, threading.Semaphore(width))


class _Run:
    """The jobs of one call, and which of them comes next."""

    def __init__(self, jobs: Iterable[NewJob], until_ms: float) -> None:
        self.alone = ""
        self.refused = False
        self.jobs: dict[str, Job] = {}
        self._refused_since: float | None = None
        self._until_ms = until_ms
        self._begun_ms = clock.monotonic_ms()
        self._rests_until_ms = 0.0
        self._changed = threading.Condition()
        self._count = itertools.count()
        self._due: list[tuple[float, int, str]] = []
        self._open: dict[tuple[object, ...], str] = {}
        """Jobs not ended, by what they take down."""
        with self._changed:
            self._accept(jobs)

    @property
    def left_ms(self) -> float:
        """How much of the time given is left."""
        return self._until_ms - clock.monotonic_ms()

    def take(self, holder: str, lease_ms: int) -> Job | None:
        """Wait for the next job to attempt; None once there is none, or no time."""
        with self._changed:
            while True:
                now = clock.monotonic_ms()
                left_ms = self._until_ms - now
                if left_ms <= 0 or not self._open:
                    return None
                ready = max(self._due[0][0], self._rests_until_ms) if self._due else self._until_ms
                if self._due and ready <= now:
                    break
                self._changed.wait(min(ready - now, left_ms) / 1_000)
            *_, job_id = heapq.heappop(self._due)
            lease = min(lease_ms, round(left_ms) + SETTLE_MARGIN_MS)
            job = taken(self.jobs[job_id], holder=holder, lease_ms=lease, now_ms=clock.now_ms())
            self.jobs[job_id] = job
            return job

    def settle(self, job: Job, attempted: Attempted) -> None:
        """Record what an attempt came to."""
        with self._changed:
            now = clock.monotonic_ms()
            settlement = attempted.settlement
            # Cancels of a scope's orders may have ended since it was taken.
            now_known = self.jobs[job.id]
            job = replace(
                job,
                children=now_known.children,
                canceled=now_known.canceled,
                closed=now_known.closed,
                unproven=now_known.unproven,
            )
            job = self.jobs[job.id] = settled(job, settlement, now_ms=clock.now_ms())
            self._accept(attempted.children)
            self._count_end(job)
            self._rests_until_ms = max(self._rests_until_ms, now + settlement.pause_ms)
            self._look_at(settlement.evidence, now)
            if job.state is State.PENDING:
                self._put(job, now + settlement.delay_ms)
            else:
                del self._open[_target(job)]
            self._changed.notify_all()

    def _look_at(self, evidence: Evidence, now: float) -> None:
        """Take nothing more once the credentials have been refused for too long."""
        if evidence in ACCEPTED:
            self._refused_since = None
        elif evidence in REFUSED:
            self._refused_since = now if self._refused_since is None else self._refused_since
            if now - self._refused_since >= REFUSED_MS:
                self.refused = True
                self._until_ms = 0.0

    def end(self) -> None:
        """Give up what is not proven; take nothing more."""
        with self._changed:
            self._until_ms = 0.0
            spent_ms = round(clock.monotonic_ms() - self._begun_ms)
            why = f"not proven within {spent_ms} ms"
            if self.refused:
                why = f"the account's credentials are refused, for {spent_ms} ms"
            for job_id in self._open.values():
                job = self.jobs[job_id]
                last = job.detail or "not attempted"
                self.jobs[job_id] = replace(
                    job,
                    state=State.DEAD,
                    outcome=Outcome.UNAUTHORIZED if job.refused else Outcome.UNKNOWN,
                    detail=f"{why}; {last}",
                    finished_ms=clock.now_ms(),
                )
            self._open.clear()
            self._changed.notify_all()

    def _accept(self, jobs: Iterable[NewJob]) -> None:
        for new in jobs:
            job = accepted(new, now_ms=clock.now_ms())
            if _target(job) not in self._open and job.id not in self.jobs:
                self._open[_target(job)] = job.id
                self.jobs[job.id] = job
                self._put(job, 0.0)
                if parent := self.jobs.get(job.parent or ""):
                    self.jobs[parent.id] = replace(parent, children=parent.children + 1)

    def _count_end(self, job: Job) -> None:
        """Note with a scope how the cancel of one of its orders has ended."""
        parent = self.jobs.get(job.parent or "")
        if parent is None or job.state is State.PENDING:
            return
        canceled = job.state is State.DONE and job.outcome is Outcome.CANCELED
        closed = job.state is State.DONE and not canceled
        self.jobs[parent.id] = replace(
            parent,
            canceled=parent.canceled + canceled,
            closed=parent.closed + closed,
            unproven=parent.unproven + (job.state is State.DEAD),
        )

    def _put(self, job: Job, due_ms: float) -> None:
        heapq.heappush(self._due, (due_ms, next(self._count), job.id))


def _target(job: Job) -> tuple[object, ...]:
    return (job.kind, job.pair, job.side, job.order_id)
