"""Spans of time, and which of them excuse what.

Every excuse that the checker knows is here. All are spans that a recorded
fault, or a request that the exchange itself says met one, accounts for.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from tests.chaos.history import ALIAS, Bounds, Fault, History, Limit
from tests.support.world import KEYS
from worker.model.jobs import Job

Span = tuple[float, float]

URGENT_LEASE_MS = 1_800
"""First lease of a tripped switch's cancel; the second is twice as long."""
SERIAL_LEASE_MS = 3_000
STALE_FLIGHT_MS = 6_100
"""How long after a lost countdown a lane with timestamps sends nothing."""
RESEND_MS = 300
"""How long a request that has not left may be tried again."""
PRESENCE_MS = 5_000
"""How long a worker that is gone is counted as alive."""
PROMOTIONS = ("redis.failover", "redis.kill-master", "redis.freeze-master", "redis.readonly")
"""What makes a master of a replica, the last after it was made one to take no writes."""
FAILOVERS = ("redis.failover", "redis.kill-master", "redis.freeze-master")
REPLICATION_MS = 100
"""How long before a failover a master may not have sent on what it answered."""
SLACK_MS = 400
AT_ONCE_MS = 50
LOST = "the worker was lost in mid-attempt"


def union(spans: Iterable[Span]) -> list[Span]:
    """Return the same time as spans that are apart, in order."""
    joined: list[Span] = []
    for start, end in sorted(span for span in spans if span[1] > span[0]):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return joined


def overlap_ms(spans: Sequence[Span], start: float, end: float) -> float:
    """Return how much of a span these, which are apart, cover."""
    return sum(max(0.0, min(end, b) - max(start, a)) for a, b in spans)


def calm_from(spans: Sequence[Span], at_ms: float, calm_ms: float) -> float:
    """Return the end of the first stretch of `calm_ms` after `at_ms` that these leave free."""
    begin = at_ms
    for start, end in spans:
        if end <= begin:
            continue
        if start >= begin + calm_ms:
            break
        begin = end
    return begin + calm_ms


def calm_in_all(spans: Sequence[Span], at_ms: float, calm_ms: float) -> float:
    """Return when these have left `calm_ms` free after `at_ms`, however cut up."""
    begin, left = at_ms, calm_ms
    for start, end in spans:
        if end <= begin:
            continue
        if start - begin >= left:
            break
        left -= max(0.0, start - begin)
        begin = end
    return begin + left


def of(faults: Iterable[Fault], *kinds: str, after_ms: float = 0) -> list[Span]:
    """Return the spans of faults of some parts or kinds, each made longer by `after_ms`."""
    return [
        (fault.from_ms, fault.until_ms + after_ms)
        for fault in faults
        if fault.kind in kinds or fault.part in kinds
    ]


def no_worker(history: History) -> list[Span]:
    """Return when no worker was live: running, and able to reach Redis."""
    cut = [fault for fault in history.faults if fault.part in ("worker", "worker-link")]
    live: list[Span] = []
    for life in history.lives:
        holes = union(
            of((fault for fault in cut if fault.target == f"w{life.slot}"), "worker", "worker-link")
        )
        at = life.ready_ms
        for start, end in holes:
            if start < life.end_ms and end > at:
                live.append((at, start))
                at = end
        live.append((at, life.end_ms))
    first = min((life.ready_ms for life in history.lives), default=0.0)
    gaps, at = [], first
    for start, end in union(live):
        if start > at:
            gaps.append((at, start))
        at = max(at, end)
    return gaps


def exchange_away(history: History, exchange: str) -> list[Span]:
    """Return when requests to an exchange failed, or waited to be tried again."""
    again = _again_ms(history.bounds)
    spans = of(history.faults, "exchange-link", after_ms=again)
    spans += [
        (arrival.at_ms, arrival.at_ms + again)
        for arrival in history.journal
        if arrival.exchange == exchange and arrival.fault
    ]
    return spans


def throttled(history: History, exchange: str) -> list[Span]:
    """Return when an exchange had reported that it takes nothing for a while."""
    return [
        (arrival.at_ms, arrival.at_ms + _again_ms(history.bounds))
        for arrival in history.journal
        if arrival.exchange == exchange and arrival.fault == "throttle"
    ]


def helpless(history: History) -> list[Span]:
    """Return when no worker could be expected to cancel anything."""
    away = of(history.faults, "redis", "machine.stall", after_ms=SLACK_MS)
    return union([*away, *no_worker(history)])


