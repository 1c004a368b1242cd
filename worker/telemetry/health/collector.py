"""What stands in Redis, as metrics, read when somebody asks for them."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from worker.errors import StoreUnavailable
from worker.telemetry.health.reading import LaneReading, Reading, RedisFacts, Watch

log = logging.getLogger(__name__)

Row = tuple[Sequence[str], float]


class StoreCollector(Collector):
    """Reads Redis once a scrape; if it does not answer, says so and no more.

    Every process that serves metrics reads the same: aggregate with `max` or
    `min`, never with `sum`.
    """

    def __init__(self, watch: Watch) -> None:
        self._watch = watch

    def describe(self) -> Iterable[Metric]:
        """Return nothing, so that to be registered needs no Redis."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Return the gauges; never raises."""
        try:
            reading = self._watch.look()
        except StoreUnavailable as error:
            log.debug("Redis is away: %s", error)
            yield _one("redis_up", "Whether Redis answers.", 0)
            return
        except Exception:
            log.exception("what stands in Redis cannot be read")
            yield _one("redis_up", "Whether Redis answers.", 0)
            return
        yield _one("redis_up", "Whether Redis answers.", 1)
        yield _one("redis_latency_seconds", "One round trip to Redis.", reading.latency_ms / 1_000)
        yield _one("redis_takes_work", "Whether Redis takes new work.", float(not reading.refusal))
        if reading.redis is not None:
            yield from _redis(reading.redis)
        yield from _processes(reading)
        yield from _jobs(reading.lanes)
        yield from _switches(reading.lanes)
        yield from _budgets(reading)


def _redis(facts: RedisFacts) -> Iterator[Metric]:
    yield _one("redis_appendonly", "Whether the append-only file is on.", facts.appendonly)
    yield _one("redis_noeviction", "Whether nothing is ever evicted.", facts.noeviction)
    yield _one(
        "redis_aof_write_ok",
        "Whether the last write to the append-only file went well.",
        facts.aof_write_ok,
    )
    if facts.memory_ratio is not None:
        yield _one(
            "redis_memory_used_ratio",
            "Memory used, of maxmemory, or without one of the machine's.",
            facts.memory_ratio,
        )


def _processes(reading: Reading) -> Iterator[Metric]:
    yield _one("workers", "Workers that live.", reading.workers)
    yield _one("beats", "Whether a Celery beat holds the lease and ticks.", reading.beats)
    if reading.tick_ago_ms is not None:
        yield _one(
            "heartbeat_lag_seconds",
            "Since a worker last ran a heartbeat of beat.",
            max(0, reading.tick_ago_ms) / 1_000,
        )
    yield _one("dead_letters", "Dead letters that nobody has dealt with.", reading.dead)


def _jobs(lanes: Sequence[LaneReading]) -> Iterator[Metric]:
    labels = ("exchange", "account")
    yield _family(
        "jobs_pending", "Jobs that have not ended.", labels, [(_of(it), it.pending) for it in lanes]
    )
    yield _family(
        "jobs_due",
        "Jobs that wait for a worker or a rate slot.",
        labels,
        [(_of(it), it.due) for it in lanes],
    )
    yield _family(
        "oldest_due_seconds",
        "For how long the oldest due job has been due.",
        labels,
        [(_of(it), it.oldest_ms / 1_000) for it in lanes],
    )
    yield _family(
        "vain_attempts_seconds",
        "For how long the job that was first attempted has been so without a proof.",
        labels,
        [(_of(it), it.vain_ms / 1_000) for it in lanes if it.vain_ms is not None],
    )


def _switches(lanes: Sequence[LaneReading]) -> Iterator[Metric]:
    labels = ("exchange", "account")
    yield _family(
        "switches",
        "Switches by state; of the tripped, those of late.",
        (*labels, "state"),
        [
            ((*_of(it), state), count)
            for it in lanes
            for state, count in (
                ("armed", it.armed),
                ("disarmed", it.disarmed),
                ("tripped", it.tripped),
            )
        ],
    )
    yield _family(
        "switches_untimed",
        "Armed switches whose exchange should keep a timer, and has none in time.",
        labels,
        [(_of(it), it.untimed) for it in lanes],
    )
    yield _family(
        "switch_nearest_deadline_seconds",
        "Until the nearest deadline of an armed switch; negative once it has passed.",
        labels,
        [(_of(it), it.left_ms / 1_000) for it in lanes if it.left_ms is not None],
    )
    yield _family(
        "switch_least_left_ratio",
        "Least time left of an armed switch, as a part of its timeout.",
        labels,
        [(_of(it), it.left_ratio) for it in lanes if it.left_ratio is not None],
    )


def _budgets(reading: Reading) -> Iterator[Metric]:
    labels = ("exchange", "limit", "owner")
    rows = [((it.exchange, it.limit, it.owner), it.rule, used) for it, used in reading.budgets]
    yield _family(
        "budget_used_slots",
        "Requests counted in the window of a rate limit.",
        labels,
        [(names, used) for names, _, used in rows],
    )
    yield _family(
        "budget_allowed_slots",
        "Requests that a rate limit allows in its window.",
        labels,
        [(names, rule.max_requests) for names, rule, _ in rows],
    )


def _of(lane: LaneReading) -> tuple[str, str]:
    return lane.exchange, lane.account


def _one(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"cancel_worker_{name}", text, value=float(value))


def _family(name: str, text: str, labels: Sequence[str], rows: Sequence[Row]) -> Metric:
    family = GaugeMetricFamily(f"cancel_worker_{name}", text, labels=labels)
    for names, value in rows:
        family.add_metric(names, value)
    return family
