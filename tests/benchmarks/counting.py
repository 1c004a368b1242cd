"""What counting costs a job: `uv run python -m tests.benchmarks.counting`.

Prints microseconds a job spends in the counts of one attempt that proves it,
as one of a batch, and milliseconds of one scrape's text.
"""

from __future__ import annotations

import statistics
import sys
from time import process_time

from prometheus_client import generate_latest

from worker import clock
from worker.model.jobs import Job, Kind, State
from worker.model.outcomes import Outcome
from worker.policy.batch_sizing import BATCH_MAX
from worker.telemetry import metrics

JOBS = 50_000
ROUNDS = 5


def round_us(job: Job) -> float:
    """Return the microseconds of CPU a job in one round."""
    begun = clock.monotonic_ms()
    spent = process_time()
    for _ in range(JOBS // BATCH_MAX):
        for _ in range(BATCH_MAX):
            metrics.leaving(job.exchange, (begun,))
            metrics.proven(job.exchange, 39)
        metrics.attempted([(job.exchange, Outcome.CANCELED)] * BATCH_MAX)
    return (process_time() - spent) * 1_000_000 / JOBS


def main() -> None:
    """Measure and print."""
    job = Job(id="j", kind=Kind.CANCEL, state=State.PENDING, lane="bitmart:bm", created_ms=1)
    metrics.prepare([("bitmart", "bm", False, ["bitmart:orders:x"])])
    rounds = [round_us(job) for _ in range(ROUNDS)]
    begun = clock.monotonic_ms()
    size = len(generate_latest(metrics.REGISTRY))
    took_ms = clock.monotonic_ms() - begun
    sys.stdout.write(
        f"counting: {statistics.median(rounds):.1f} us of CPU a job "
        f"({min(rounds):.1f}-{max(rounds):.1f}); a scrape: {took_ms:.1f} ms, {size} bytes\n"
    )


if __name__ == "__main__":
    main()
