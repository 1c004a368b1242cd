"""How soon work continues after a worker or Redis was lost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.chaos import watched, windows
from tests.chaos.history import History

RESUME_SLACK_MS = 1_000
FAILOVER_MS = 10_000
FAILOVERS = tuple(f"redis.{how}" for how in watched.FAILOVERS)
REDIS_BACK_MS = {"redis.kill": 3_000, **dict.fromkeys(FAILOVERS, FAILOVER_MS)}
"""Until the first job is done, by what had happened: of a failover from the loss
of the master, else from Redis answering again."""


@dataclass(frozen=True, slots=True)
class Recovery:
    """What was measured, in ms.

    Attributes:
        resumed: From a worker's SIGKILL until each job in its hands was taken
            up again, where a worker could from the end of its lease on, its
            exchange had not asked all to wait, and slots were free.
        redis: Until the first job was done, by what had happened to Redis,
            as `REDIS_BACK_MS` counts it, unless it was lost again before that.
    """

    resumed: tuple[float, ...]
    redis: Mapping[str, tuple[float, ...]]


def measure(history: History) -> Recovery:
    """Measure every recovery in a history."""
    return Recovery(
        tuple(_resumed(history)),
        {
            kind: tuple(_redis(history, kind))
            for kind in REDIS_BACK_MS
            if any(fault.kind == kind for fault in history.faults)
        },
    )


def percentile(values: Sequence[float], part: float) -> float:
    """Return the value that this part of them does not exceed; 0 of none."""
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(part * len(ranked)))] if ranked else 0.0


def _resumed(history: History) -> list[float]:
    killed = {
        life.pid: fault.from_ms
        for life in history.lives
        for fault in history.faults
        if fault.kind == "worker.kill"
        and fault.target == f"w{life.slot}"
        and life.ready_ms <= fault.from_ms <= life.end_ms + 100
    }
    away = windows.union(
        [
            *windows.of(history.faults, "redis", "machine", after_ms=windows.SLACK_MS),
            *windows.no_worker(history),
        ]
    )
    resting: dict[str, list[windows.Span]] = {}
    found = []
    for job in history.jobs.values():
        for row, after in zip(job.history, job.history[1:], strict=False):
            by = str(row.get("by", "")).split(":")
            if row.get("detail") != windows.LOST or len(by) < 2 or int(by[1]) not in killed:
                continue
            at_ms, again_ms = killed[int(by[1])], float(after["at_ms"])
            # Until the lease is over no worker is to take it up, whatever else is broken.
            over_ms = at_ms + history.bounds.lease_ms
            if job.exchange not in resting:
                resting[job.exchange] = [
                    *windows.throttled(history, job.exchange),
                    *windows.held_off(history, history.bounds.limits.get(job.exchange)),
                    *windows.spent(history, job.exchange),
                ]
            excuses = windows.union([*away, *resting[job.exchange]])
            if again_ms > at_ms and not windows.overlap_ms(excuses, over_ms, again_ms):
                found.append(again_ms - at_ms)
    return found


def _redis(history: History, kind: str) -> list[float]:
    done = sorted(job.finished_ms for job in history.jobs.values() if job.finished_ms)
    machine = windows.union(windows.of(history.faults, "machine"))
    found = []
    for fault in history.faults:
        if fault.kind != kind:
            continue
        first = next((at for at in done if at >= fault.until_ms), None)
        waiting = any(
            job.created_ms <= fault.until_ms <= (job.finished_ms or 0)
            for job in history.jobs.values()
        )
        begin_ms = fault.from_ms if kind in FAILOVERS else fault.until_ms
        held_up = first and windows.overlap_ms(machine, begin_ms, first)
        lost_again = first and any(
            other is not fault
            and other.kind in REDIS_BACK_MS
            and begin_ms <= other.from_ms <= first
            for other in history.faults
        )
        if first is not None and waiting and not (held_up or lost_again):
            found.append(first - begin_ms)
    return found
