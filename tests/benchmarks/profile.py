"""Where the worker's own time goes: `uv run --group bench python -m tests.benchmarks.profile`.

One thread of an engine in this process processes cancels on the fast exchange.
First without a profiler: microseconds of processor a job, here and in Redis. Then
with Python's, whose clock is this thread's processor time, so that waiting counts
for nothing: the share of each step of an attempt with all that it calls.
Sampling profilers show mostly where threads wait, and so blame the sockets.
"""

from __future__ import annotations

import cProfile
import os
import pstats
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.benchmarks.environment import bench_of
from tests.benchmarks.exchange import Exchange
from tests.benchmarks.redis_stats import asked
from worker import Producer
from worker.config.settings import Settings, load_settings
from worker.factory import build_dispatcher, secrets_of
from worker.store.opening import build_store
from worker.telemetry.logs import set_up

JOBS = 3_000
ROUNDS = 5
STEPS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "send and receive": (("worker/gateway/http/transport.py", "send"),),
    "… of that: reading the reply": (("worker/gateway/http/response.py", "read_reply"),),
    "check and sign": (("worker/exchanges/everstrike/adapter.py", "sign"),),
    "read what it proves": (("worker/gateway/account.py", "read"),),
    "decide and word the record": (("worker/dispatch/attempt.py", "_conclude"),),
    "log": (("worker/dispatch/completion.py", "report"),),
    "counts": (
        *(("worker/telemetry/metrics.py", name) for name in ("leaving", "attempted", "proven")),
    ),
    "settle and claim": (
        *(("worker/dispatch/leases.py", name) for name in ("settle", "claim")),
    ),
}  # fmt: skip
"""Step → functions, by the end of their file's name, whose time with all they call is its."""


def main() -> None:
    """Measure and print."""
    with (
        tempfile.TemporaryDirectory(prefix="cancel-worker-profile-") as folder,
        Exchange() as exchange,
        bench_of(Path(folder) / "bench", exchange) as bench,
    ):
        os.environ["WORKER_CONFIG"] = str(bench.folder / "worker.toml")
        settings = load_settings()
        with (Path(folder) / "log").open("w") as log:
            _profile(settings, log)


def _profile(settings: Settings, log: Any) -> None:
    shown, sys.stderr = sys.stderr, log
    try:
        set_up("INFO", secrets_of(settings))
    finally:
        sys.stderr = shown
    engine, producer = build_dispatcher(settings), Producer(settings)
    engine.register()
    client = build_store(settings).client

    def work_off(prefix: str) -> tuple[float, float]:
        """Process a backlog; return microseconds a job of this thread and of Redis."""
        tickets = producer.cancel_many("ev", [f"{prefix}{n}" for n in range(JOBS)])
        before, begun_s = asked(client), time.thread_time()
        while any(ticket.result().state == "pending" for ticket in (tickets[0], tickets[-1])):
            engine.run_exchange("everstrike")
        spent_s, redis_s = time.thread_time() - begun_s, asked(client).since(before).cpu_s
        return spent_s / JOBS * 1e6, redis_s / JOBS * 1e6

    work_off("warm")
    rounds = [work_off(f"round{n}x") for n in range(ROUNDS)]
    profiler = cProfile.Profile(time.thread_time)
    profiler.enable()
    work_off("profiled")
    profiler.disable()
    ours, theirs = (statistics.median(each) for each in zip(*rounds, strict=True))
    spread = f"{min(each for each, _ in rounds):.0f}-{max(each for each, _ in rounds):.0f}"
    print(f"a job: {ours:.0f} us of the worker's processor ({spread})")  # noqa: T201
    print(f"       {theirs:.0f} us of Redis's")  # noqa: T201
    for line in _shares(pstats.Stats(profiler)):
        print(line)  # noqa: T201


def _shares(stats: pstats.Stats) -> list[str]:
    """Return a line a step; shares of the engine's turn."""
    rows: Mapping[tuple[str, int, str], tuple[int, int, float, float, Any]] = vars(stats)["stats"]

    def spent(file: str, name: str) -> float:
        return sum(
            row[3] for (path, _, func), row in rows.items() if path.endswith(file) and func == name
        )

    turn = spent("worker/dispatch/dispatcher.py", "run_exchange")
    calls = sum(row[0] for row in rows.values())
    lines = [f"{calls / JOBS:.0f} function calls a job, those of the producer included"]
    for step, functions in STEPS.items():
        share = sum(spent(*each) for each in functions) / turn
        lines.append(f"{share * 100:5.1f} %  {step}")
    return lines


if __name__ == "__main__":
    main()
