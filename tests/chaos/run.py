"""One run: everything starts, is used and broken for a while, is left alone, and is judged."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.collect import collect, ended_jobs, settled
from tests.chaos.deployment import Deployment, Standalone
from tests.chaos.drill import drill
from tests.chaos.history import History
from tests.chaos.machine import Pulse
from tests.chaos.messenger import Messenger
from tests.chaos.nemesis import Nemesis
from tests.chaos.stage import Stage
from tests.chaos.strategies import Character, Strategist
from tests.chaos.workload import Trader
from worker import clock
from worker.model.jobs import Job
from worker.policy.retention import SHORTEST_MS

LOOK_MS = 500
DRILLS = 4


@dataclass(frozen=True, slots=True)
class Plan:
    """How long a run is, and how dense.

    Attributes:
        trader_pause_ms: A trader's mean pause between two calls.
        nemesis_pause_ms: The mean pause between two faults.
        failovers: How often one of them is to be a failover, where there can be
            any, on the scale of `nemesis.WEIGHTS`.
        characters: One strategist each.
        messengers: One strategy of plain Celery messages each.
        settle_ms: How long jobs are given to end once all is repaired.
        drills: Kills of a worker and of Redis then, one by one, to measure recovery.
    """

    run_ms: float
    traders: int
    trader_pause_ms: float
    nemesis_pause_ms: float
    failovers: int
    characters: tuple[Character, ...]
    messengers: tuple[Character, ...]
    settle_ms: float = 60_000
    drills: int = 0


EMULATED = (Character("ev", (1_200, 4_000)), Character("bm", (1_200, 4_000)))
LONG = (
    *EMULATED * 2,
    *(Character("ix", (16_000, 24_000)),) * 2,
    *(Character("it", (26_000, 36_000)),) * 2,
)
BRIEF = (Character("ev", (1_000, 2_000)), Character("bm", (1_000, 2_000)))
SHORT = (*BRIEF * 2, Character("ix", (4_000, 5_000)), Character("it", (4_000, 5_000)))


def short_plan(run_ms: float) -> Plan:
    """Return the plan of the suite's own run."""
    return Plan(run_ms, 2, 60, 600, 30, SHORT, (Character("ix", (4_000, 5_000)),), 30_000)


def long_plan(run_ms: float) -> Plan:
    """Return the plan of a run by hand: 20,000 jobs and 1,000 faults in 20 minutes."""
    return Plan(run_ms, 3, 220, 950, 5, LONG, (Character("ix", (16_000, 24_000)),), drills=DRILLS)


@dataclass(frozen=True, slots=True)
class Finished:
    """What a run leaves behind; `exits` are processes that ended unasked."""

    history: History
    exits: tuple[str, ...]
    settled: bool


def run(
    folder: Path,
    plan: Plan,
    *,
    seed: int,
    deployment: Callable[[Path], Deployment] = Standalone,
    progress: Callable[[Stage, float], None] = lambda *_: None,
) -> Finished:
    """Carry out a plan.

    Raises:
        RuntimeError: The nemesis, or a user, failed; the run says nothing.
    """
    with Stage(folder, seed=seed, deployment=deployment) as stage, Pulse() as pulse:
        stop, calm = threading.Event(), threading.Event()
        nemesis = Nemesis(
            stage,
            str(seed),
            pause_ms=plan.nemesis_pause_ms,
            failovers=plan.failovers,
            stop=calm,
        )
        users: list[threading.Thread] = [
            Trader(stage, f"{seed} {n}", pause_ms=plan.trader_pause_ms, stop=stop)
            for n in range(plan.traders)
        ]
        users += [
            Strategist(stage, f"{seed}p{n}", character, stop=stop)
            for n, character in enumerate(plan.characters)
        ]
        users += [
            Messenger(stage, f"{seed}m{n}", character, stop=stop)
            for n, character in enumerate(plan.messengers)
        ]
        for thread in (*users, nemesis):
            thread.start()
        try:
            begun, read_ms = clock.monotonic_ms(), 0.0
            ended_by_then: dict[str, Job] = {}
            while (passed := clock.monotonic_ms() - begun) < plan.run_ms and nemesis.is_alive():
                progress(stage, passed)
                if passed - read_ms > SHORTEST_MS / 3:
                    ended_by_then |= ended_jobs(stage)
                    read_ms = passed
                clock.wait_ms(calm, LOOK_MS)
            dead = [thread.name for thread in users if not thread.is_alive()]
        finally:
            # Whatever happens, no process is started any more.
            calm.set()
            nemesis.join()
            stop.set()
            for thread in users:
                thread.join()
        if nemesis.failure is not None or dead:
            raise RuntimeError(f"the harness itself failed: {dead}") from nemesis.failure
        ended = settled(stage, within_ms=plan.settle_ms)
        drill(stage, plan.drills)
        history = collect(stage, end_ms=clock.now_ms(), stalls=pulse.stalls, ended=ended_by_then)
        return Finished(history, tuple(stage.exits), ended)
