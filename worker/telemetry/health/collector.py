"""Metrics of the state in Redis, read at each scrape."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from worker.errors import StoreUnavailable
from worker.store.durability import NOEVICTION, RedisFacts
from worker.store.reading import LaneReading, Reading
from worker.telemetry.health.reading import Watch

log = logging.getLogger(__name__)

Row = tuple[Sequence[str], float]


class StoreCollector(Collector):
    """Reads Redis once a scrape. While Redis is down it exports only `redis_up`.

    Every process that serves metrics reads the same Redis: aggregate these gauges with
    `max` or `min`, never with `sum`.
    """

    def __init__(self, watch: Watch) -> None:
        self._watch = watch

    def describe(self) -> Iterable[Metric]:
        """Return no metrics, so that registration needs no Redis."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Return the gauges; never raises."""
        try:
            reading = self._watch.look()
        except StoreUnavailable as error:
            log.debug("Redis is down: %s", error)
            yield _one("redis_up", "Whether Redis answers.", 0)
            return
        except Exception:
            log.exception("the state in Redis cannot be read")
            yield _one("redis_up", "Whether Redis answers.", 0)
            return
        yield _one("redis_up", "Whether Redis answers.", 1)
        yield _one("redis_latency_seconds", "One round trip to Redis.", reading.latency_ms / 1_000)
        yield _one("redis_accepts_work", "Whether Redis accepts new work.", not reading.refusal)
        if reading.redis is not None:
            yield from _redis(reading.redis)
        yield from _processes(reading)
        yield from _jobs(reading.lanes)
        yield from _switches(reading.lanes)
        yield from _budgets(reading)


def _redis(facts: RedisFacts) -> Iterator[Metric]:
    if facts.appendonly is not None:
        yield _one("redis_appendonly", "Whether the append-only file is on.", facts.appendonly)
    if facts.maxmemory_policy is not None:
        kept = facts.maxmemory_policy == NOEVICTION
        yield _one("redis_noeviction", "Whether Redis never evicts keys.", kept)
    yield _one(
        "redis_aof_write_ok",
        "Whether the last write to the append-only file succeeded.",
        not facts.writes_fail,
    )
    if facts.memory_ratio is not None:
        yield _one(
            "redis_memory_used_ratio",
            "Used share of maxmemory or, if unset, of the machine's memory.",
            facts.memory_ratio,
        )


def _processes(reading: Reading) -> Iterator[Metric]:
    yield _one("workers", "Running workers.", reading.workers)
    yield _one(
        "celery_beat_ticking", "Whether a Celery beat holds the lease and ticks.", reading.beats
    )
    if reading.tick_ago_ms is not None:
        yield _one(
            "celery_beat_lag_seconds",
            "Time since a worker last ran a tick of Celery beat.",
            max(0, reading.tick_ago_ms) / 1_000,
        )
    yield _one("dead_letters", "Dead letters not yet replayed or discarded.", reading.dead)


def _jobs(lanes: Sequence[LaneReading]) -> Iterator[Metric]:
    labels = ("exchange", "account")
    yield _family("jobs_pending", "Pending jobs.", labels, [(_of(it), it.pending) for it in lanes])
    yield _family(
        "jobs_due",
        "Jobs that wait for a worker or a rate slot.",
        labels,
        [(_of(it), it.due) for it in lanes],
    )
    yield _family(
        "oldest_due_seconds",
        "Time since the oldest due job became due.",
        labels,
        [(_of(it), it.oldest_ms / 1_000) for it in lanes],
    )
    yield _family(
        "oldest_unproven_seconds",
        "Time since the first attempt of the job that has been unproven the longest.",
        labels,
        [(_of(it), it.unproven_ms / 1_000) for it in lanes if it.unproven_ms is not None],
    )


def _switches(lanes: Sequence[LaneReading]) -> Iterator[Metric]:
    labels = ("exchange", "account")
    yield _family(
        "switches",
        "Switches by state; of the tripped ones, the recent ones.",
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
        "switches_without_timer",
        "Armed switches that need a timer at the exchange and have no current one.",
        labels,
        [(_of(it), it.without_timer) for it in lanes],
    )
    yield _family(
        "switch_nearest_deadline_seconds",
        "Time until the nearest deadline of an armed switch; negative after it.",
        labels,
        [(_of(it), it.left_ms / 1_000) for it in lanes if it.left_ms is not None],
    )
    yield _family(
        "switch_min_remaining_ratio",
        "Minimum remaining time of an armed switch as a share of its timeout.",
        labels,
        [(_of(it), it.left_ratio) for it in lanes if it.left_ratio is not None],
    )
    yield _family(
        "named_switch_deadline_seconds",
        "Time until the deadline of an armed switch with a name, of at most 100.",
        (*labels, "name"),
        [((*_of(it), name), ms / 1_000) for it in lanes for name, ms in sorted(it.named.items())],
    )


def _budgets(reading: Reading) -> Iterator[Metric]:
    labels = ("exchange", "limit", "owner")
    rows = [((it.exchange, it.limit, it.owner), it.rule, used) for it, used in reading.budgets]
    yield _family(
        "limit_used_requests",
        "Requests counted in the window of a rate limit.",
        labels,
        [(names, used) for names, _, used in rows],
    )
    yield _family(
        "limit_max_requests",
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