def held_off(history: History, limit: Limit | None) -> list[Span]:
    """Return when no slot of a limit could be given after a promotion.

    A worker that was gone, frozen or cut off about then could not inform the new
    master what it had been granted; so all of that is left time to arrive, and to
    leave the window.
    """
    if limit is None:
        return []
    hold_ms = history.bounds.http_ms + RESEND_MS + limit.window_ms + SLACK_MS
    untold = of(history.faults, "worker", "worker-link", after_ms=PRESENCE_MS)
    return [
        (start, end + hold_ms)
        for start, end in of(history.faults, *PROMOTIONS)
        if any(a < end + hold_ms and b > start for a, b in untold)
    ]


def spent(history: History, exchange: str) -> list[Span]:
    """Return when the requests of a key had used up its limit, and others waited for slots."""
    limit = history.bounds.limits.get(exchange)
    if limit is None:
        return []
    sent: dict[str, list[float]] = defaultdict(list)
    for arrival in history.journal:
        if arrival.exchange == exchange and arrival.operation in limit.operations:
            sent[arrival.api_key].append(arrival.at_ms)
    return [
        (last, first + limit.window_ms + SLACK_MS)
        for times in sent.values()
        for first, last in zip(times, times[limit.most - 1 :], strict=False)
        if last < first + limit.window_ms
    ]


def thwarted(history: History, jobs: Iterable[Job]) -> list[Span]:
    """Return when the attempts of these jobs were thwarted, by their own records.

    An attempt whose request a fault of the exchange or of a link met costs a
    retry. The first worker that is lost with a claimed job costs nothing that
    the promise does not allow for: its lease is over in time. The worker that takes
    the job up then has it for twice as long, so the next loss does, and so does
    a cut between that worker and Redis.
    """
    slots = {str(life.pid): f"w{life.slot}" for life in history.lives}
    cut = [fault for fault in history.faults if fault.part == "worker-link"]
    failing = [
        *of(history.faults, "exchange-link", "exchange", after_ms=history.bounds.http_ms),
        *(
            (a.at_ms - AT_ONCE_MS, a.at_ms + history.bounds.http_ms)
            for a in history.journal
            if a.fault
        ),
    ]
    failing = union(failing)
    again = _again_ms(history.bounds)
    spans: list[Span] = []
    for job in jobs:
        lost = 0
        for row in job.history:
            at_ms = float(row["at_ms"])
            until_ms = at_ms + float(row.get("took_ms") or 0) + AT_ONCE_MS
            slot = slots.get(":".join(str(row.get("by")).split(":")[1:2]))
            links = of((fault for fault in cut if fault.target == slot), "worker-link")
            if row.get("detail") == LOST:
                lost += 1
                if lost > 1:
                    spans.append((at_ms, at_ms + lost * URGENT_LEASE_MS + SLACK_MS))
            elif overlap_ms(failing, at_ms, until_ms):
                spans.append((at_ms, at_ms + again))
            elif lost and overlap_ms(union(links), at_ms, until_ms):
                spans.append((at_ms, at_ms + (lost + 1) * URGENT_LEASE_MS + SLACK_MS))
    return spans


def unrenewed(history: History, account: str) -> list[Span]:
    """Return when no worker could be expected to renew the timers of an account.

    Beside what `helpless` names: after a loss of the worker that may have had a
    countdown under way, its lane is held, or quiet, for as long as that may yet
    arrive; and likewise after a request of that account that met a fault.
    """
    quiet = STALE_FLIGHT_MS if account == "it" else SERIAL_LEASE_MS
    spans = [*helpless(history), *exchange_away(history, KEYS[account][0])]
    spans += of(history.faults, "worker", "worker-link", "exchange-link", after_ms=quiet)
    if account == "it":
        spans += of(history.faults, "clock", after_ms=2_000)
    spans += [
        (arrival.at_ms, arrival.at_ms + quiet)
        for arrival in history.journal
        if (arrival.fault or arrival.refusal) and ALIAS.get(arrival.api_key) == account
    ]
    return union(spans)


def unreplicated(history: History) -> list[Span]:
    """Return when a failover may lose an answered heartbeat: it does not wait for replicas.

    The former master answers until it learns of the new one, which is inside the fault's span.
    """
    return union(
        (fault.from_ms - REPLICATION_MS, fault.until_ms)
        for fault in history.faults
        if fault.kind in FAILOVERS
    )


def stopped(history: History) -> list[Span]:
    """Return when a process may have been stopped between its last look and its send."""
    return union(of(history.faults, "machine", "worker.stop", after_ms=SLACK_MS))


def _again_ms(bounds: Bounds) -> float:
    return bounds.http_ms + bounds.backoff_max_ms + SLACK_MS
