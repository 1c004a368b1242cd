"""The jobs that one worker process has leased, from the claim until the settlement."""

from __future__ import annotations

import itertools
import logging
import math
import threading
from collections import OrderedDict
from collections.abc import Collection, Iterable, Sequence

from worker import clock
from worker.config.settings import Settings
from worker.errors import StoreUnavailable
from worker.model.decisions import Dead, Done, PutBack
from worker.model.jobs import Job
from worker.model.settlements import Claimed, Settlement
from worker.policy.retention import kept_ms
from worker.store.ledger import Ledger
from worker.telemetry import metrics

log = logging.getLogger(__name__)

STORE_RETRY_MS = 200
"""How long a settlement waits before it is sent to Redis again."""
MEMORY_CHECK_MS = 5_000
"""How often Redis is asked how full it is."""
CLAIMED_KEPT = 10_000
"""How many claimed jobs a process remembers, so as not to answer their doorbells again."""
LOST_MAX = 1_000
"""How many holders' claims are returned early; those beyond wait for their leases."""


class RecentIds:
    """The ids that were added last, as many as are kept. Safe to use from many threads."""

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self._lock = threading.Lock()
        # Not a dict: to find its first key passes over all keys deleted before it.
        self._ids: OrderedDict[str, None] = OrderedDict()

    def __contains__(self, id_: str) -> bool:
        return id_ in self._ids

    def add(self, ids: Iterable[str]) -> None:
        """Keep ids, and forget the oldest if there are too many."""
        with self._lock:
            self._ids.update(dict.fromkeys(ids))
            while len(self._ids) > self._keep:
                self._ids.popitem(last=False)


