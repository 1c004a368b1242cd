"""Logs and alerts for the results of attempts."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterable, Mapping

from worker.config.settings import Jobs
from worker.model.decisions import Again, Dead, Done, PutBack
from worker.model.jobs import Job
from worker.model.outcomes import Evidence, Outcome
from worker.model.settlements import Settlement
from worker.policy.retries import DOUBTFUL_ATTEMPTS
from worker.policy.scopes import UNSEEN
from worker.telemetry.alerts import alert
from worker.telemetry.logs import LINES

log = logging.getLogger(__name__)

CRASH_PAUSE_MS = 1_000


def crashed(job: Job, error: Exception, *, now_ms: int, jobs: Jobs) -> Settlement:
    """Log and settle an attempt that an error of our own ended.

    The outcome is unknown. The job is due again, or dead once its budgets are spent.

    Args:
        job: As it was claimed.
        error: What was raised; its text goes into the log alone.
        now_ms: Redis time at which the attempt began.
        jobs: The budgets.
    """
    log.error("an attempt crashed", exc_info=error, extra={"job": job.id, "account": job.account})
    where = {"account": job.account, "exchange": job.exchange}
    alert("attempt crashed", f"an attempt crashed: {type(error).__name__}", error, **where)
    detail = f"internal error: {type(error).__name__}"
    late = now_ms - (job.first_ms or now_ms) >= jobs.max_age_ms
    if late or job.attempts >= jobs.max_attempts:
        return Settlement(job, Dead(Outcome.UNKNOWN, detail), at_ms=now_ms)
    again = Again(
        job.phase,
        CRASH_PAUSE_MS + random.randrange(CRASH_PAUSE_MS),  # noqa: S311  jitter
        Outcome.UNKNOWN,
        detail,
        job.streak,
        job.missing,
        doubtful=job.attempts >= DOUBTFUL_ATTEMPTS,
        listed=job.listed,
        empty=job.empty,
    )
    return Settlement(job, again, at_ms=now_ms)


def report(settlements: Iterable[Settlement]) -> None:
    """Log the results of attempts, and raise the alerts that follow.

    All lines go out in one write: a write each would cost a fifth of an attempt at a fast
    exchange.
    """
    if lines := [line for each in settlements if (line := _line(each))]:
        log.info("attempts", extra={LINES: lines})


def _line(settlement: Settlement) -> Mapping[str, object] | None:
    """Return the log line of an attempt; None without an answer, or if an alert shows it."""
    job, decision = settlement.job, settlement.decision
    if settlement.took_ms is None:
        return None
    context = {
        "job": job.id,
        "kind": job.kind,
        "account": job.account,
        "exchange": job.exchange,
        "order_id": job.order_id,
        **({"client_order_id": job.client_order_id} if job.client_order_id else {}),
        "attempt": job.attempts,
        "phase": job.sends,
        "outcome": decision.outcome,
        "detail": decision.detail,
        "took_ms": settlement.took_ms,
    }
    if job.refused == "cancels" and settlement.evidence is Evidence.READS:
        refused = "the exchange answers this account's questions, but refuses its cancels"
        alert("credentials refused", f"{refused}: its key may lack the right to them", **context)
    match decision:
        case Done():
            if job.unseen and not (job.children or job.swept):
                log.warning("an empty scope: %s", UNSEEN, extra=context)
            return {"message": "done", **context}
        case Again(refused=True) if not job.refused:
            refused = "the exchange refuses this account's credentials; its jobs wait"
            alert(
                "credentials refused", f"{refused}, and one is tried from time to time", **context
            )
        case Again():
            return {"message": "not proven", **context}
        case Dead(outcome=Outcome.UNAUTHORIZED):
            refused = "the exchange refuses this account's credentials"
            alert("credentials refused", f"{refused}; given up: {decision.detail}", **context)
        case Dead():
            alert("dead letter", f"given up: {decision.detail}", **context)
        case PutBack():
            pass
    return None
