"""What a person should look into, in words, worst first."""

from __future__ import annotations

from collections.abc import Iterator

from worker.telemetry.health.reading import LaneReading, Reading, RedisFacts

OLD_MS = 60_000
"""As the alerts under `ops/prometheus` have it; so are the others."""
LAG_MS = 15_000
NEAR = 0.25
OVERDUE_MS = -2_000
MEMORY = 0.8


def troubles(reading: Reading) -> list[str]:
    """Return what is wrong; empty if all is well."""
    found: list[str] = []
    if reading.workers == 0:
        found.append("No worker lives: jobs wait, and switches held by workers do not fire.")
    if reading.refusal:
        found.append(f"No new work is taken. {reading.refusal}.")
    for lane in reading.lanes:
        found += _of_lane(lane)
    if reading.dead:
        letters = "1 dead letter" if reading.dead == 1 else f"{reading.dead} dead letters"
        found.append(f"{letters}: an order may be open. See: cancel-worker dead list")
    if reading.redis is not None:
        found += _of_redis(reading.redis)
    if reading.tick_ago_ms is None or reading.tick_ago_ms > LAG_MS:
        found.append("No heartbeat of Celery beat has been run lately.")
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
        yield f"A switch of {lane.account} is near its deadline: no beat has come."
    if lane.untimed:
        yield (
            f"{lane.exchange} holds no timer in time for armed switches of {lane.account} "
            f"({lane.untimed}): only workers cancel at the deadline. See: cancel-worker switches"
        )
    if lane.oldest_ms > OLD_MS:
        yield f"Jobs of {lane.account} have been due for {lane.oldest_ms // 1_000} s."
    if lane.vain_ms is not None and lane.vain_ms > OLD_MS:
        yield (
            f"A job of {lane.account} has been attempted for {lane.vain_ms // 1_000} s "
            "without a proof. "
            "See: cancel-worker jobs"
        )


def _of_redis(facts: RedisFacts) -> list[str]:
    found: list[str] = []
    if not facts.appendonly:
        found.append("Redis keeps nothing on disk: a restart of it loses accepted jobs.")
    elif not facts.aof_write_ok:
        found.append("Redis could not write its append-only file.")
    if not facts.noeviction:
        found.append("Redis may evict accepted jobs.")
    if facts.memory_ratio is not None and facts.memory_ratio > MEMORY:
        found.append("Redis is short of memory.")
    return found
