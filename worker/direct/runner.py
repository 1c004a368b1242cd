"""Run cancels in this process, without the workers: the path for outages of Redis.

The attempts are the workers' own code, so an outcome has the same meaning. No job is
recorded: after the timeout, or if this process dies, no process continues.

If Redis answers, limits, nonces and tokens are shared with the workers. If it does not,
or stops answering, this process keeps its own, and running workers do not see them:
together they may send more than the exchange allows. The key's nonces may overtake the
workers' sequence. The exchange then refuses one nonce of theirs, which raises the
sequence.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import logging
import random
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from worker import clock
from worker.config.settings import Settings
from worker.direct.jobs import accepted, settled, taken
from worker.direct.mirror import mirrored
from worker.dispatch.attempt import SETTLE_MARGIN_MS, AttemptRunner
from worker.dispatch.completion import crashed, report
from worker.errors import StoreUnavailable
from worker.gateway.account import AccountSession, AccountSessions
from worker.gateway.http.transport import Transport
from worker.gateway.ports import Ports
from worker.model.decisions import Again, PutBack
from worker.model.jobs import Job, NewJob, State
from worker.model.outcomes import Evidence, Outcome
from worker.model.settlements import Settlement
from worker.net.process import process_name
from worker.store.holds import Holds

log = logging.getLogger(__name__)

HOLD_MARGIN_MS = 500
"""Added to a request's maximum time for the lease: work before and after the request."""
REFUSED_MS = 3_000
"""A run ends early if the exchange refuses the credentials for this long: its caller waits
and may be able to correct them."""
REFUSED = (Evidence.NO_CANCELS, Evidence.NO_READS, Evidence.NO_TOKEN)
ACCEPTED = (Evidence.CANCELS, Evidence.READS)
REDIS_LOST = "Redis stopped answering"


@dataclass(frozen=True, slots=True)
class DirectRun:
    """Result of `Direct.run`.

    Attributes:
        jobs: The ended jobs in the given order, then the jobs that they created. None is
            pending: jobs without proof in time are dead.
        alone: Why this process kept its own limits and nonces; empty if it shared the
            workers' from start to end.
        refused: Whether the run ended early because the exchange refused the account's
            credentials.
    """

    jobs: tuple[Job, ...]
    alone: str
    refused: bool = False


