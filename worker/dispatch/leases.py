"""What one worker process has claimed of the ledger, from the claim until it is settled."""

from __future__ import annotations

import itertools
import logging
import math
import threading
from collections import OrderedDict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from worker import clock
from worker.config.settings import Settings
from worker.dispatch.completion import Attempted
from worker.errors import StoreUnavailable
from worker.model.jobs import Job, NewJob
from worker.model.settlements import Claimed, Settlement, Verb
from worker.policy.batch_sizing import FLUSH_MS
from worker.policy.retention import kept_ms
from worker.store.ledger import Ledger, Settling
from worker.telemetry import metrics

log = logging.getLogger(__name__)

STORE_RETRY_MS = 200
"""How long a settlement waits before it is offered to Redis again."""
Done = tuple[Job, Attempted]
"""A job, and what an attempt of it came to."""
NOTHING = Claimed(0, ())
MEMORY_LOOK_MS = 5_000
"""How often Redis is asked how full it is."""
TAKEN_KEPT = 10_000
"""How many claimed jobs a process remembers, so as not to answer their doorbells again."""
UNANSWERED_MAX = 1_000
"""How many holders' claims are returned early; what is beyond waits for its lease."""


class Taken:
    """The names of what this process has lately taken, for as many as are kept."""

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self._lock = threading.Lock()
        # A plain dict's first name is found by passing over all that were deleted before it.
        self._names: OrderedDict[str, None] = OrderedDict()

    def __contains__(self, name: str) -> bool:
        return name in self._names

    def add(self, names: Iterable[str]) -> None:
        """Keep names, and forget the oldest if there are too many."""
        with self._lock:
            self._names.update(dict.fromkeys(names))
            while len(self._names) > self._keep:
                self._names.popitem(last=False)


@dataclass(frozen=True, slots=True)
class Flight:
    """A settlement that has been sent with a claim, and of which nobody has heard yet.

    Attributes:
        name: The holder of what it claims.
        done: What it settles.
        sent_ms: When, on the local monotonic clock.
        settling: Its answer, to come.
    """

    name: str
    done: Sequence[Done]
    sent_ms: float
    settling: Settling


