"""List the problems that an operator should look at, worst first."""

from __future__ import annotations

from collections.abc import Iterator

from worker.store.durability import faults
from worker.store.reading import LaneReading, Reading

OLD_MS = 60_000
"""This and the next thresholds are those of the alerts in `ops/prometheus`."""
LAG_MS = 15_000
NEAR = 0.25
OVERDUE_MS = -2_000


def troubles(reading: Reading) -> list[str]:
    """Return one sentence for each problem; empty without any."""
    found: list[str] = []
    if reading.workers == 0:
        found.append("No worker is running: jobs wait, switches held by workers do not fire.")
    if reading.refusal:
        found.append(f"No new work is accepted. {reading.refusal}.")
    for lane in reading.lanes:
        found += _of_lane(lane)
    if reading.dead:
        letters = "1 dead letter" if reading.dead == 1 else f"{reading.dead} dead letters"
        found.append(f"{letters}: an order may be open. See: cancel-worker dead list")
    if reading.redis is not None:
        known = (fault for fault in faults(reading.redis) if not fault.unknown)
        found += [f"Redis {it.subject}: {it.detail}. {it.mend}." for it in known]
    if reading.tick_ago_ms is None or reading.tick_ago_ms > LAG_MS:
        found.append("No tick of Celery beat was run recently.")
    found += [
        f"The limit {it.limit} of {it.exchange} ({it.owner}) is used up."
        for it, used in reading.budgets
        if used >= it.rule.max_requests
    ]
    return found


def _of_lane(lane: LaneReading) -> Iterator[str]:
    if lane.left_ms is not None and lane.left_ms < OVERDUE_MS:
        yield f"A switch of {lane.account} is past its deadline and has not tripped."
    elif lane.left_ratio is not None and lane.left_ratio < NEAR:
        yield f"A switch of {lane.account} is near its deadline: no heartbeat has arrived."
    if lane.without_timer:
        yield (
            f"{lane.exchange} has no current timer for armed switches of {lane.account} "
            f"({lane.without_timer}): only workers cancel at the deadline. "
            "See: cancel-worker switches"
        )
    if lane.oldest_ms > OLD_MS:
        yield f"Jobs of {lane.account} have been due for {lane.oldest_ms // 1_000} s."
    if lane.unproven_ms is not None and lane.unproven_ms > OLD_MS:
        yield (
            f"A job of {lane.account} has been unproven for {lane.unproven_ms // 1_000} s "
            "since its first attempt. See: cancel-worker jobs"
        )
