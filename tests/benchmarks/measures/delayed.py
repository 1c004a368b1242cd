"""Drain with an exchange that takes its time, at several concurrencies."""

from __future__ import annotations

from tests.benchmarks.run import Run
from tests.benchmarks.system import System
from tests.benchmarks.trial import running

DELAYED = "delayed"
MEASURES = (DELAYED,)


def measure(run: Run) -> None:
    """Measure each system with so many requests under way at once, over all its processes."""
    for turn in range(run.plan.rounds):
        for concurrency in run.plan.concurrencies:
            for system in run.systems:
                if system.style == "newcomer" or concurrency > system.most:
                    continue
                run.say(f"round {turn + 1}: {system.name}, {concurrency} at once")
                _one(run, system, concurrency, turn)


def _one(run: Run, system: System, concurrency: int, turn: int) -> None:
    each = max(1, concurrency // system.processes)
    folder = run.folder / f"{system.name}-{concurrency}-{turn}"
    most = concurrency / run.plan.delay_ms * 1_000
    count = max(20, int(most * run.plan.delayed_s))
    try:
        with running(system, folder, run.exchange, concurrency=each) as trial:
            run.exchange.delay(run.plan.delay_ms)
            drain = trial.drain(count, many=trial.producer.has_many)
    except AssertionError as error:
        run.failed(system, error)
        return
    finally:
        run.exchange.delay(0)
    run.results.add(
        DELAYED,
        system.name,
        {f"at_{concurrency}_per_s": drain.per_s, f"at_{concurrency}_cpu_ms_per_job": drain.cpu_s},
    )
