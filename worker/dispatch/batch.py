"""Attempting what has been claimed, job after job, for as long as it may be kept from others."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass

from worker import clock
from worker.config.settings import Settings
from worker.dispatch.attempt import AttemptRunner
from worker.dispatch.completion import Attempted, crashed, tell
from worker.dispatch.concurrency import ExchangeThreads
from worker.dispatch.leases import STORE_RETRY_MS, Done
from worker.errors import StoreUnavailable
from worker.model.jobs import Job
from worker.model.outcomes import Evidence
from worker.model.settlements import Claimed, Settlement, Verb
from worker.policy.batch_sizing import FLUSH_MS, SMOOTH_MS

log = logging.getLogger(__name__)

PUT_BACK = Attempted(Settlement(Verb.WAIT))
"""What becomes of a job that was claimed and not begun: as if it had not been."""
WITHOUT_REDIS = Attempted(Settlement(Verb.WAIT, pause_ms=STORE_RETRY_MS))
"""The same where Redis did not do what an attempt needs: it may refuse that at once, again
and again, and yet give out the job."""


REFUSED = (Evidence.NO_CANCELS, Evidence.NO_READS, Evidence.NO_TOKEN)


@dataclass(frozen=True, slots=True)
class Work:
    """What became of jobs of a lane.

    Attributes:
        done: Each with what it came to, in order.
        rests: Whether the lane must rest.
        smooth: Whether it took so little that more may be claimed meanwhile.
    """

    done: list[Done]
    rests: bool
    smooth: bool


class BatchRunner:
    """BatchRunner the jobs that a thread has claimed. Safe to use from many threads.

    Args:
        pipeline: Makes the attempts.
        settings: The budgets.
        stopping: Once set, nothing more is begun.
    """

    def __init__(
        self, pipeline: AttemptRunner, *, settings: Settings, stopping: threading.Event
    ) -> None:
        self._pipeline = pipeline
        self._settings = settings
        self._stopping = stopping

    def work(
        self, crew: ExchangeThreads, claimed: Claimed, since_ms: float, *, put_back: bool
    ) -> Work:
        """Attempt jobs of a lane one after the other; what comes to wait too long is put back.

        So is what follows one for which the lane must rest, and, once Redis is
        back, what could not be sent without it.

        Args:
            crew: That of the exchange.
            claimed: What to attempt.
            since_ms: When the claim was asked for.
            put_back: Whether none of it may be begun: it has waited too long behind other
                work, or the lane has been found to have to rest.
        """
        begun = clock.monotonic_ms()
        done: list[Done] = []
        rests = False
        for jobs in self._pipeline.together(claimed.jobs):
            now = clock.monotonic_ms()
            # Of when Redis leased it no more is known than that it was after it was asked:
            # so the lease is reckoned from then, and the time from when that was heard.
            held_ms, now_ms = round(now - since_ms), claimed.now_ms + round(now - begun)
            came_to = [PUT_BACK] * len(jobs)
            late = now - begun > FLUSH_MS or self._stopping.is_set()
            if not (put_back or rests or (late and done)):
                crew.begin()
                sent = False
                try:
                    came_to = self._attempt(jobs, now_ms, held_ms)
                    sent = came_to[0].settlement.verb is not Verb.WAIT
                    rests = not sent or _rests(came_to)
                except StoreUnavailable as error:
                    log.warning("Redis is away in mid-attempt: %s", error)
                    came_to, rests = [WITHOUT_REDIS] * len(jobs), True
                finally:
                    took_ms, cpu_ms = crew.end()
                if sent:
                    crew.learn(took_ms / len(jobs), cpu_ms / len(jobs))
            done += zip(jobs, came_to, strict=True)
        tell(attempted for _, attempted in done)
        return Work(
            done, rests=rests, smooth=not rests and clock.monotonic_ms() - begun < SMOOTH_MS
        )

    def _attempt(self, jobs: Sequence[Job], now_ms: int, held_ms: int) -> list[Attempted]:
        """Attempt jobs in one request; a fault of our own leaves them unknown, and due again."""
        if self._stopping.is_set():
            return [PUT_BACK] * len(jobs)
        try:
            return self._pipeline.attempt_together(jobs, now_ms=now_ms, held_ms=held_ms)
        except StoreUnavailable:
            raise
        except Exception as error:  # noqa: BLE001  one job's fault must not cost the others
            budget = self._settings.jobs
            return [Attempted(crashed(job, error, now_ms=now_ms, jobs=budget)) for job in jobs]


def _rests(came_to: Sequence[Attempted]) -> bool:
    """Return whether the account must rest: for the rate, or as its credentials are refused."""
    return any(
        each.settlement.pause_ms > 0 or each.settlement.evidence in REFUSED for each in came_to
    )