class Leases:
    """The jobs that this process holds, and what it must tell the ledger of them.

    A holder is one thread's turn, or a flight. Safe to use from many threads.
    """

    def __init__(
        self, ledger: Ledger, *, name: str, settings: Settings, stopping: threading.Event
    ) -> None:
        self._ledger = ledger
        self._name = name
        self._settings = settings
        self._stopping = stopping
        self._turn = itertools.count(1)
        self._in_hand: dict[str, dict[str, Job]] = {}
        """Holder → the jobs it has claimed and not settled, by id."""
        self._taken = Taken(TAKEN_KEPT)
        """Jobs whose doorbells need not be answered any more."""
        self._unsure: set[str] = set()
        """Holders that may have been given jobs, though no answer said so."""
        self._unanswered: set[str] = set()
        """Those of them that have nothing else in hand, and flights that did not land."""
        self._lock = threading.Lock()
        self._flights: dict[str, float] = {}
        """Names of those that may still land, and since when each waits for other work."""
        self._memory_at_ms = -math.inf
        self._times = {
            "retention_ms": settings.jobs.retention_ms,
            "lease_ms": settings.jobs.lease_ms,
        }

    def look_at_memory(self) -> None:
        """Keep outcomes for less long from now on, the fuller Redis is; asked now and then.

        Raises:
            StoreUnavailable: Redis did not answer. They are kept as before.
        """
        now_ms = clock.monotonic_ms()
        if now_ms - self._memory_at_ms > MEMORY_LOOK_MS:
            used = self._ledger.memory_used()
            self._times["retention_ms"] = kept_ms(self._settings.jobs.retention_ms, used)
            self._memory_at_ms = now_ms

    def __contains__(self, job_id: str) -> bool:
        """Whether this process has lately claimed a job."""
        return job_id in self._taken

    def holder(self) -> str:
        """Return a name that nobody has held anything by."""
        return f"{self._name}:{next(self._turn)}"

    def claim(self, exchange: str, *, holder: str, limit: int, lane: str, job_id: str) -> Claimed:
        """Lease due jobs to `holder`; arguments as for `Ledger.claim`.

        Raises:
            StoreUnavailable: Redis did not answer. What it leased all the same
                `take_back` returns, once the holder has left.
        """
        try:
            claimed = self._ledger.claim(
                exchange=exchange,
                holder=holder,
                lease_ms=self._settings.jobs.lease_ms,
                lane=lane,
                job_id=job_id,
                limit=limit,
            )
        except StoreUnavailable:
            self._unsure.add(holder)
            raise
        self._take_in_hand(claimed, holder)
        return claimed

    def settle(self, done: Sequence[Done], *, holder: str, limit: int) -> Claimed:
        """Record what attempts came to, however long Redis takes to be back.

        The answers in hand may be the only proof there will be, and stay true
        when the leases are over; so they are offered until a lease has run out
        twice, or the worker stops. If Redis had to be asked again, nothing more
        is claimed.

        Raises:
            StoreUnavailable: It did not come back. The leases run out.
        """
        until = clock.monotonic_ms() + 2 * self._settings.jobs.lease_ms
        stopping = False
        children = _children(done)
        while True:
            try:
                if children:
                    self._ledger.accept(children, follows=True)
                claimed = self._ledger.settle(
                    _settlements(done), holder=holder, limit=limit, **self._times
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
                self._told(done, claimed, holder)
                return claimed

    def send(
        self, done: Sequence[Done], exchange: str, *, holder: str, limit: int
    ) -> Flight | None:
        """Settle as `settle` does, if there is anything, and claim, while work goes on.

        What is claimed is leased to the flight, so that it can be returned if nobody
        hears of it in time, and is in nobody's hand until `land`.

        Args:
            done: What the last attempts came to; may be empty.
            exchange: Of these, and of what is claimed.
            holder: Who made the attempts.
            limit: Most jobs to claim; only such as can wait meanwhile.

        Returns:
            What `land` is to be given; None if nothing is under way, all being settled.

        Raises:
            StoreUnavailable: As for `settle`.
        """
        name, sent_ms = self.holder(), clock.monotonic_ms()
        self._flights[name] = sent_ms
        try:
            if children := _children(done):
                self._ledger.accept(children, follows=True)
            settling = self._ledger.send_settlement(
                _settlements(done),
                exchange=exchange,
                holder=holder,
                ahead=name,
                limit=limit,
                **self._times,
            )
        except StoreUnavailable:
            self._lose(name)
            if done:
                self.settle(done, holder=holder, limit=0)
            return None
        except BaseException:  # an interrupt too must leave nothing leased that nobody lands
            self._lose(name)
            raise
        return Flight(name, done, sent_ms, settling)

    def land(self, flight: Flight, *, holder: str) -> Claimed | None:
        """Hear of what was sent, and take in hand what it has claimed.

        Returns:
            None if Redis did not answer: what was to be settled is to be settled anew.
            What was claimed is returned by `take_back`.
        """
        with self._lock:
            if flight.name in self._flights:
                self._flights[flight.name] = math.inf  # not late: it is Redis that is waited for
        try:
            claimed = flight.settling.claimed()
        except StoreUnavailable:
            self._lose(flight.name)
            return None
        self._told(flight.done, claimed, holder)
        if self._flights.pop(flight.name, None) is None:
            # Given up meanwhile, perhaps before Redis had done it.
            for job in claimed.jobs:
                self._in_hand.get(holder, {}).pop(job.id, None)
            self._lose(flight.name)
            claimed = replace(claimed, jobs=())
        return claimed

    def drop(self, flight: Flight) -> None:
        """Give up a flight of which nobody will hear: its jobs wait for what `land` would do."""
        self._lose(flight.name)
        flight.settling.drop()

    def _lose(self, name: str) -> None:
        """Have what a flight may have claimed returned; only for who would land it."""
        self._flights.pop(name, None)
        if len(self._unanswered) < UNANSWERED_MAX:
            self._unanswered.add(name)

    def _revoke(self, names: Iterable[str]) -> None:
        """Do the same from elsewhere, unless they have just landed."""
        for name in names:
            with self._lock:
                known = self._flights.pop(name, None)
            if known is not None:
                self._lose(name)

    def _told(self, done: Sequence[Done], claimed: Claimed, holder: str) -> None:
        in_hand = self._in_hand.get(holder, {})
        for job, _ in done:
            in_hand.pop(job.id, None)
        _count(done, claimed)
        self._take_in_hand(claimed, holder)

    def leave(self, holder: str) -> None:
        """End a holder's turn; what it has not settled is left to its lease."""
        unsettled = self._in_hand.pop(holder, None)
        if holder in self._unsure:
            self._unsure.discard(holder)
            if not unsettled and len(self._unanswered) < UNANSWERED_MAX:
                self._unanswered.add(holder)

    def hand_back(self) -> int:
        """Give up the jobs in mid-attempt, so that another worker attempts them now.

        What is in flight is left to `take_back`.

        It asks the exchange first, since a request may be under way. An answer
        that comes here all the same still counts if it is a proof.

        Returns:
            How many there were.

        Raises:
            StoreUnavailable: Redis did not answer. Their leases run out.
        """
        self._revoke(list(self._flights))
        held = [(holder, list(jobs.values())) for holder, jobs in list(self._in_hand.items())]
        return self._ledger.hand_back([(job, holder) for holder, jobs in held for job in jobs])

    def take_back(self, lanes: Collection[str]) -> int:
        """Return to the ledger what was claimed by calls whose answers never came.

        And by those whose answers are not read in time, as what is in hand takes long.
        None of it has been attempted, so it is due as before; without this it
        would be when its lease has run out.

        Args:
            lanes: All that this process serves.

        Returns:
            How many jobs.

        Raises:
            StoreUnavailable: Redis did not answer. Asking again is safe.
        """
        late_ms = clock.monotonic_ms() - FLUSH_MS
        self._revoke([name for name, at_ms in list(self._flights.items()) if at_ms < late_ms])
        holders = list(self._unanswered)
        if not holders:
            return 0
        # First: what is lost once more meanwhile is to be asked for once more.
        self._unanswered.difference_update(holders)
        try:
            count = sum(self._ledger.take_back(lane, holders) for lane in sorted(lanes))
        except BaseException:
            self._unanswered.update(holders)
            raise
        if count:
            log.warning("nobody heard in time who claimed %d jobs: they are due again", count)
        return count

    def _take_in_hand(self, claimed: Claimed, holder: str) -> None:
        if claimed.jobs:
            jobs = {job.id: job for job in claimed.jobs}
            self._in_hand.setdefault(holder, {}).update(jobs)
            self._taken.add(jobs)


def _settlements(done: Sequence[Done]) -> list[tuple[Job, Settlement]]:
    return [(job, attempted.settlement) for job, attempted in done]


def _children(done: Sequence[Done]) -> list[NewJob]:
    return [child for _, attempted in done for child in attempted.children]


def _count(done: Sequence[Done], claimed: Claimed) -> None:
    """Count what has been recorded."""
    told = [
        (job, settlement, counted)
        for (job, settlement), counted in zip(_settlements(done), claimed.counted, strict=True)
        if settlement.verb is not Verb.WAIT
    ]
    metrics.attempted((job.exchange, settlement.outcome) for job, settlement, _ in told)
    for job, settlement, counted in told:
        if counted and settlement.verb is Verb.DONE:
            metrics.proven(job.exchange, claimed.now_ms - job.created_ms)
        elif counted and settlement.verb is Verb.DEAD:
            metrics.died(job.exchange)
