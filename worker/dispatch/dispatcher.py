"""The worker's motor: takes what is due from the ledger and has it attempted.

A doorbell (a Celery message) wakes it at once; the sweep finds whatever came
due without one: lost messages, retries, leases of workers that died.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from worker import clock
from worker.config.settings import Settings
from worker.dispatch.attempt import AttemptRunner
from worker.dispatch.batch import BatchRunner
from worker.dispatch.concurrency import TENDERS, ExchangeThreads, ThreadLimit
from worker.dispatch.leases import NOTHING, Done, Flight, Leases
from worker.dispatch.orphans import report
from worker.dispatch.sweep import Sweep
from worker.errors import StoreUnavailable
from worker.gateway.account import AccountSessions
from worker.model.constants import PRESENCE_MS, STEP_MS
from worker.model.names import exchange_of, is_switch_lane, switch_lane
from worker.model.outcomes import Outcome
from worker.model.settlements import Claimed
from worker.policy.batch_sizing import FLUSH_MS
from worker.policy.phases import holds_timers
from worker.store.due_poll import DuePoll
from worker.store.ledger import Ledger
from worker.store.limiter import Limiter
from worker.switches.reconciler import Reconciler
from worker.telemetry.alerts import alert
from worker.telemetry.redis_durability import RedisDurability

log = logging.getLogger(__name__)

TURN_MS = 1_000
"""How long a thread that a doorbell woke goes on with other due jobs."""


class Dispatcher:
    """Works off the ledger for the accounts of one worker process."""

    def __init__(
        self,
        *,
        settings: Settings,
        lanes: AccountSessions,
        ledger: Ledger,
        pipeline: AttemptRunner,
        keeper: Reconciler,
        limiter: Limiter,
        lookout: DuePoll,
        durability: RedisDurability,
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self._lookout = lookout
        self._keeper = keeper
        self._limiter = limiter
        self._lanes = lanes
        exchanges = sorted({lane.exchange.name for lane in lanes.accounts})
        self._served: Collection[str] = ()
        self._contested: Collection[str] = ()
        self._serve({})
        self._crews = {
            name: ExchangeThreads(settings.worker.exchange_threads) for name in exchanges
        }
        self.name = f"{socket.gethostname()}:{os.getpid()}:{os.urandom(3).hex()}"
        lookout.vote_as(self.name)
        self._offset_ms: int | None = None
        self._stopping = threading.Event()
        self._attempts = BatchRunner(pipeline, settings=settings, stopping=self._stopping)
        self._claims = Leases(ledger, name=self.name, settings=settings, stopping=self._stopping)
        self._executor: ThreadPoolExecutor | None = None
        self._ahead_ms = 0.0
        """Redis time less the local monotonic clock."""
        self._sweep = Sweep(
            beat=self._beat,
            look=self._look,
            reached=durability.look,
            sweep_ms=settings.worker.sweep_ms,
            stopping=self._stopping,
        )
        self.pulse = self._sweep.pulse

    def start(self) -> None:
        """Start to sweep."""
        each = self._settings.worker.exchange_threads + TENDERS
        threads = each * max(1, len(self._crews))
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="drain")
        self._sweep.start()

    def stop_taking(self) -> None:
        """Claim nothing from now on. For signal handlers, too."""
        if not self._stopping.is_set():
            self._stopping.set()

    def stop(self) -> None:
        """Take nothing more, and wait for the attempts under way to be settled."""
        self.pulse.stopping()
        self.stop_taking()
        self._sweep.join()
        self._lookout.put_back()
        if self._executor is not None:
            self._executor.shutdown(wait=True, cancel_futures=True)
        try:
            self._claims.take_back(self._served)
        except StoreUnavailable as error:
            log.warning("Redis is away: what it may have leased us waits for that: %s", error)

    def hand_back(self) -> int:
        """Give up the jobs in mid-attempt, and what has been claimed ahead; see `Leases`."""
        count = self._claims.hand_back()
        with suppress(StoreUnavailable):  # then their leases run out
            self._claims.take_back(self._served)
        return count

    def wait_ms(self, duration_ms: float) -> None:
        """Wait, but not for longer than until this worker is to stop."""
        clock.wait_ms(self._stopping, duration_ms)

    def register(self) -> None:
        """Tell Redis which accounts this worker serves.

        Raises:
            StoreUnavailable: Redis did not answer. The sweep does it again.
        """
        accounts = self._lanes.accounts
        self._serve(
            self._ledger.register(
                [(lane.alias, lane.exchange.name, int(lane.uses_nonce)) for lane in accounts],
                native={lane.exchange.name for lane in accounts if holds_timers(lane.exchange)},
                bulk={lane.alias: lane.bulk_max for lane in accounts},
                identities={lane.alias: lane.identity for lane in accounts},
            )
        )
        self._keeper.register()
        fresh = [alias for alias in self._ledger.contested if alias not in self._contested]
        self._contested = self._ledger.contested
        for alias in fresh:
            log.warning(
                "other workers have another key for account %s; that is right only while a key "
                "is replaced: else give one of the accounts another alias, or the two are mixed",
                alias,
            )

    def _serve(self, lanes: Mapping[str, str]) -> None:
        self._lanes.serve(lanes)
        served = self._lanes.names
        self._served = served | {switch_lane(lane) for lane in served}

    def run_job(self, job_id: str, *, lane: str) -> Outcome | None:
        """Attempt one job if it is due, then others of its exchange for a while.

        Returns:
            What the attempt came to; None if there was nothing to do: another
            worker has the job, it has ended, its lane is at rest, or this
            exchange holds all the threads it may. Nothing is lost by that.

        Raises:
            StoreUnavailable: Redis did not answer. The job is due still, or once
                its lease has run out if it was being attempted; the sweep finds it.
        """
        exchange = exchange_of(lane)
        if self._stopping.is_set() or lane not in self._served or job_id in self._claims:
            return None
        if self._crews[exchange].enter():
            return self._drain(exchange, lane=lane, job_id=job_id, turn_ms=TURN_MS)
        # One that is asked for by name passes a backlog that holds all threads.
        self._crews[exchange].named.append((lane, job_id))
        return self._run_named(exchange).get(job_id)

    def _run_named(self, exchange: str) -> dict[str, Outcome | None]:
        """Attempt what is asked for by name, if not enough threads do so already.

        Whoever finds the bulkhead full leaves its job to those inside, who look
        again once they have left.
        """
        single, named = self._crews[exchange].singles, self._crews[exchange].named
        done: dict[str, Outcome | None] = {}
        while named and not self._stopping.is_set() and single.enter():
            try:
                lane, job_id = named.popleft()
            except IndexError:  # another thread has just taken the last
                single.leave()
                break
            if job_id in self._claims:
                single.leave()
                continue
            done[job_id] = self._drain(exchange, single, lane=lane, job_id=job_id, turn_ms=0)
        return done

    def run_exchange(self, exchange: str) -> None:
        """Work off what is due of an exchange, for a while.

        Raises:
            StoreUnavailable: Redis did not answer; as for `run_job`.
        """
        if self._stopping.is_set() or exchange not in self._crews:
            return
        if self._crews[exchange].enter():
            self._drain(exchange, turn_ms=TURN_MS)

    def _drain(
        self,
        exchange: str,
        entered: ThreadLimit | None = None,
        *,
        lane: str = "",
        job_id: str = "",
        turn_ms: float | None = None,
    ) -> Outcome | None:
        """Attempt due jobs, having entered the bulkhead, until there are none.

        Where there are many and nothing is in the way, the next are claimed while
        those in hand are attempted, and what became of the last is told with that:
        the ledger and the exchange need not wait for one another.
        """
        holder = self._claims.holder()
        started = since_ms = clock.monotonic_ms()
        named: Outcome | None = None
        untold: list[Done] = []
        flight: Flight | None = None
        smooth, late, resting = False, False, ""
        try:
            claimed = self._claim(exchange, holder=holder, lane=lane, job_id=job_id)
            while claimed.jobs or claimed.tended:
                if claimed.tended:
                    self._keeper.tend(claimed.tended, holder, self._stopping)
                    if not self._goes_on(exchange, started, turn_ms):
                        break
                    since_ms = clock.monotonic_ms()
                    claimed = self._claim(exchange, holder=holder)
                    continue
                if claimed.more:
                    # There is more than this thread can take: put another to it.
                    self._put_to(exchange)
                ahead = smooth and claimed.more and self._goes_on(exchange, started, turn_ms)
                flight = self._send(exchange, untold, holder, ahead=ahead)
                # Else Redis was away, and what is in hand may have waited for as long.
                late = late or (bool(untold) and flight is None)
                first = claimed.jobs[0]
                put_back = late or first.lane == resting
                work = self._attempts.work(
                    self._crews[exchange], claimed, since_ms, put_back=put_back
                )
                if job_id == first.id:
                    named = work.done[0][1].settlement.outcome
                smooth, resting = work.smooth, first.lane if work.rests else ""
                landing, flight = flight, None
                # Before it lands: what Redis takes to answer is no waiting behind other work.
                late = landing is not None and clock.monotonic_ms() - landing.sent_ms > FLUSH_MS
                landed = self._claims.land(landing, holder=holder) if landing else NOTHING
                if landing and landed and landed.jobs:
                    claimed, untold, since_ms = landed, work.done, landing.sent_ms
                    continue
                if landed is not None:
                    untold = []
                goes_on = landed is not None and self._goes_on(exchange, started, turn_ms)
                limit = self._crews[exchange].pace.chunk if goes_on else 0
                since_ms = clock.monotonic_ms()
                claimed = self._claims.settle([*untold, *work.done], holder=holder, limit=limit)
                untold, late, resting = [], False, ""
        finally:
            try:
                if flight is not None:
                    self._claims.drop(flight)
            finally:
                self._claims.leave(holder)
                (entered or self._crews[exchange].workers).leave()
        return named

    def _send(
        self, exchange: str, untold: Sequence[Done], holder: str, *, ahead: bool
    ) -> Flight | None:
        """Tell what is untold and, if `ahead`, claim what is worth claiming meanwhile."""
        limit = self._crews[exchange].pace.chunk if ahead else 0
        if not untold and limit <= 1:
            return None
        return self._claims.send(untold, exchange, holder=holder, limit=limit)

    def _goes_on(self, exchange: str, started: float, turn_ms: float | None) -> bool:
        if self._stopping.is_set() or self._crews[exchange].crowded:
            return False
        return turn_ms is None or clock.monotonic_ms() - started < turn_ms

    def _claim(self, exchange: str, *, holder: str, lane: str = "", job_id: str = "") -> Claimed:
        def claim() -> Claimed:
            limit = 1 if job_id else self._crews[exchange].pace.chunk
            return self._claims.claim(
                exchange, holder=holder, limit=limit, lane=lane, job_id=job_id
            )

        claimed = claim()
        if claimed.unregistered in self._served:
            # First of all that Redis lost its data, if it has: then slots are held off.
            self._heartbeat()
            claimed = claim()
        return claimed

    def _beat(self) -> None:
        self._lookout.put_back()
        self._heartbeat()

    def _heartbeat(self) -> None:
        # First: where only answers are lost, what was claimed unheard is free at once.
        self._claims.take_back(self._served)
        self._keeper.tripped()
        now_ms, registered = self._ledger.heartbeat(self.name, ttl_ms=PRESENCE_MS)
        self._ahead_ms = now_ms - clock.monotonic_ms()
        if self._ledger.owes:
            log.warning("Redis has failed over; telling it what it may have lost")
            self._limiter.recall(self.name)
        if not registered:
            self.register()
        if self._ledger.strays:
            report(self._ledger.astray)
        self._claims.look_at_memory()

    def _look_at_clock(self) -> None:
        """Settle a step of shared time, and raise an alert if Redis's clock has stepped."""
        if self._lookout.suspects:
            self._beat()
        known, self._offset_ms = self._offset_ms, self._lookout.offset_ms
        if known is None or self._offset_ms is None or abs(self._offset_ms - known) <= STEP_MS:
            return
        alert(
            "clock step",
            f"the clock of Redis's host stepped by {known - self._offset_ms} ms; shared time "
            f"did not follow, and is {self._offset_ms} ms ahead of it now",
        )

    def _look(self) -> float:
        """Put threads to what is due; return the ms until something may be."""
        self._claims.take_back(self._served)
        first = self._lookout.first_due()
        self._look_at_clock()
        now_ms = self._ahead_ms + clock.monotonic_ms()
        pause_ms: float = self._settings.worker.sweep_ms
        if first is None or first > now_ms:
            return pause_ms if first is None else first - now_ms + 1
        for lane, at_ms in self._ledger.looks_ms(self._served).items():
            if at_ms > now_ms:
                pause_ms = min(pause_ms, at_ms - now_ms + 1)
                break
            exchange = exchange_of(lane)
            if not is_switch_lane(lane):
                self._put_to(exchange)
            elif (tenders := self._crews[exchange].tenders).enter():
                self._submit(tenders, self._tend, lane)
        return pause_ms

    def _put_to(self, exchange: str) -> None:
        """Put a thread to what is due of an exchange, if it may hold one more.

        Not while stopping: each would put back what it claims, and put another to it.
        """
        if not self._stopping.is_set() and self._crews[exchange].enter():
            self._submit(self._crews[exchange].workers, self._drain, exchange)

    def _submit(self, bulkhead: ThreadLimit, work: Callable[[str], object], name: str) -> None:
        """Have a thread do `work`, which leaves the bulkhead that has been entered."""
        if self._executor is None:
            bulkhead.leave()
            return
        try:
            self._executor.submit(_quietly, work, name)
        except RuntimeError:  # shut down meanwhile
            bulkhead.leave()

    def _tend(self, lane: str) -> None:
        """Trip the switches of a lane that have run out, and bring the exchange in line."""
        exchange = exchange_of(lane)
        holder = self._claims.holder()
        try:
            claimed = self._claim(exchange, holder=holder, lane=lane)
            while claimed.more and not (claimed.tended or self._stopping.is_set()):
                claimed = self._claim(exchange, holder=holder, lane=lane)
            if claimed.tended:
                self._keeper.tend(lane, holder, self._stopping)
        finally:
            self._claims.leave(holder)
            self._crews[exchange].tenders.leave()
        # What has tripped left cancels that are due now.
        self.run_exchange(exchange)


def _quietly(work: Callable[[str], object], name: str) -> None:
    try:
        work(name)
    except StoreUnavailable as error:
        log.warning("Redis is away in mid-attempt: %s", error)
    except Exception:
        log.exception("a thread of the dispatcher crashed; the sweep goes on")
