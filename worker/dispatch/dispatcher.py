"""The dispatcher of one worker process: puts threads to due jobs and switches.

A doorbell (a Celery message) wakes it at once; the sweep finds what comes due
without one: lost messages, retries, leases of workers that died.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import TypeVar

from worker import clock
from worker.config.settings import Settings
from worker.dispatch.attempt import AttemptRunner
from worker.dispatch.batch import BatchRunner
from worker.dispatch.concurrency import (
    NAMED_SHARE,
    NAMED_THREADS,
    PREFETCHED,
    SWITCH_THREADS,
    Answered,
    ExchangeThreads,
    NamedJob,
    ThreadLimit,
)
from worker.dispatch.leases import Leases
from worker.dispatch.membership import Membership
from worker.dispatch.pair_refresh import PairRefresh
from worker.dispatch.sweep import Sweep
from worker.dispatch.turn import TURN_MS, Parts, Turn
from worker.errors import StoreUnavailable
from worker.gateway.account import AccountSessions
from worker.model.names import exchange_of, is_switch_lane, key_name
from worker.model.outcomes import Outcome
from worker.net.process import process_name
from worker.policy.cpu_load import CpuLoad
from worker.store.due_poll import DuePoll
from worker.store.ledger import Ledger
from worker.store.slot_pools import PoolingLimiter
from worker.switches.reconciler import Reconciler
from worker.switches.timer_watch import TimerWatch
from worker.telemetry.redis_durability import RedisDurability

T = TypeVar("T")
log = logging.getLogger(__name__)


class Dispatcher:
    """Runs due jobs and switches for the accounts of one worker process."""

    def __init__(
        self,
        *,
        settings: Settings,
        accounts: AccountSessions,
        ledger: Ledger,
        attempts: AttemptRunner,
        reconciler: Reconciler,
        limiter: PoolingLimiter,
        due_poll: DuePoll,
        pair_refresh: PairRefresh,
        timer_watch: TimerWatch,
        durability: RedisDurability,
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self._due_poll = due_poll
        self._pair_refresh = pair_refresh
        self._timer_watch = timer_watch
        exchanges = {account.exchange.name for account in accounts.accounts}
        load, worker = CpuLoad(), settings.worker
        named_max = PREFETCHED * worker.concurrency // NAMED_SHARE // max(1, len(exchanges))
        self._threads = {
            name: ExchangeThreads(worker.exchange_threads, load, named_max=max(1, named_max))
            for name in exchanges
        }
        self.name = process_name()
        self._stopping = threading.Event()
        self._leases = Leases(ledger, name=self.name, settings=settings, stopping=self._stopping)
        self._membership = Membership(
            self.name,
            accounts=accounts,
            ledger=ledger,
            leases=self._leases,
            limiter=limiter,
            reconciler=reconciler,
            due_poll=due_poll,
        )
        self._parts = Parts(
            batches=BatchRunner(attempts, settings=settings, stopping=self._stopping),
            leases=self._leases,
            membership=self._membership,
            reconciler=reconciler,
            stopping=self._stopping,
        )
        self._executor: ThreadPoolExecutor | None = None
        self._sweep = Sweep(
            beat=self._membership.beat,
            poll=self._poll,
            connected=durability.check,
            sweep_ms=settings.worker.sweep_ms,
            stopping=self._stopping,
        )
        self.liveness = self._sweep.liveness

    def start(self) -> None:
        """Start the threads and the sweep."""
        each = self._settings.worker.exchange_threads + NAMED_THREADS + SWITCH_THREADS
        threads = each * max(1, len(self._threads))
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="turn")
        self._sweep.start()
        self._pair_refresh.start(self._stopping)
        self._timer_watch.start(self._stopping)

    def stop_claiming(self) -> None:
        """Claim nothing from now on. Safe in a signal handler."""
        if not self._stopping.is_set():
            self._stopping.set()

    def stop(self) -> None:
        """Claim nothing more, and wait until the attempts in progress are recorded."""
        self.liveness.stopping()
        self.stop_claiming()
        self._sweep.join()
        self._due_poll.put_back()
        if self._executor is not None:
            self._executor.shutdown(wait=True, cancel_futures=True)
        try:
            self._leases.take_back(self._membership.lanes)
        except StoreUnavailable as error:
            log.warning("Redis is down: jobs with a lost claim reply wait for a lease: %s", error)

    def hand_back(self) -> int:
        """Give up the jobs in mid-attempt; see `Leases.hand_back`."""
        count = self._leases.hand_back()
        with suppress(StoreUnavailable):  # then their leases run out
            self._leases.take_back(self._membership.lanes)
        return count

    def wait_ms(self, duration_ms: float) -> None:
        """Wait; return early when this worker is to stop."""
        clock.wait_ms(self._stopping, duration_ms)

    def register(self) -> None:
        """Record in Redis which accounts this worker serves.

        Raises:
            StoreUnavailable: Redis did not answer. The sweep registers again.
        """
        self._membership.register()

    def run_job(self, job_id: str, *, lane: str) -> Outcome | None:
        """Attempt one job if it is due, then others of its exchange for a while.

        Returns:
            The outcome of the attempt; None if the job was not attempted: another
            worker has it, it has ended, its lane is paused, or the exchange has no
            thread free. The job stays due then.

        Raises:
            StoreUnavailable: Redis did not answer. The job is still due, or, if it
                was being attempted, once its lease has run out; the sweep finds it.
        """
        exchange = exchange_of(lane)
        if not self._serves(lane, job_id):
            return None
        threads, ended = self._threads[exchange], list[Outcome | None]()
        job = NamedJob(lane, job_id, ended.append, lambda: None)
        if threads.enter():
            self._run_turn(exchange, named=job, turn_ms=TURN_MS)
        elif not threads.saturated:  # it passes a backlog that keeps all other threads busy
            threads.named.append(job)
            self._run_named(exchange)
        return ended[0] if ended else None

    def answer(self, job: NamedJob) -> Answered:
        """Have a thread do what `run_job` does; return at once."""
        if self._executor is None or not self._serves(job.lane, job.job_id):
            return Answered.LEFT
        exchange = exchange_of(job.lane)
        if (threads := self._threads[exchange]).enter():
            self._submit(threads.for_jobs, self._run_one, job)
            return Answered.BEGUN
        threads.named.append(job)
        self._look_again(exchange)
        if not threads.sizing.back_ms and threads.for_named.inside < NAMED_THREADS:
            self.call(partial(self._run_named, exchange))
        return Answered.WAITS

    @property
    def saturated(self) -> frozenset[str]:
        """Queues of exchanges for whose threads as many jobs wait as this process may prefetch.

        Their further doorbells are for other workers. Messages of other exchanges are read on,
        however long the attempts at one take.
        """
        names = (name for name, threads in self._threads.items() if threads.saturated)
        return frozenset(map(key_name, names))

    def call(self, run: Callable[[], object]) -> None:
        """Have a thread call `run`; not once this worker has stopped."""
        if self._executor is not None:
            with suppress(RuntimeError):  # shut down by now
                self._executor.submit(_log_errors, lambda _: run(), None)

    def answer_exchange(self, exchange: str) -> None:
        """Have a thread do what `run_exchange` does; return at once."""
        if exchange in self._threads:
            self._add_thread(exchange)

    def _serves(self, lane: str, job_id: str) -> bool:
        """Return whether this worker is to attempt a job."""
        if self._stopping.is_set() or lane not in self._membership.lanes:
            return False
        return job_id not in self._leases

    def _run_one(self, job: NamedJob) -> None:
        self._run_turn(exchange_of(job.lane), named=job)

    def _run_named(self, exchange: str) -> None:
        """Attempt the named jobs unless enough threads already do.

        A thread that finds all places taken leaves its job to those inside: they look at
        the queue once more after they have left.
        """
        limit, named = self._threads[exchange].for_named, self._threads[exchange].named
        while named and not self._stopping.is_set() and limit.enter():
            try:
                job = named.popleft()
            except IndexError:  # another thread has just taken the last one
                limit.leave()
                break
            if job.job_id in self._leases:
                limit.leave()
                job.ended(None)
            else:
                self._run_turn(exchange, limit, named=job, turn_ms=0)

    def run_exchange(self, exchange: str) -> None:
        """Run due jobs of an exchange for a while.

        Raises:
            StoreUnavailable: Redis did not answer; as for `run_job`.
        """
        if self._stopping.is_set() or exchange not in self._threads:
            return
        if self._threads[exchange].enter():
            self._run_turn(exchange, turn_ms=TURN_MS)

    def _run_turn(
        self,
        exchange: str,
        limit: ThreadLimit | None = None,
        *,
        named: NamedJob | None = None,
        turn_ms: float | None = None,
    ) -> None:
        """Run a turn in a place that has been entered, and leave the place."""
        try:
            self._turn(exchange, turn_ms).run(named)
        finally:
            (limit or self._threads[exchange].for_jobs).leave()
            self._look_again(exchange)

    def _look_again(self, exchange: str) -> None:
        """Put a thread to a named job that waits, if one is free.

        Called once a job waits and once a place is free: whichever is later finds the other.
        """
        threads = self._threads[exchange]
        if threads.named and not self._stopping.is_set() and threads.enter():
            self._submit(threads.for_jobs, self._run_waiting, exchange)

    def _run_waiting(self, exchange: str) -> None:
        """Run a turn that begins with the named job that has waited for longest."""
        threads = self._threads[exchange]
        try:
            job = threads.named.popleft()
        except IndexError:  # another thread has had Redis name it
            threads.for_jobs.leave()
        else:
            self._run_turn(exchange, named=job)

    def _turn(self, exchange: str, turn_ms: float | None = None) -> Turn:
        threads = self._threads[exchange]
        return Turn(self._parts, exchange, threads, add_thread=self._add_thread, turn_ms=turn_ms)

    def _poll(self) -> float:
        """Put threads to what is due; return in how many ms to poll again at the latest."""
        self._leases.take_back(self._membership.lanes)
        first = self._due_poll.first_due()
        self._membership.check_clock()
        now_ms = self._membership.now_ms()
        pause_ms: float = self._settings.worker.sweep_ms
        if first is None or first > now_ms:
            return pause_ms if first is None else first - now_ms + 1
        for lane, at_ms in self._ledger.looks_ms(self._membership.lanes).items():
            if at_ms > now_ms:
                pause_ms = min(pause_ms, at_ms - now_ms + 1)
                break
            exchange = exchange_of(lane)
            if not is_switch_lane(lane):
                self._add_thread(exchange)
            elif (limit := self._threads[exchange].for_switches).enter():
                self._submit(limit, self._run_switches, lane)
        return pause_ms

    def _add_thread(self, exchange: str) -> None:
        """Put one more thread to the exchange's due jobs, if it may have one.

        Not while stopping: each thread would put back what it claims and add another.
        """
        if not self._stopping.is_set() and self._threads[exchange].enter():
            self._submit(self._threads[exchange].for_jobs, self._run_turn, exchange)

    def _submit(self, limit: ThreadLimit, run: Callable[[T], object], of: T) -> None:
        """Have a thread call `run`, which leaves the place that has been entered."""
        if self._executor is None:
            limit.leave()
            return
        try:
            self._executor.submit(_log_errors, run, of)
        except RuntimeError:  # shut down by now
            limit.leave()

    def _run_switches(self, lane: str) -> None:
        """Trip the expired switches of a lane, and bring the exchange's timers in line."""
        exchange = exchange_of(lane)
        try:
            self._turn(exchange).reconcile(lane)
        finally:
            self._threads[exchange].for_switches.leave()
        # A tripped switch leaves cancels that are due now.
        self.run_exchange(exchange)


def _log_errors(run: Callable[[T], object], of: T) -> None:
    try:
        run(of)
    except StoreUnavailable as error:
        log.warning("Redis went down in mid-attempt: %s", error)
    except Exception:
        log.exception("a thread of the dispatcher crashed; the sweep continues")
