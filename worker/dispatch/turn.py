"""One thread's turn: claim due jobs of an exchange, attempt them, record the results."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from worker import clock
from worker.dispatch.batch import BatchRunner
from worker.dispatch.concurrency import ExchangeThreads, NamedJob
from worker.dispatch.leases import Leases
from worker.dispatch.membership import Membership
from worker.model.settlements import Claimed
from worker.policy.batch_sizing import START_WITHIN_MS
from worker.policy.cpu_load import GATHER_MS
from worker.switches.reconciler import Reconciler

TURN_MS = 1_000
"""How long the thread of a plain message continues with other due jobs."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What all turns of one process share.

    Attributes:
        stopping: Once set, a turn claims nothing more.
    """

    batches: BatchRunner
    leases: Leases
    membership: Membership
    reconciler: Reconciler
    stopping: threading.Event


class Turn:
    """One turn of one thread. The caller holds a place among the exchange's threads.

    A turn that raises leaves nothing claimed by accident: a job that was attempted and not
    recorded waits for its lease, and the sweep returns what Redis may have leased unnoticed.

    Args:
        parts: Shared by all turns.
        exchange: Whose jobs are claimed.
        threads: Those of the exchange.
        add_thread: Starts another thread for the exchange if one is free.
        turn_ms: After this time nothing more is claimed; None for no limit.
    """

    def __init__(
        self,
        parts: Parts,
        exchange: str,
        threads: ExchangeThreads,
        *,
        add_thread: Callable[[str], object],
        turn_ms: float | None = None,
    ) -> None:
        self._parts = parts
        self._exchange = exchange
        self._threads = threads
        self._add_thread = add_thread
        self._turn_ms = turn_ms
        self._holder = parts.leases.new_holder()
        self._started_ms = self._asked_ms = clock.monotonic_ms()

    def run(self, named: NamedJob | None = None) -> None:
        """Attempt due jobs until there are none, or the turn is over.

        Args:
            named: The job to begin with, whose `ended` is called in any case; None for
                whatever is due.

        Raises:
            StoreUnavailable: Redis did not answer.
        """
        try:
            claimed = self._claim(*((named.lane, named.job_id) if named else ()))
            while claimed.jobs or claimed.tended:
                if claimed.tended:
                    claimed = self._reconcile(claimed.tended)
                    continue
                if claimed.more:
                    self._add_thread(self._exchange)
                done = self._parts.batches.run(self._threads, claimed, self._asked_ms)
                gathers = self._continues and self._threads.gather()
                waiting = self._threads.take_named() if self._continues else []
                due: tuple[bool, ...] = ()
                self._asked_ms = clock.monotonic_ms()
                try:
                    claimed = self._parts.leases.settle(
                        done,
                        holder=self._holder,
                        limit=self._threads.sizing.batch if self._continues else 0,
                        back_ms=self._threads.sizing.back_ms,
                        stay_ms=START_WITHIN_MS if gathers else 0,
                        named=[(job.lane, job.job_id) for job in waiting],
                    )
                    due = claimed.due
                    if named is not None and done[0].job.id == named.job_id:
                        named.ended(done[0].outcome)
                        named = None
                    if gathers and not (claimed.jobs or claimed.tended):
                        clock.sleep_ms(GATHER_MS)
                        claimed = self._claim(done[0].job.lane)
                finally:
                    self._answer(waiting, due)
                    if gathers:
                        self._threads.gathering.leave()
        finally:
            self._parts.leases.release(self._holder)
            if named is not None:
                named.ended(None)

    def _answer(self, waiting: Sequence[NamedJob], due: Sequence[bool]) -> None:
        """Answer jobs that a settlement has had Redis name, if they were due."""
        for job, is_due in itertools.zip_longest(waiting, due):
            if is_due or job.job_id in self._parts.leases:
                job.left()
            else:
                job.ended(None)

    def reconcile(self, lane: str) -> None:
        """Trip the expired switches of a lane, and bring the exchange's timers in line.

        Raises:
            StoreUnavailable: Redis did not answer. The lane stays due.
        """
        try:
            claimed = self._claim(lane)
            while claimed.more and not (claimed.tended or self._parts.stopping.is_set()):
                claimed = self._claim(lane)
            if claimed.tended:
                self._parts.reconciler.tend(lane, self._holder, self._parts.stopping)
        finally:
            self._parts.leases.release(self._holder)

    def _reconcile(self, lane: str) -> Claimed:
        """Bring the exchange in line with a claimed lane of switches; claim what is next."""
        self._parts.reconciler.tend(lane, self._holder, self._parts.stopping)
        return self._claim() if self._continues else Claimed(0, ())

    def _claim(self, lane: str = "", job_id: str = "") -> Claimed:
        retried = False
        while True:
            self._asked_ms = clock.monotonic_ms()
            claimed = self._parts.leases.claim(
                self._exchange,
                holder=self._holder,
                limit=1 if job_id else self._threads.sizing.batch,
                lane=lane,
                job_id=job_id,
                back_ms=self._threads.sizing.back_ms if self._continues else 0,
            )
            if retried or claimed.unregistered not in self._parts.membership.lanes:
                return claimed
            # Redis may have lost its data. The heartbeat finds out, and holds rate slots off.
            self._parts.membership.heartbeat()
            retried = True

    @property
    def _continues(self) -> bool:
        if self._parts.stopping.is_set() or self._threads.crowded:
            return False
        return self._turn_ms is None or clock.monotonic_ms() - self._started_ms < self._turn_ms
