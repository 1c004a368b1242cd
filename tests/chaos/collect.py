"""Reads what a run has left behind into its history."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import redis

from tests.chaos.history import Fault, History, merged
from tests.chaos.stage import BOUNDS, Stage
from tests.support.polling import eventually
from worker.model.jobs import Job
from worker.policy.retention import SHORTEST_MS
from worker.simulator import EXCHANGES

CHUNK = 500


def jobs_of(stage: Stage) -> dict[str, Job]:
    """Return every job that Redis holds."""
    client = stage.redis.client()
    keys = [key for key in client.scan_iter("cx:job:*", count=1_000) if not key.endswith(":made")]
    found: dict[str, Job] = {}
    for start in range(0, len(keys), CHUNK):
        pipe = client.pipeline(transaction=False)
        for key in keys[start : start + CHUNK]:
            pipe.hgetall(key)
        rows: Iterable[Any] = pipe.execute()
        for row in rows:
            if row:
                job = Job.read(row)
                # What says that attempts are left out is none itself.
                told = tuple(line for line in job.history if "at_ms" in line)
                found[job.id] = replace(job, history=told)
    client.close()
    return found


def tripped_in(stage: Stage) -> tuple[str, ...]:
    """Return the switches that Redis has as tripped."""
    client = stage.redis.client()
    keys = [key for key in client.scan_iter("cx:switch:*") if not key.endswith(":orders")]
    tripped = [key for key in keys if client.hget(key, "state") == "tripped"]
    client.close()
    return tuple(key.removeprefix("cx:switch:") for key in tripped)


def settled(stage: Stage, *, within_ms: float, switches: bool = True) -> bool:
    """Wait until nothing is left to do; return whether that was reached.

    No job is pending, no plain message unread, no report missing of a switch that
    has tripped, and, unless they are to be left alone, no switch armed.
    """
    client = stage.redis.client()

    def idle() -> bool:
        lanes: Any = client.zrange("cx:lanes", 0, -1)
        busy = [lane for lane in lanes if switches or not lane.endswith(":switch")]
        waits = [f"cx:due:{lane}" for lane in busy]
        return not client.exists("celery", "cx:celery", "cx:tripped", *waits)

    try:
        eventually(idle, within_ms=within_ms, pause_ms=100)
    except AssertionError:
        return False
    finally:
        client.close()
    return True


def ended_jobs(stage: Stage) -> dict[str, Job]:
    """Return the jobs that have ended by now; none while Redis cannot be read."""
    try:
        return {job.id: job for job in jobs_of(stage).values() if job.finished_ms}
    except redis.RedisError:
        return {}


def collect(
    stage: Stage,
    *,
    end_ms: float,
    stalls: Iterable[Fault] = (),
    ended: Mapping[str, Job] = MappingProxyType({}),
) -> History:
    """Return the history of a run that is over, its jobs ended or given time to.

    Args:
        stage: What ran.
        end_ms: When it was over.
        stalls: When the machine stood still.
        ended: Jobs as they were when they had ended. A Redis that was full keeps them for
            `SHORTEST_MS` and no longer.
    """
    # Before the books: what ends while they are read is judged as pending.
    jobs = {
        job.id: job for job in ended.values() if end_ms - (job.finished_ms or end_ms) >= SHORTEST_MS
    } | jobs_of(stage)
    orders = [(exchange, order) for exchange in EXCHANGES for order in stage.sim.orders(exchange)]
    recorder = stage.recorder
    return History(
        bounds=BOUNDS,
        cancels=tuple(recorder.cancels),
        switches=tuple(recorder.switches),
        faults=merged([*recorder.faults, *stalls]),
        lives=tuple(stage.take_lives()),
        journal=tuple(stage.sim.journal()),
        orders=tuple(orders),
        jobs=jobs,
        alerts=tuple(row for row in stage.logs() if "alert" in row),
        tripped=tripped_in(stage),
        ahead=tuple(stage.ahead),
        end_ms=end_ms,
    )


def keep(history: History, path: Path) -> None:
    """Write a history as JSON, one line a call, fault, request, order and job."""
    parts: dict[str, Iterable[Any]] = {
        "cancel": history.cancels,
        "switch": history.switches,
        "fault": history.faults,
        "life": history.lives,
        "arrival": history.journal,
        "order": [order for _, order in history.orders],
        "job": history.jobs.values(),
    }
    with path.open("w") as file:
        for kind, rows in parts.items():
            file.writelines(json.dumps({"is": kind, **asdict(row)}) + "\n" for row in rows)
