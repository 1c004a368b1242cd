"""Latency and drain, system after system, round after round.

All systems are up all the time, each frozen while it is not its turn, so that
what else runs on the machine meets them all alike.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from tests.benchmarks.plan import Plan
from tests.benchmarks.results import Results
from tests.benchmarks.run import Run
from tests.benchmarks.system import System
from tests.benchmarks.trial import Drain, Trial, percentile, running

NS_PER_US = 1_000
LONGEST_S = 60
"""A slow system's backlog is cut to what it drains in this time."""
CALL = "call"
LATENCY, DRAIN, LARGE, CALLS, IDLE = "latency", "drain", "large-drain", "calls", "idle"
MEASURES = (LATENCY, DRAIN, LARGE, CALLS, IDLE)


def measure(run: Run, wanted: Sequence[str]) -> None:
    """Measure what is wanted of `MEASURES`."""
    with contextlib.ExitStack() as stack:
        started = [_started(run, system, stack) for system in run.systems]
        trials = [trial for trial in started if trial is not None]
        for turn in range(run.plan.rounds):
            for trial in trials:
                run.say(f"round {turn + 1}: {trial.system.name}")
                with trial.turn():
                    _round(run, trial, wanted, first=turn == 0)


def _started(run: Run, system: System, stack: contextlib.ExitStack) -> Trial | None:
    run.say(f"start {system.name}")
    try:
        trial = stack.enter_context(running(system, run.folder / system.name, run.exchange))
    except AssertionError as error:
        run.failed(system, error)
        return None
    trial.freeze()
    return trial


def _bounded(trial: Trial, count: int) -> int:
    """Return so many jobs, or fewer for a system that would take too long."""
    return min(count, max(10, int(trial.most * LONGEST_S)))


def _round(run: Run, trial: Trial, wanted: Sequence[str], *, first: bool) -> None:
    """Measure one system once; what fails is noted, and the rest continues."""
    try:
        trial.most = trial.drain(run.plan.probe).per_s
        if trial.most > run.plan.probe:  # else it would take long
            trial.most = trial.drain(4 * run.plan.probe).per_s
        if LATENCY in wanted:
            latency(run.results, run.plan, trial)
        if DRAIN in wanted:
            _drain(run.results, trial, DRAIN, run.plan.drain)
        if LARGE in wanted:
            _drain(run.results, trial, LARGE, run.plan.large_drain)
        if CALLS in wanted and first and trial.workers is not None:
            run.results.add(
                CALLS, trial.system.name, {"calls_of_redis_per_job": trial.calls(run.plan.counted)}
            )
        if IDLE in wanted and trial.workers is not None:
            _idle(run.results, run.plan, trial)
    except AssertionError as error:
        run.failed(trial.system, error)


def latency(results: Results, plan: Plan, trial: Trial) -> None:
    """Measure from call to arrival at the same rates for all, and at shares of its own maximum.

    A rate that it cannot keep up with is left out: it would show how long the backlog is, not
    how soon a job is sent.
    """
    name = trial.system.name
    rates = {str(rate): float(rate) for rate in plan.rates if rate <= trial.most * plan.keeps_up}
    shares = {f"{share:.0%}": trial.most * share for share in plan.shares}
    for label, per_s in {**rates, **shares}.items():
        count = max(10, min(int(per_s * plan.paced_s), plan.paced))
        paced = trial.paced(count, per_s)
        results.add(
            LATENCY,
            name,
            {
                f"at_{label}_p50_ms": percentile(paced.took_ms, 0.5),
                f"at_{label}_p99_ms": percentile(paced.took_ms, 0.99),
                f"at_{label}_p99.9_ms": percentile(paced.took_ms, 0.999),
                f"at_{label}_cpu_ms_per_job": paced.cpu_ms,
            },
        )
        if label == "100":
            results.latencies_ms.setdefault(name, []).extend(paced.took_ms)
            results.add(CALL, name, {"at_100_p50_ms": percentile(paced.calls_ms, 0.5)})


def _drain(results: Results, trial: Trial, measure_name: str, count: int) -> None:
    name = trial.system.name
    count = _bounded(trial, count)
    single = trial.drain(count)
    results.add(measure_name, name, _figures(single, count, ""))
    if trial.producer.has_many:
        results.add(measure_name, name, _figures(trial.drain(count, many=True), count, "many_"))


def _figures(drain: Drain, count: int, prefix: str) -> dict[str, float]:
    figures = {
        f"{prefix}per_s": drain.per_s,
        f"{prefix}cpu_ms_per_job": drain.cpu_s,
        f"{prefix}redis_commands_per_job": drain.commands / 1_000,
        f"{prefix}redis_cpu_ms_per_job": drain.redis_cpu_s,
        f"{prefix}call_us": drain.sent.took_ns / count / NS_PER_US,
        f"{prefix}call_cpu_us": drain.sent.cpu_ns / count / NS_PER_US,
    }
    return {**figures, f"{prefix}repeated": drain.repeated}


def _idle(results: Results, plan: Plan, trial: Trial) -> None:
    busy, memory_mb, asked = trial.idle(plan.idle_ms)
    results.add(
        IDLE,
        trial.system.name,
        {"cpu_percent": busy, "redis_commands_per_s": asked.commands, "memory_mb": memory_mb},
    )
