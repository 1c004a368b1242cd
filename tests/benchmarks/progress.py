"""How long `Heartbeat.progress` takes in a strategy's loop, with its thread running.

Run: `uv run python -m tests.benchmarks.progress`
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from worker import Heartbeat, Producer
from worker.config.settings import Settings
from worker.store.embedded import EmbeddedRedis

CALLS = 500_000
BOUND_US = 5.0


def measure(heart: Heartbeat, calls: int) -> list[float]:
    """Return how long each call took, in µs, shortest first."""
    took = []
    now = time.perf_counter_ns
    for _ in range(calls):
        begun = now()
        heart.progress()
        took.append((now() - begun) / 1_000)
    return sorted(took)


def main() -> int:
    """Print the percentiles; return 1 if the bound is missed."""
    account = {"exchange": "everstrike", "api_key": "key-01", "api_secret": "secret-01"}
    with (
        tempfile.TemporaryDirectory() as folder,
        EmbeddedRedis(Path(folder) / "redis") as server,
    ):
        producer = Producer(Settings(redis_url=server.url, accounts={"ev": account}))
        switch = producer.arm("ev", order_ids=["a1"], timeout_ms=1_000)
        with Heartbeat(switch) as heart:
            took = measure(heart, CALLS)
        switch.disarm()
    p50, p99, p999 = (took[int(len(took) * share)] for share in (0.5, 0.99, 0.999))
    sys.stdout.write(
        f"progress(): p50 {p50:.2f} us, p99 {p99:.2f} us, p99.9 {p999:.2f} us, "
        f"worst {took[-1]:.0f} us of {len(took)} calls; bound of p99: {BOUND_US} us\n"
    )
    return int(p99 > BOUND_US)


if __name__ == "__main__":
    sys.exit(main())