class Leases:
    """Claims jobs, settles them, and returns those whose claim reply was lost.

    A holder is one turn of one thread. Safe to use from many threads.
    """

    def __init__(
        self, ledger: Ledger, *, name: str, settings: Settings, stopping: threading.Event
    ) -> None:
        self._ledger = ledger
        self._name = name
        self._settings = settings
        self._stopping = stopping
        self._turn = itertools.count(1)
        self._held: dict[str, dict[str, Job]] = {}
        """Holder → the jobs it has claimed and not settled, by id."""
        self._recent = RecentIds(CLAIMED_KEPT)
        """Jobs whose doorbells need no answer any more."""
        self._unsure: set[str] = set()
        """Holders that Redis may have leased jobs to in a call whose reply was lost."""
        self._lost: set[str] = set()
        """Those of them that have ended and attempted none of these jobs."""
        self._memory_at_ms = -math.inf
        self._times = {
            "retention_ms": settings.jobs.retention_ms,
            "lease_ms": settings.jobs.lease_ms,
        }

    def adapt_retention(self) -> None:
        """Keep outcomes for less time the fuller Redis is; asks at most every 5 s.

        Raises:
            StoreUnavailable: Redis did not answer. Outcomes are kept as before.
        """
        now_ms = clock.monotonic_ms()
        if now_ms - self._memory_at_ms > MEMORY_CHECK_MS:
            used = self._ledger.memory_used()
            self._times["retention_ms"] = kept_ms(self._settings.jobs.retention_ms, used)
            self._memory_at_ms = now_ms

    def __contains__(self, job_id: str) -> bool:
        """Return whether this process has claimed a job recently."""
        return job_id in self._recent

    def new_holder(self) -> str:
        """Return the name of a holder that has never held anything."""
        return f"{self._name}:{next(self._turn)}"

    def claim(
        self,
        exchange: str,
        *,
        holder: str,
        limit: int,
        lane: str,
        job_id: str,
        back_ms: float = 0,
    ) -> Claimed:
        """Lease due jobs to `holder`; arguments as for `Ledger.claim`.

        Raises:
            StoreUnavailable: Redis did not answer. If it leased jobs all the same,
                `take_back` returns them once the holder is released.
        """
        try:
            claimed = self._ledger.claim(
                exchange=exchange,
                holder=holder,
                lease_ms=self._settings.jobs.lease_ms,
                lane=lane,
                job_id=job_id,
                limit=limit,
                back_ms=back_ms,
            )
        except StoreUnavailable:
            self._unsure.add(holder)
            raise
        self._hold(claimed, holder)
        return claimed

    def settle(
        self,
        done: Sequence[Settlement],
        *,
        holder: str,
        limit: int,
        back_ms: float = 0,
        stay_ms: float = 0,
        named: Sequence[tuple[str, str]] = (),
    ) -> Claimed:
        """Record the results of attempts, and lease up to `limit` due jobs in the same call.

        Arguments are as for `Ledger.settle`.

        The exchange's replies may be the only proof there will be, and stay true when
        the leases are over. So while Redis is down the call is repeated until a lease has
        run out twice, or the worker stops; nothing more is claimed then.

        Raises:
            StoreUnavailable: Redis did not come back. The leases run out.
        """
        until = clock.monotonic_ms() + 2 * self._settings.jobs.lease_ms
        stopping = False
        children = [child for each in done for child in each.children]
        while True:
            try:
                if children:
                    self._ledger.accept(children, follows=True)
                claimed = self._ledger.settle(
                    done,
                    holder=holder,
                    limit=limit,
                    back_ms=back_ms,
                    stay_ms=stay_ms,
                    named=named,
                    **self._times,
                )
            except StoreUnavailable:
                if limit:
                    self._unsure.add(holder)
                limit = 0
                if self._stopping.is_set() and not stopping:
                    stopping = True
                    until = clock.monotonic_ms() + self._settings.worker.shutdown_ms / 2
                if clock.monotonic_ms() > until:
                    raise
                clock.sleep_ms(STORE_RETRY_MS)
            else:
                held = self._held.get(holder, {})
                for each in done:
                    held.pop(each.job.id, None)
                _count(done, claimed)
                self._hold(claimed, holder)
                return claimed

    def release(self, holder: str) -> None:
        """End a holder's turn. A job that it has not settled waits for its lease."""
        unsettled = self._held.pop(holder, None)
        if holder in self._unsure:
            self._unsure.discard(holder)
            if not unsettled and len(self._lost) < LOST_MAX:
                self._lost.add(holder)

    def hand_back(self) -> int:
        """Give up the jobs in mid-attempt, so that another worker attempts them now.

        That worker asks the exchange first, since a request may be in progress here. A
        reply that still arrives here counts if it is a proof.

        Returns:
            How many jobs.

        Raises:
            StoreUnavailable: Redis did not answer. Their leases run out.
        """
        held = [(holder, list(jobs.values())) for holder, jobs in list(self._held.items())]
        return self._ledger.hand_back([(job, holder) for holder, jobs in held for job in jobs])

    def take_back(self, lanes: Collection[str]) -> int:
        """Return to the ledger the jobs that were claimed in calls whose replies were lost.

        None of them has been attempted, so they are due as before, without waiting for
        their leases.

        Args:
            lanes: All that this process serves.

        Returns:
            How many jobs.

        Raises:
            StoreUnavailable: Redis did not answer. Calling again is safe.
        """
        holders = list(self._lost)
        if not holders:
            return 0
        # First: a holder that is lost during the call is to be asked for again.
        self._lost.difference_update(holders)
        try:
            count = sum(self._ledger.take_back(lane, holders) for lane in sorted(lanes))
        except BaseException:
            self._lost.update(holders)
            raise
        if count:
            log.warning("returned %d jobs whose claim reply was lost", count)
        return count

    def _hold(self, claimed: Claimed, holder: str) -> None:
        if claimed.jobs:
            jobs = {job.id: job for job in claimed.jobs}
            self._held.setdefault(holder, {}).update(jobs)
            self._recent.add(jobs)


def _count(done: Sequence[Settlement], claimed: Claimed) -> None:
    """Count in the metrics what has been recorded."""
    attempts = [
        (each, counted)
        for each, counted in zip(done, claimed.counted, strict=True)
        if not isinstance(each.decision, PutBack)
    ]
    metrics.attempted((each.job.exchange, each.outcome) for each, _ in attempts)
    for each, counted in attempts:
        if counted and isinstance(each.decision, Done):
            metrics.proven(each.job.exchange, claimed.now_ms - each.job.created_ms)
        elif counted and isinstance(each.decision, Dead):
            metrics.died(each.job.exchange)
