"""Observe in Redis what a person must be notified of.

Dead letters and trips are read from their own records, not from the process that caused
them: no death of a process loses one. What has been read is remembered in `Seen`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from worker.errors import StoreUnavailable
from worker.model.jobs import Job, Kind, State
from worker.model.names import exchange_of, lane_of
from worker.model.notices import Notice
from worker.model.outcomes import Outcome
from worker.model.switches import SwitchRecord
from worker.notify.outages import duration
from worker.policy.scopes import SWEPT
from worker.store.budgets import read_pauses
from worker.store.connection import Store, unavailable
from worker.store.durability import faults
from worker.store.listing import Listing
from worker.store.reading import LaneReading, Reading, read
from worker.store.switches import Switches
from worker.telemetry.health.verdict import LAG_MS, OLD_MS, OVERDUE_MS

READ_MAX = 500
"""Dead letters, and trips, read in one go."""
PAUSED_MS = 5_000
"""Pause of an account from which it counts as throttled."""
RESULT_MS = 5_000
"""How long a trip's notice waits for the result of its cancels."""
JOBS_MAX = 10_000
"""Pending, ended and dead jobs among which a trip's are looked for."""
FOLLOW_MS = 600_000
"""How long a trip's cancels are followed."""
SHOWN_MAX = 5


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far a sorted set of ids by Unix ms has been read.

    Attributes:
        at_ms: Score of the last id read.
        ids: Those read at that score.
    """

    at_ms: int = 0
    ids: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Seen:
    """What has been read by now.

    Attributes:
        trips: Switches whose cancels are followed: by id, when the trip was seen in Unix
            ms; negative once it has been notified.
    """

    dead: Cursor
    ended: Cursor
    trips: dict[str, int] = field(default_factory=dict)


class Facts:
    """Reads notices from one Redis.

    Args:
        store: The Redis.
        probes: Whether to write to find out if Redis accepts work; not every user may.

    Every method raises `StoreUnavailable` when Redis does not answer.
    """

    def __init__(self, store: Store, *, probes: bool) -> None:
        self._store = store
        self._probes = probes
        self._listing = Listing(store)
        self._switches = Switches(store)

    def observe(self, seen: Seen | None) -> tuple[list[Notice], Seen, int]:
        """Return new notices, what has been read by now, and shared time in Unix ms.

        Without `seen` only conditions are observed: earlier events are not repeated.
        """
        reading = read(self._store, probes=self._probes)
        now_ms = reading.now_ms
        if seen is None:
            start = Cursor(now_ms)
            return [*self._conditions(reading)], Seen(start, start), now_ms
        dead, dead_ids = self._after("dead", seen.dead)
        ended, ended_ids = self._after("switches", seen.ended)
        trips = dict(seen.trips)
        for record in self._switches.many(ended_ids):
            if record.state == "tripped":
                trips.setdefault(record.id, now_ms)
        notices = [*self._conditions(reading), *self._letters(dead_ids)]
        notices += self._tripped(trips, now_ms)
        return notices, Seen(dead, ended, trips), now_ms

    def _after(self, name: str, cursor: Cursor) -> tuple[Cursor, list[str]]:
        """Return the ids that a sorted set has after a cursor, and the cursor after them."""
        with unavailable():
            rows: Any = self._store.client.zrangebyscore(
                self._store.key(name),
                cursor.at_ms,
                "+inf",
                start=0,
                num=READ_MAX + len(cursor.ids),
                withscores=True,
            )
        # An id that has changed since has another score.
        old = {(each, cursor.at_ms) for each in cursor.ids}
        new = [row for row in ((each, int(at_ms)) for each, at_ms in rows) if row not in old]
        if not new:
            return cursor, []
        last_ms = new[-1][1]
        last = [each for each, at_ms in new if at_ms == last_ms]
        if last_ms == cursor.at_ms:
            last = [*cursor.ids, *last]
        return Cursor(last_ms, last), [each for each, _ in new]

    def _letters(self, ids: list[str]) -> Iterator[Notice]:
        """Yield a notice for each dead letter."""
        try:
            jobs = self._listing.many(ids)
        except StoreUnavailable as error:
            if not _forbidden(error):
                raise
            jobs = [None] * len(ids)
        for job_id, job in zip(ids, jobs, strict=True):
            if job is None:
                yield Notice("dead letter", f"job {job_id}")
            elif job.kind is Kind.MALFORMED:
                yield Notice("malformed message", f"{job.detail} (dead letter {job.id})")
            else:
                text = f"{_named(job)}: {job.outcome}, {job.detail}"
                yield Notice("dead letter", text, job.account, job.exchange)

    def _tripped(self, trips: dict[str, int], now_ms: int) -> Iterator[Notice]:
        """Yield notices for trips; remove from `trips` those that need no more."""
        if not trips:
            return
        records = self._switches.many([*trips])
        jobs = self._cancels(records)
        for record in records:
            since_ms = trips[record.id]
            ended, text = _result(None if jobs is None else jobs[record.id])
            waited_ms = now_ms - abs(since_ms)
            if since_ms >= 0 and (ended or waited_ms >= RESULT_MS):
                yield _of_trip(record, f"{_shown(record)} tripped: no heartbeat; {text}")
                trips[record.id] = -since_ms
            elif since_ms < 0 and (ended or waited_ms >= FOLLOW_MS):
                yield replace(_of_trip(record, f"{_shown(record)}: {text}"), follows=True)
                ended = True
            if ended:
                del trips[record.id]
        for gone in trips.keys() - {record.id for record in records}:
            del trips[gone]

    def _cancels(self, records: Iterable[SwitchRecord]) -> dict[str, list[Job]] | None:
        """Return the jobs that trips have made, by switch; None if this user may not read them.

        Their ids begin with switch and epoch, whatever they cancel; see `lib/trips.lua`. They
        are looked for among the jobs that are pending or have ended lately.
        """
        wanted = {f"{record.id}.{record.epoch}": record.id for record in records}
        with unavailable():
            pipe = self._store.client.pipeline(transaction=False)
            pipe.lrange(self._store.key("recent"), 0, JOBS_MAX - 1)
            for lane in {record.lane for record in records}:
                pipe.zrange(self._store.key(f"due:{lane}"), 0, JOBS_MAX - 1)
            pipe.zrevrange(self._store.key("dead"), 0, JOBS_MAX - 1)
            rows = pipe.execute(raise_on_error=False)
        try:
            if refused := next((row for row in rows if isinstance(row, Exception)), None):
                with unavailable():
                    raise refused
            found = {each for row in rows for each in row if each.rpartition(".")[0] in wanted}
            jobs = self._listing.many(sorted(found))
        except StoreUnavailable as error:
            if not _forbidden(error):
                raise
            return None
        by_switch: dict[str, list[Job]] = {switch_id: [] for switch_id in wanted.values()}
        for job in jobs:
            if job is not None:
                by_switch[wanted[job.id.rpartition(".")[0]]].append(job)
        return by_switch

    def _conditions(self, reading: Reading) -> Iterator[Notice]:
        """Yield a notice for each condition that holds now."""
        if reading.workers == 0:
            yield Notice("no worker", "No worker is running.", holds=True)
        elif reading.tick_ago_ms is None or reading.tick_ago_ms > LAG_MS:
            ago = "" if reading.tick_ago_ms is None else f" for {duration(reading.tick_ago_ms)}"
            yield Notice("beat lost", f"No tick of Celery beat was run{ago}.", holds=True)
        if reading.refusal:
            yield Notice("redis rejects work", reading.refusal, holds=True)
        known = () if reading.redis is None else faults(reading.redis)
        if lost := [f"{fault.subject}: {fault.detail}" for fault in known if fault.loses]:
            yield Notice("redis not durable", "; ".join(lost), holds=True)
        for lane, refused, paused_ms in self._pauses(reading):
            yield from _of_lane(lane, refused, paused_ms)

    def _pauses(self, reading: Reading) -> Iterator[tuple[LaneReading, str, int]]:
        """Yield, for each account, what of its key is refused, and for how long nothing is sent."""
        names = [lane_of(lane.exchange, lane.account) for lane in reading.lanes]
        pauses = read_pauses(self._store, names, reading.now_ms)
        for lane, pause in zip(reading.lanes, pauses, strict=True):
            yield lane, pause.refused, pause.until_ms - reading.now_ms


def _of_lane(lane: LaneReading, refused: str, paused_ms: int) -> Iterator[Notice]:
    """Yield a notice for each condition of one account that holds now."""

    def notice(event: str, text: str) -> Notice:
        return Notice(event, text, lane.account, lane.exchange, holds=True)

    waiting = f"{lane.pending} jobs wait"
    if refused:
        text = f"The exchange refuses the account's {refused}; {waiting}."
        yield notice("credentials refused", text)
    elif lane.due and paused_ms > PAUSED_MS:
        text = f"The exchange asked for a pause of {duration(paused_ms)}; {waiting}."
        yield notice("exchange throttled", text)
    elif max(lane.oldest_ms, lane.unproven_ms or 0) > OLD_MS:
        late = duration(max(lane.oldest_ms, lane.unproven_ms or 0))
        yield notice("exchange failing", f"No proof for {late}; {waiting}.")
    if lane.left_ms is not None and lane.left_ms < OVERDUE_MS:
        yield notice("switch overdue", "A switch is past its deadline.")
    if lane.without_timer:
        text = f"{lane.without_timer} armed switches have no current timer at the exchange."
        yield notice("timer missing", text)


def _of_trip(record: SwitchRecord, text: str) -> Notice:
    return Notice("switch tripped", text, record.account, exchange_of(record.lane))


def _shown(record: SwitchRecord) -> str:
    """Return a switch by its name, or by its id, with its scope."""
    name = record.name or record.id
    scope = [*record.pairs, *(f"order {each}" for each in record.order_ids)]
    more = f" and {len(scope) - SHOWN_MAX} more" if len(scope) > SHOWN_MAX else ""
    return f"switch {name} ({', '.join(scope[:SHOWN_MAX])}{more})"


def _named(job: Job) -> str:
    """Return what a job cancels."""
    what = f"order {job.order_id}" if job.kind is Kind.CANCEL else "all orders"
    return " ".join(part for part in (what, job.pair, job.side) if part)


def _result(jobs: list[Job] | None) -> tuple[bool, str]:
    """Return whether the cancels of a trip have ended, and their result for a person."""
    if not jobs:
        return jobs is None, "its orders are being canceled"
    counts = {"canceled": 0, "closed before": 0, "not proven": 0, "under way": 0}
    unproven = []
    for job in jobs:
        counts["canceled"] += job.canceled
        counts["closed before"] += job.closed
        counts["not proven"] += job.unproven
        if job.state is State.PENDING:
            counts["under way"] += 1
        elif job.state is State.DEAD:
            counts["not proven"] += 1
            unproven.append(f"{_named(job)}: {job.outcome}, {job.detail}")
        elif job.kind is Kind.CANCEL:
            canceled = job.outcome is Outcome.CANCELED
            counts["canceled" if canceled else "closed before"] += 1
    ended = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    none = SWEPT if any(job.swept for job in jobs) else "no open order was found"
    text = f"orders: {ended}" if ended else none
    return not counts["under way"], "; ".join([text, *unproven[:SHOWN_MAX]])


def _forbidden(error: StoreUnavailable) -> bool:
    """Return whether Redis refused this user, rather than not answering."""
    text = str(error.__cause__ or error)
    return any(word in text for word in ("NOPERM", "permission", "can't access"))
