"""What the ledger holds, for readers."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import redis

from worker.errors import StoreUnavailable
from worker.model.jobs import Job, Kind, State
from worker.model.names import account_of, is_switch_lane
from worker.store.connection import Store, unavailable
from worker.store.job_steps import reading_accounts, reading_job, reading_jobs
from worker.store.steps import carried

RECENT = 10_000
"""Ended jobs kept in the list that `jobs` shows."""
GONE = "its record is gone: Redis has dropped it, which `noeviction` forbids"


class Listing:
    """The ledger in one Redis, as it can be read; nothing here changes it.

    Every method raises `StoreUnavailable` when Redis does not answer.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self.carry = store.carry
        """Carries out a procedure; returns what it returns."""

    get = carried(reading_job)
    many = carried(reading_jobs)
    accounts = carried(reading_accounts)

    def workers(self) -> dict[str, int]:
        """Return the workers that live, with their last sign in Unix ms."""
        with unavailable():
            rows: Any = self._store.client.zrange(
                self._store.key("workers"), 0, -1, withscores=True
            )
        return {name: int(seen) for name, seen in rows}

    def memory_used(self) -> float | None:
        """Return what part of its `maxmemory` Redis uses; None without one, or if it keeps it."""
        try:
            with unavailable():
                info: Any = self._store.client.info("memory")
        except StoreUnavailable as error:
            if isinstance(error.__cause__, redis.ResponseError):
                return None
            raise
        most = int(info.get("maxmemory", 0))
        return int(info["used_memory"]) / most if most else None

    def now_ms(self) -> int:
        """Return shared time, Unix ms."""
        return self._store.shared_ms()

    def looks_ms(self, lanes: Collection[str]) -> dict[str, float]:
        """Return when a worker must next look at each of these lanes, the earliest first.

        Those at which no worker need look are left out. Lanes that others serve, or none,
        cost nothing, however many are due.
        """
        names = sorted(lanes)
        with unavailable():
            pipe = self._store.client.pipeline(transaction=False)
            for lane in names:
                pipe.zscore(self._store.key("lanes"), lane)
            scores = pipe.execute()
        found = [(at, lane) for lane, at in zip(names, scores, strict=True) if at is not None]
        return {lane: float(at) for at, lane in sorted(found)}

    def pending(self, *, limit: int, account: str = "") -> list[Job]:
        """Return jobs that have not ended, those due first ahead, at most `limit`.

        Of all accounts, or of one.
        """
        ids: list[str] = []
        lanes = self._job_lanes()
        with unavailable():
            for lane in lanes:
                if account and account_of(lane) != account:
                    continue
                due = self._store.key(f"due:{lane}")
                found: Any = self._store.client.zrange(due, 0, limit - 1)
                ids += found
                if len(ids) >= limit:
                    break
        return self._many(ids[:limit])

    def recent(self, *, limit: int, skip: int = 0) -> list[Job]:
        """Return jobs that have ended, latest first, from `limit` places after `skip`."""
        with unavailable():
            ids: Any = self._store.client.lrange(self._store.key("recent"), skip, skip + limit - 1)
        return self._many(ids)

    def dead(self, *, limit: int, skip: int = 0) -> list[Job]:
        """Return the dead letters, latest first, from `limit` places after `skip`.

        One whose record is gone is among them: it must not vanish unseen.
        """
        with unavailable():
            rows: Any = self._store.client.zrevrange(
                self._store.key("dead"), skip, skip + limit - 1, withscores=True
            )
        found = self.many([job_id for job_id, _ in rows])
        return [
            job or Job(job_id, Kind.UNKNOWN, State.DEAD, finished_ms=int(at_ms), detail=GONE)
            for job, (job_id, at_ms) in zip(found, rows, strict=True)
        ]

    def starting(self, start: str) -> set[str]:
        """Return the ids of listed jobs that start with a text: pending, recent and dead ones."""
        client, found = self._store.client, set[str]()
        with unavailable():
            pipe = client.pipeline(transaction=False)
            for lane in self._job_lanes():
                pipe.zrange(self._store.key(f"due:{lane}"), 0, -1)
            pipe.lrange(self._store.key("recent"), 0, -1)
            pipe.zrange(self._store.key("dead"), 0, -1)
            for ids in pipe.execute():
                found.update(each for each in ids if each.startswith(start))
        return found

    def dead_count(self) -> int:
        """Return how many dead letters there are."""
        with unavailable():
            count: Any = self._store.client.zcard(self._store.key("dead"))
        return int(count)

    def ids(self, state: State, *, limit: int, skip: int) -> list[str]:
        """Return ids of jobs of a state, from `limit` places after `skip`.

        Pending ones by account, those due first ahead; others latest first. Among those
        that are done are some whose record has expired, and some that were dead.
        """
        client, last = self._store.client, skip + limit - 1
        with unavailable():
            match state:
                case State.DEAD:
                    rows: Any = client.zrevrange(self._store.key("dead"), skip, last)
                    return [*rows]
                case State.DONE:
                    rows = client.lrange(self._store.key("recent"), skip, last)
                    return [*rows]
                case State.PENDING:
                    return self._pending_ids(limit, skip)

    def _pending_ids(self, limit: int, skip: int) -> list[str]:
        ids: list[str] = []
        for lane in self._job_lanes():
            due = self._store.key(f"due:{lane}")
            count: Any = self._store.client.zcard(due)
            if skip < count and len(ids) < limit:
                rows: Any = self._store.client.zrange(due, skip, skip + limit - len(ids) - 1)
                ids += rows
            skip = max(0, skip - count)
        return ids

    def _job_lanes(self) -> list[str]:
        with unavailable():
            lanes: Any = self._store.client.zrange(self._store.key("lanes"), 0, -1)
        return [lane for lane in lanes if not is_switch_lane(lane)]

    def _many(self, ids: Sequence[str]) -> list[Job]:
        return [job for job in self.many(ids) if job is not None]
