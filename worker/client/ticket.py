"""Ticket of an accepted cancel, and its result."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from worker import clock
from worker.errors import StoreUnavailable
from worker.model.jobs import Job, State
from worker.model.outcomes import Outcome
from worker.store.job_steps import reading_jobs
from worker.store.listing import Listing
from worker.store.steps import Pause, Steps

if TYPE_CHECKING:
    from worker.client.orders import OrderResult

POLL_FIRST_MS = 2.0
POLL_MAX_MS = 50.0
BUDGET_MS = 3_600_000
"""Default of `jobs.max_age_ms`."""
POLLED_MAX = 500
"""Jobs polled at a time. All must end, so the first ones that have not are enough."""


@dataclass(frozen=True, slots=True)
class Result:
    """State of a job.

    Attributes:
        outcome: The proven outcome; `UNKNOWN` while the job is pending.
        attempts: Attempts so far.
        latency_ms: From acceptance to the end of the job, on Redis's clock;
            None while it is pending.
        detail: The exchange's reply text, or why nothing is proven yet.
        state: `pending`, `done` (proven), or `dead` (given up; see the dead
            letters).
        canceled: Of a cancel-all: open orders that it canceled one by one. Orders
            canceled by a request for the whole scope are not counted.
        closed: Of a cancel-all: open orders that closed otherwise, for example by
            a fill.
    """

    outcome: Outcome
    attempts: int
    latency_ms: int | None
    detail: str
    state: State
    canceled: int = 0
    closed: int = 0

    @property
    def proven(self) -> bool:
        """Whether the exchange has proven that the order is not open."""
        return self.state is State.DONE and self.outcome.proven


@dataclass(frozen=True, slots=True)
class Ticket:
    """Proof that a cancel was accepted.

    Attributes:
        id: Id of the job; the same for the same order while it is pending.
        order_id: The exchange's id of the order; None if it was named by `client_order_id`.
        fresh: False if a job for the order was already pending.
    """

    id: str
    account: str
    order_id: str | None
    fresh: bool
    _ledger: Listing
    client_order_id: str | None = None
    _budget_ms: int = BUDGET_MS

    def __repr__(self) -> str:
        """Return job, account and order."""
        client = f", client_order_id={self.client_order_id!r}" if self.client_order_id else ""
        order = f"order_id={self.order_id!r}{client}"
        return f"Ticket(id={self.id!r}, account={self.account!r}, {order})"

    @property
    def order(self) -> str:
        """Name of the order for people; empty for a whole scope."""
        return f"client id {self.client_order_id}" if self.client_order_id else self.order_id or ""

    def result(self) -> Result:
        """Return the current state of the job.

        Raises:
            StoreUnavailable: Redis did not answer. Workers continue the job.
        """
        return read_result(self._ledger.get(self.id))

    def wait(self, *, timeout_ms: int | None = None) -> Result:
        """Wait until the job has ended, at most `timeout_ms`.

        Args:
            timeout_ms: Default: the job's own budget, after which workers give it up
                (`jobs.max_age_ms`, after `hold_ms` if that was given).

        Returns:
            Its state then. If `state` is `pending`, the time was up, and workers
            continue the job.

        Raises:
            StoreUnavailable: Redis did not answer. Workers continue the job.
        """
        if timeout_ms is None:
            timeout_ms = self._whole_budget_ms()
        return wait_for(self._ledger, [self.id], timeout_ms=timeout_ms)[self.id]

    def on_outcome(self, callback: Callable[[Result], None]) -> None:
        """Have a function called once the job has ended, from one thread for all tickets.

        After the job's own budget it is called with the state then, which may be `pending`.
        While Redis is down it is not called. It should not block: others wait for it.
        """
        from worker.client.outcomes import watcher_of  # noqa: PLC0415  it reads results

        watcher_of(self._ledger).add(self.id, callback, budget_ms=self._whole_budget_ms())

    def _whole_budget_ms(self) -> int:
        job = self._ledger.get(self.id)
        held_ms = job.hold_until_ms - job.created_ms if job and job.hold_until_ms else 0
        return self._budget_ms + held_ms

    def orders(self) -> list[OrderResult]:
        """Return what the job did, order by order.

        A cancel-all names the orders that it found open and canceled one by one. Those
        that one request canceled for the whole scope are not named by any reply.

        Raises:
            StoreUnavailable: Redis did not answer. Workers continue the job.
        """
        from worker.client.orders import reading_orders  # noqa: PLC0415  it reads results

        return self._ledger.carry(reading_orders(self.id))


def wait_for(
    listing: Listing,
    job_ids: Sequence[str],
    *,
    timeout_ms: float,
    on_ended: Callable[[int], None] = lambda _count: None,
    through_outages: bool = False,
) -> dict[str, Result]:
    """Wait until all jobs have ended, at most `timeout_ms`.

    Args:
        listing: Where the jobs are recorded.
        job_ids: The jobs; duplicates count once.
        timeout_ms: Time limit for all of them together.
        on_ended: Called with the number of jobs that ended since the last call.
        through_outages: Keep waiting while Redis is down. A job that cannot be
            read at the end is `UNKNOWN` and `pending`.

    Returns:
        The state of each job at the end, by id.

    Raises:
        StoreUnavailable: Redis did not answer. Workers continue the jobs.
    """
    return listing.carry(
        waiting(job_ids, timeout_ms=timeout_ms, on_ended=on_ended, through_outages=through_outages)
    )


def waiting(
    job_ids: Sequence[str],
    *,
    timeout_ms: float,
    on_ended: Callable[[int], None] = lambda _count: None,
    through_outages: bool = False,
) -> Steps[dict[str, Result]]:
    """Wait for jobs, as a procedure; see `wait_for`."""
    until = clock.monotonic_ms() + timeout_ms
    pending = list(dict.fromkeys(job_ids))
    known: dict[str, Result] = {}
    pause_ms = POLL_FIRST_MS
    while True:
        late = clock.monotonic_ms() >= until
        polled = pending if late else pending[:POLLED_MAX]
        try:
            jobs = yield from reading_jobs(polled)
            results = dict(zip(polled, map(read_result, jobs), strict=True))
        except StoreUnavailable as error:
            if not through_outages:
                raise
            lost = Result(
                Outcome.UNKNOWN, 0, None, f"{error}; workers continue the job", State.PENDING
            )
            results = dict.fromkeys(pending, lost)
        known |= results
        ended = {job_id for job_id, result in results.items() if result.state is not State.PENDING}
        if ended:
            pending = [job_id for job_id in pending if job_id not in ended]
            on_ended(len(ended))
            pause_ms = POLL_FIRST_MS
        if late or not pending:
            return known
        yield Pause(min(pause_ms, until - clock.monotonic_ms()))
        pause_ms = min(POLL_MAX_MS, pause_ms * 1.5)


def read_result(job: Job | None) -> Result:
    """Return the state of a job from its record; None stands for an expired record."""
    if job is None:
        return Result(Outcome.UNKNOWN, 0, None, "no such job, or its record expired", State.DEAD)
    ended = job.state is not State.PENDING
    return Result(
        outcome=(job.outcome or Outcome.UNKNOWN) if ended else Outcome.UNKNOWN,
        attempts=job.attempts,
        latency_ms=job.finished_ms - job.created_ms if ended and job.finished_ms else None,
        detail=job.detail or ("" if ended else "not attempted yet"),
        state=job.state,
        canceled=job.canceled,
        closed=job.closed,
    )
