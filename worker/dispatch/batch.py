"""Run claimed jobs in order; put back those that wait too long."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence

from worker import clock
from worker.config.settings import Settings
from worker.dispatch.attempt import AttemptRunner
from worker.dispatch.completion import crashed, report
from worker.dispatch.concurrency import ExchangeThreads
from worker.dispatch.leases import STORE_RETRY_MS
from worker.errors import StoreUnavailable
from worker.model.decisions import PutBack
from worker.model.jobs import Job
from worker.model.outcomes import Evidence
from worker.model.settlements import Claimed, Settlement
from worker.policy.batch_sizing import START_WITHIN_MS

log = logging.getLogger(__name__)

REFUSED = (Evidence.NO_CANCELS, Evidence.NO_READS, Evidence.NO_TOKEN)


class BatchRunner:
    """Attempts the jobs that a thread has claimed. Safe to use from many threads.

    Args:
        attempts: Makes the attempts.
        settings: The budgets.
        stopping: Once set, no further job is started.
    """

    def __init__(
        self, attempts: AttemptRunner, *, settings: Settings, stopping: threading.Event
    ) -> None:
        self._attempts = attempts
        self._settings = settings
        self._stopping = stopping

    def run(self, threads: ExchangeThreads, claimed: Claimed, asked_ms: float) -> list[Settlement]:
        """Attempt the jobs of one lane in order; put back those that wait too long.

        Jobs after one that pauses the lane are put back too, and, once Redis is back, those
        that could not be sent without it.

        Args:
            threads: Those of the exchange.
            claimed: The jobs, at least one.
            asked_ms: When the claim was sent to Redis, on the local monotonic clock.

        Returns:
            The result for each job, in order.
        """
        begun = clock.monotonic_ms()
        done: list[Settlement] = []
        paused = False
        for jobs in self._attempts.together(claimed.jobs):
            now = clock.monotonic_ms()
            # Redis leased the jobs between the call and its reply. The lease is counted from
            # the call, and Redis's time from the reply, so that neither is overestimated.
            held_ms, now_ms = round(now - asked_ms), claimed.now_ms + round(now - begun)
            results = _put_back(jobs)
            late = now - begun > START_WITHIN_MS or self._stopping.is_set()
            if not (paused or (late and done)):
                threads.begin()
                sent = False
                try:
                    results = self._attempt(jobs, now_ms, held_ms)
                    sent = not isinstance(results[0].decision, PutBack)
                    paused = not sent or _pauses(results)
                except StoreUnavailable as error:
                    log.warning("Redis went down in mid-attempt: %s", error)
                    # Redis may lease jobs and refuse what their attempts need each time.
                    results, paused = _put_back(jobs, pause_ms=STORE_RETRY_MS), True
                finally:
                    took_ms, cpu_ms = threads.end()
                if sent:
                    threads.learn(took_ms / len(jobs), cpu_ms / len(jobs))
            done += results
        report(done)
        return done

    def _attempt(self, jobs: Sequence[Job], now_ms: int, held_ms: int) -> list[Settlement]:
        """Attempt jobs in one request; a fault of our own leaves them unknown, and due again."""
        if self._stopping.is_set():
            return _put_back(jobs)
        try:
            if len(jobs) > 1:
                return self._attempts.attempt_together(jobs, now_ms=now_ms, held_ms=held_ms)
            return [self._attempts.attempt(jobs[0], now_ms=now_ms, held_ms=held_ms)]
        except StoreUnavailable:
            raise
        except Exception as error:  # noqa: BLE001  one job's fault must not cost the others
            budget = self._settings.jobs
            return [crashed(job, error, now_ms=now_ms, jobs=budget) for job in jobs]


def _put_back(jobs: Sequence[Job], *, pause_ms: int = 0) -> list[Settlement]:
    """Settle jobs that were claimed and not started: they are due as before the claim."""
    return [Settlement(job, PutBack(), pause_ms=pause_ms) for job in jobs]


def _pauses(results: Sequence[Settlement]) -> bool:
    """Return whether the account must pause: for its rate, or as its credentials are refused."""
    return any(each.pause_ms > 0 or each.evidence in REFUSED for each in results)
