"""Counters and histograms of this process.

All their names and labels are defined here. Gauges of the state in Redis are read at
each scrape (`worker.telemetry.health`). Labels are exchanges, accounts and fixed words:
never an order, a job or a pair, whose number is unbounded. A call takes a few
microseconds and never raises.
"""

from __future__ import annotations

import collections
from collections.abc import Iterable, Sequence
from functools import cache
from typing import TypeVar

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)

from worker import clock
from worker.model.names import exchange_name
from worker.model.outcomes import Outcome

M = TypeVar("M", Counter, Histogram)
REGISTRY = CollectorRegistry()
NONE = "none"
"""Label value for events without an exchange, such as a malformed message."""
ALERTS = (
    "attempt crashed",
    "banned",
    "clock skew",
    "clock step",
    "credentials refused",
    "dead letter",
    "malformed message",
    "nonce refused",
    "queue shared",
    "record missing",
    "redis not durable",
    "switch tripped",
    "task failed",
    "timer changed",
    "timer refused",
    "timer spent",
    "unrequested cancel",
)
"""All kinds of alerts. Each counter starts at 0, so that its first alert is an increase."""
EXPIRED = ("cancel", "countdown", "doorbell", "stale countdown")
"""Kinds of messages that expired without effect. A lost doorbell is harmless."""
BUCKETS_S = (
    *(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5),
    *(1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0),
)

disable_created_metrics()  # type: ignore[no-untyped-call]
ProcessCollector(registry=REGISTRY)

_attempts = Counter(
    "cancel_worker_attempts",
    "Attempts of jobs by outcome.",
    ("exchange", "outcome"),
    registry=REGISTRY,
)
_sends = Histogram(
    "cancel_worker_send_delay_seconds",
    "Time from a job's acceptance to its first request.",
    ("exchange",),
    buckets=BUCKETS_S,
    registry=REGISTRY,
)
_proofs = Histogram(
    "cancel_worker_proof_delay_seconds",
    "Time from a job's acceptance to its proven and recorded outcome.",
    ("exchange",),
    buckets=BUCKETS_S,
    registry=REGISTRY,
)
_dead = Counter(
    "cancel_worker_dead_letters_added",
    "Jobs and messages that became dead letters.",
    ("exchange",),
    registry=REGISTRY,
)
_waits = Histogram(
    "cancel_worker_limit_wait_seconds",
    "Waits of requests that found no free slot under a rate limit.",
    ("exchange", "limit"),
    buckets=BUCKETS_S,
    registry=REGISTRY,
)
_nonces = Counter(
    "cancel_worker_nonce_refusals",
    "Nonces that the exchange refused as too low.",
    ("exchange", "account"),
    registry=REGISTRY,
)
_lateness = Histogram(
    "cancel_worker_switch_lateness_seconds",
    "Time from a switch's deadline to the acceptance of its cancels; 0 if a timer fired first.",
    ("exchange",),
    buckets=BUCKETS_S,
    registry=REGISTRY,
)
_alerts = Counter(
    "cancel_worker_alerts",
    "Alerts by kind.",
    ("kind", "exchange"),
    registry=REGISTRY,
)
_expired = Counter(
    "cancel_worker_messages_expired",
    "Messages that expired without effect, by kind.",
    ("kind",),
    registry=REGISTRY,
)


def prepare(accounts: Iterable[tuple[str, str, bool, Sequence[str]]]) -> None:
    """Start every series of these accounts at 0: Prometheus sees only increases.

    Args:
        accounts: Exchange, alias, whether it uses nonces, keys of its rate limits.
    """
    for exchange, account, uses_nonce, limits in accounts:
        for outcome in Outcome:
            _attempts.labels(exchange, outcome)
        for family in (_sends, _proofs, _dead, _lateness):
            family.labels(exchange)
        for kind in ALERTS:
            _alerts.labels(kind, exchange)
        if uses_nonce:
            _nonces.labels(exchange, account)
        for key in limits:
            _waits.labels(*_limit(key))
    for kind in ALERTS:
        _alerts.labels(kind, NONE)
    for kind in EXPIRED:
        _expired.labels(kind)
    _dead.labels(NONE)


def leaving(exchange: str, accepted_ms: Iterable[float]) -> None:
    """Record that the first request of some jobs is sent now.

    Args:
        exchange: Exchange of the request.
        accepted_ms: For each job whose first request this is, when it was accepted, on
            the local monotonic clock.
    """
    for each in accepted_ms:
        _child(_sends, exchange).observe(_seconds(clock.monotonic_ms() - each))


def attempted(outcomes: Iterable[tuple[str, Outcome]]) -> None:
    """Count recorded attempts by exchange and outcome."""
    for labels, count in collections.Counter(outcomes).items():
        _child(_attempts, *labels).inc(count)


def proven(exchange: str, delay_ms: float) -> None:
    """Record a proven outcome, `delay_ms` after the job's acceptance."""
    _child(_proofs, exchange).observe(_seconds(delay_ms))


def died(exchange: str) -> None:
    """Count a job that became a dead letter."""
    _child(_dead, exchange).inc()


def buried() -> None:
    """Count a message that became a dead letter."""
    _dead.labels(NONE).inc()


def expired(kind: str) -> None:
    """Count a message that expired without effect; `kind` is one of `EXPIRED`."""
    _expired.labels(kind).inc()


def held_back(keys: Sequence[str], wait_ms: float) -> None:
    """Record the wait of a request; `keys` are the rate limits that it counts against."""
    if keys:
        _waits.labels(*_limit(keys[0])).observe(_seconds(wait_ms))


def nonce_refused(exchange: str, account: str) -> None:
    """Count a nonce that the exchange refused."""
    _nonces.labels(exchange, account).inc()


def tripped(exchange: str, late_ms: float) -> None:
    """Record a tripped switch, `late_ms` after its deadline."""
    _lateness.labels(exchange).observe(_seconds(late_ms))


def alerted(kind: str, exchange: object) -> None:
    """Count an alert."""
    _alerts.labels(kind, exchange or NONE).inc()


@cache
def _child(family: M, *labels: str) -> M:
    """Return the child of these labels, cached: the look-up costs more than counting."""
    return family.labels(*labels)


def _limit(key: str) -> tuple[str, str]:
    """Return exchange and name of a limit; owners are secret or too many for a label."""
    written, name, _ = key.split(":", 2)
    return exchange_name(written), name


def _seconds(ms: float) -> float:
    return max(0.0, ms) / 1_000
