"""What this process counts, at the points where it is decided.

Every name and label of a count stands here; what stands in Redis is read when
it is asked for (`worker.telemetry.health`). Labels are exchanges, accounts and words of
this program: never an order, a job or a pair, which would grow without bound.
A call costs a few microseconds and never raises.
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
from worker.model.outcomes import Outcome

M = TypeVar("M", Counter, Histogram)
REGISTRY = CollectorRegistry()
NONE = "none"
"""Label of what belongs to no exchange, such as a malformed message."""
ALERTS = (
    "astray",
    "canceled unasked",
    "clock skew",
    "clock step",
    "crash",
    "dead letter",
    "lost account",
    "malformed message",
    "nonce refused",
    "queue shared",
    "redis not durable",
    "switch not armed",
    "switch tripped",
    "task failed",
)
"""Every kind of alert, so that each counts from 0: the first is a rise too."""
EXPIRED = ("bell", "cancel", "countdown", "stale countdown")
"""Messages too old to change anything. A bell only wakes: what it tells of stands in Redis."""
BUCKETS_S = (
    *(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5),
    *(1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0),
)

disable_created_metrics()  # type: ignore[no-untyped-call]
ProcessCollector(registry=REGISTRY)

_attempts = Counter(
    "cancel_worker_attempts",
    "Attempts of jobs, by what the exchange's answer came to.",
    ("exchange", "outcome"),
    registry=REGISTRY,
)
_sends = Histogram(
    "cancel_worker_send_delay_seconds",
    "From a job being accepted to its first request leaving.",
    ("exchange",),
    buckets=BUCKETS_S,
    registry=REGISTRY,
)
_proofs = Histogram(
    "cancel_worker_proof_delay_seconds",
    "From a job being accepted to its outcome being proven and recorded.",
    ("exchange",),
    buckets=BUCKETS_S,
    registry=REGISTRY,
)
_dead = Counter(
    "cancel_worker_jobs_dead",
    "Jobs and messages that became dead letters.",
    ("exchange",),
    registry=REGISTRY,
)
_waits = Histogram(
    "cancel_worker_limiter_wait_seconds",
    "Waits told to requests that found no room under a limit of the exchange.",
    ("exchange", "limit"),
    buckets=BUCKETS_S,
    registry=REGISTRY,
)
_nonces = Counter(
    "cancel_worker_nonce_refusals",
    "Nonces that the exchange refused as not above the last one.",
    ("exchange", "account"),
    registry=REGISTRY,
)
_lateness = Histogram(
    "cancel_worker_switch_lateness_seconds",
    "From a switch's deadline to its cancels being accepted; 0 if its exchange fired sooner.",
    ("exchange",),
    buckets=BUCKETS_S,
    registry=REGISTRY,
)
_alerts = Counter(
    "cancel_worker_alerts",
    "Alerts raised, by kind.",
    ("kind", "exchange"),
    registry=REGISTRY,
)
_expired = Counter(
    "cancel_worker_expired",
    "Messages that changed nothing since they came too late, by kind.",
    ("kind",),
    registry=REGISTRY,
)


def prepare(lanes: Iterable[tuple[str, str, bool, Sequence[str]]]) -> None:
    """Begin every count of these accounts at 0, since only a rise from 0 is seen as one.

    Args:
        lanes: Exchange, account, whether it uses nonces, the keys of its rate limits.
    """
    for exchange, account, uses_nonce, limits in lanes:
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
    """Count that the first request of jobs leaves now.

    Args:
        exchange: Where to.
        accepted_ms: When each was accepted, on the local monotonic clock; nothing
            of those of which this is not the first request.
    """
    for each in accepted_ms:
        _child(_sends, exchange).observe(_seconds(clock.monotonic_ms() - each))


def attempted(outcomes: Iterable[tuple[str, Outcome]]) -> None:
    """Count attempts that have been recorded, each by its exchange and outcome."""
    for labels, count in collections.Counter(outcomes).items():
        _child(_attempts, *labels).inc(count)


def proven(exchange: str, delay_ms: float) -> None:
    """Count an outcome that is proven and recorded, so long after its job was accepted."""
    _child(_proofs, exchange).observe(_seconds(delay_ms))


def died(exchange: str) -> None:
    """Count a job that has become a dead letter."""
    _child(_dead, exchange).inc()


def buried() -> None:
    """Count a message that no job could be made of."""
    _dead.labels(NONE).inc()


def expired(kind: str) -> None:
    """Count a message that came too late; `kind` is one of `EXPIRED`."""
    _expired.labels(kind).inc()


def held_back(keys: Sequence[str], wait_ms: float) -> None:
    """Count a request that must wait; `keys` are those of the limits it counts against."""
    if keys:
        _waits.labels(*_limit(keys[0])).observe(_seconds(wait_ms))


def nonce_refused(exchange: str, account: str) -> None:
    """Count a nonce that the exchange refused."""
    _nonces.labels(exchange, account).inc()


def tripped(exchange: str, late_ms: float) -> None:
    """Count a switch that has tripped, so long after its deadline."""
    _lateness.labels(exchange).observe(_seconds(late_ms))


def alerted(kind: str, exchange: object) -> None:
    """Count an alert."""
    _alerts.labels(kind, exchange or NONE).inc()


@cache
def _child(family: M, *labels: str) -> M:
    """Return what counts under these labels; looking it up anew costs more than counting."""
    return family.labels(*labels)


def _limit(key: str) -> tuple[str, str]:
    """Return exchange and name of a limit; its owner may be secret or many."""
    exchange, name, _ = key.split(":", 2)
    return exchange, name


def _seconds(ms: float) -> float:
    return max(0.0, ms) / 1_000
