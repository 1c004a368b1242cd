"""What a strategy gets for a cancel: a ticket, and in time a result."""

from __future__ import annotations

from dataclasses import dataclass

from worker import clock
from worker.model.jobs import Job, State
from worker.model.outcomes import Outcome
from worker.store.ledger import Ledger

POLL_FIRST_MS = 2.0
POLL_MAX_MS = 50.0


@dataclass(frozen=True, slots=True)
class Result:
    """How a job stands.

    Attributes:
        outcome: `UNKNOWN` until something is proven.
        attempts: Requests made so far.
        latency_ms: From the job's acceptance to its end, on Redis's clock;
            None while it has not ended.
        detail: The exchange's words, or why nothing is proven yet.
        state: `pending`, `done` (proven), or `dead` (given up; see the dead
            letters).
        canceled: Of a cancel-all: orders that it found open and had canceled one by
            one. What a request for the whole scope has canceled is not counted.
        closed: Of a cancel-all: orders that it found open and that were closed
            otherwise, as by being filled.
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
        """Whether the order is proven not to be open."""
        return self.state is State.DONE and self.outcome.proven


@dataclass(frozen=True, slots=True)
class Ticket:
    """Proof that a cancel was accepted.

    Attributes:
        id: The job; the same for the same order while it is pending.
        fresh: False if the order was pending already.
    """

    id: str
    account: str
    order_id: str | None
    fresh: bool
    _ledger: Ledger

    def __repr__(self) -> str:
        """Name the job."""
        return f"Ticket(id={self.id!r}, account={self.account!r}, order_id={self.order_id!r})"

    def result(self) -> Result:
        """Return how the job stands now.

        Raises:
            StoreUnavailable: Redis did not answer. The job goes on.
        """
        return read_result(self._ledger.get(self.id))

    def wait(self, *, timeout_ms: int) -> Result:
        """Wait until the job has ended, at most `timeout_ms`.

        Returns:
            How it stands then; `state` tells whether it has ended. A job that
            has not goes on being worked at.

        Raises:
            StoreUnavailable: Redis did not answer. The job goes on.
        """
        until = clock.monotonic_ms() + timeout_ms
        pause_ms = POLL_FIRST_MS
        while True:
            result = self.result()
            left_ms = until - clock.monotonic_ms()
            if result.state is not State.PENDING or left_ms <= 0:
                return result
            clock.sleep_ms(min(pause_ms, left_ms))
            pause_ms = min(POLL_MAX_MS, pause_ms * 1.5)


def read_result(job: Job | None) -> Result:
    """Return how a job stands, from its record."""
    if job is None:
        return Result(Outcome.UNKNOWN, 0, None, "no such job, or forgotten", State.DEAD)
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