class Direct:
    """Attempts jobs until they are proven or the timeout has passed.

    Safe to use from many threads. A forked child must build its own.

    Args:
        settings: Limits of jobs and of requests.
        sessions: Accounts; looked up at each attempt.
        common: Limits, nonces and tokens shared with the workers, in Redis.
        own: The same for this process; it also records what is taken from `common`.
        look: Raises `StoreUnavailable` if Redis does not answer.
        holds: Leases on accounts whose requests must be sent one at a time.
        transport: Sends requests.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        sessions: AccountSessions,
        common: Ports,
        own: Ports,
        look: Callable[[], object],
        holds: Holds,
        transport: Transport,
    ) -> None:
        self._settings = settings
        self._sessions = sessions
        self._look = look
        self._holds = holds
        self._together, self._alone = (
            AttemptRunner(
                settings=settings,
                lanes=sessions,
                shared=shared,
                transport=transport,
                rng=random.Random(),  # noqa: S311  jitter
            )
            for shared in (mirrored(common, own), own)
        )
        self._lock = threading.Lock()
        self._busy: dict[str, threading.Semaphore] = {}
        self.name = f"direct:{process_name()}"

    def run(self, jobs: Sequence[NewJob], *, timeout_ms: int) -> DirectRun:
        """Attempt jobs of one account until each is proven, at most `timeout_ms`.

        Ends early if the exchange refuses the account's credentials for `REFUSED_MS`.
        No request is running after this returns. A call to Redis takes at most
        `redis_timeout_ms`.
        """
        until_ms = clock.monotonic_ms() + timeout_ms
        session = self._sessions.of(jobs[0].lane)
        run = _Run(jobs, until_ms)
        try:
            self._look()
        except StoreUnavailable as error:
            run.alone = str(error)
        count = 1 if session.uses_nonce else self._settings.worker.exchange_threads
        threads = [
            threading.Thread(target=self._work, args=(run, session), daemon=True)
            for _ in range(count)
        ]
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        finally:
            run.end()
        return DirectRun(tuple(run.jobs.values()), run.alone, run.refused)

    def _work(self, run: _Run, session: AccountSession) -> None:
        while (job := run.take(self.name, self._settings.jobs.lease_ms)) is not None:
            settlement = self._attempt(run, session, job)
            report([settlement])
            run.settle(settlement)

    def _attempt(self, run: _Run, session: AccountSession, job: Job) -> Settlement:
        places = self._places(session)
        if not places.acquire(timeout=max(0.0, run.left_ms) / 1_000):
            return Settlement(job, PutBack())
        try:
            job = replace(job, lease_ms=min(job.lease_ms, round(run.left_ms) + SETTLE_MARGIN_MS))
            if not run.alone:
                with contextlib.suppress(StoreUnavailable):
                    return self._beside_workers(run, session, job)
                run.alone = REDIS_LOST
                log.warning(
                    "Redis stopped answering; continuing without it",
                    extra={"account": session.alias},
                )
            return self._alone.attempt(job, now_ms=clock.now_ms())
        except Exception as error:  # noqa: BLE001  a failure of one order must not end the run
            budget = self._settings.jobs
            return crashed(job, error, now_ms=clock.now_ms(), jobs=budget)
        finally:
            places.release()

    def _beside_workers(self, run: _Run, session: AccountSession, job: Job) -> Settlement:
        """Attempt a job; take the account lease first if its requests go one at a time."""
        if not session.uses_nonce:
            return self._together.attempt(job, now_ms=clock.now_ms())
        holder = f"{self.name}:{job.id}"
        http = self._settings.http
        lease_ms = http.deadline_ms + http.resend_budget_ms + HOLD_MARGIN_MS
        while wait_ms := self._holds.take(job.lane, session.identity, holder, lease_ms=lease_ms):
            if run.left_ms <= wait_ms:
                self._holds.give_up(job.lane, session.identity, holder)
                return Settlement(job, PutBack())
            clock.sleep_ms(wait_ms)
        try:
            job = replace(job, lease_ms=min(job.lease_ms, round(run.left_ms) + SETTLE_MARGIN_MS))
            return self._together.attempt(job, now_ms=clock.now_ms())
        finally:
            with contextlib.suppress(StoreUnavailable):  # the lease expires
                self._holds.give_up(job.lane, session.identity, holder)

    def _places(self, session: AccountSession) -> threading.Semaphore:
        """Return the semaphore of an account: of one if its requests must arrive in order."""
        width = 1 if session.uses_nonce else self._settings.worker.exchange_threads
        with self._lock:
            return self._busy.setdefault(session.alias, threading.Semaphore(width))


class _Run:
    """The jobs of one `Direct.run`, and which of them is next."""

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
        """Pending jobs by what they cancel."""
        with self._changed:
            self._accept(jobs)

    @property
    def left_ms(self) -> float:
        """Remaining time in ms."""
        return self._until_ms - clock.monotonic_ms()

    def take(self, holder: str, lease_ms: int) -> Job | None:
        """Wait for the next due job; return None without pending jobs or remaining time."""
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

    def settle(self, settlement: Settlement) -> None:
        """Record the result of an attempt."""
        with self._changed:
            now = clock.monotonic_ms()
            # Child jobs of a cancel-all may have ended during the attempt.
            job = settled(self.jobs[settlement.job.id], settlement, now_ms=clock.now_ms())
            self.jobs[job.id] = job
            self._accept(settlement.children)
            self._count_end(job)
            self._rests_until_ms = max(self._rests_until_ms, now + settlement.pause_ms)
            self._note_evidence(settlement.evidence, now)
            if job.state is State.PENDING:
                again = settlement.decision
                self._put(job, now + (again.delay_ms if isinstance(again, Again) else 0))
            else:
                del self._open[_target(job)]
            self._changed.notify_all()

    def _note_evidence(self, evidence: Evidence, now: float) -> None:
        """End the run once the credentials have been refused for `REFUSED_MS`."""
        if evidence in ACCEPTED:
            self._refused_since = None
        elif evidence in REFUSED:
            self._refused_since = now if self._refused_since is None else self._refused_since
            if now - self._refused_since >= REFUSED_MS:
                self.refused = True
                self._until_ms = 0.0

    def end(self) -> None:
        """End the run: unproven jobs are dead, and no further job is taken."""
        with self._changed:
            self._until_ms = 0.0
            spent_ms = round(clock.monotonic_ms() - self._begun_ms)
            why = f"not proven within {spent_ms} ms"
            if self.refused:
                why = f"the exchange refused the account's credentials for {spent_ms} ms"
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
        """Count the end of a child job in its cancel-all job."""
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
    orders = (job.order_id, job.client_order_id, job.client_id_prefix, job.stop, job.stops)
    return (job.kind, job.pair, job.side, *orders)
