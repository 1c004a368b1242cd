"""The ledger: what was accepted, what is due, who holds it, how it ended.

One record a job, one place in the due set. The scripts under `lua/` move both
in one step each, so that no crash can part them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from worker.model.jobs import Job
from worker.model.names import key_name, lane_of
from worker.model.settlements import Accepted, Claimed, Settlement, new_id
from worker.store.connection import unavailable
from worker.store.job_steps import CHUNK, accepting, ending_hold, retiring
from worker.store.listing import RECENT
from worker.store.presence import Presence
from worker.store.settlement_rows import settlement_row
from worker.store.steps import carried

TAKE_BACK_LOOK = 2_000
"""How many jobs of a lane are looked at for claims to undo."""
DEFERRED_MAX = 10_000
"""Messages kept for later; what comes on top of them is a dead letter at once."""
HANDED_BACK = "the worker was stopped in mid-attempt"


class Ledger(Presence):
    """The ledger in one Redis: what can be read of it, and all that changes it.

    Every method raises `StoreUnavailable` when Redis does not answer; what it
    was asked may or may not have been done, and asking again is safe.
    """

    accept = carried(accepting)
    retire = carried(retiring)
    end_hold = carried(ending_hold)

    def claim(
        self,
        *,
        exchange: str,
        holder: str,
        lease_ms: int,
        lane: str = "",
        job_id: str = "",
        limit: int = 1,
        back_ms: float = 0,
    ) -> Claimed:
        """Lease due jobs: of all lanes of an exchange in turn, of one, or one job.

        Until `back_ms` a job have passed, or the holder settles, jobs that are accepted ring no
        bell: the holder finds them. 0 if it cannot say when it asks for more.
        """
        args = (self._digest, key_name(exchange), lane, job_id, holder, lease_ms, limit, back_ms)
        now, unregistered, tended, more, *jobs = self._store.run("claim", *args)
        return Claimed(int(now), _read(jobs), unregistered, tended, more == 1)

    def settle(
        self,
        settled: Sequence[Settlement],
        *,
        holder: str,
        retention_ms: int,
        lease_ms: int,
        limit: int,
        back_ms: float = 0,
        stay_ms: float = 0,
        named: Sequence[tuple[str, str]] = (),
    ) -> Claimed:
        """Record the results of attempts of one exchange, and lease the next due jobs.

        All in one step, and each by itself: one that no longer counts does not
        stop the others. `back_ms` is as in `claim`; with `stay_ms` jobs ring no bell for
        so long either, as the holder asks again by then in any case. `named` are jobs,
        each by lane and id, that go next if they are due.
        """
        exchange = key_name(settled[0].job.exchange)
        head = (holder, retention_ms, RECENT, self._digest, exchange, lease_ms, limit, back_ms)
        names: list[str | float] = [stay_ms, len(named)]
        for job in named:
            names += job
        answer = self._store.run("settle", *head, *names, *map(settlement_row, settled))
        now, unregistered, tended, more, applied, due, *jobs = answer
        return Claimed(
            now_ms=int(now),
            jobs=_read(jobs),
            unregistered=unregistered,
            tended=tended,
            more=more == 1,
            counted=tuple(each == "1" for each in str(applied)),
            due=tuple(each == "1" for each in str(due)),
        )

    def hand_back(self, in_hand: Sequence[tuple[Job, str]]) -> int:
        """Give up leases in mid-attempt, each job with its holder; return how many were ours.

        The jobs are due now, and the next attempt asks the exchange first.
        """
        parts = [
            part
            for job, holder in in_hand
            for part in (job.id, job.claim, job.claimed_by or "", holder)
        ]
        return int(self._store.run("hand_back", HANDED_BACK, *parts))

    def take_back(self, lane: str, holders: Collection[str]) -> int:
        """Undo the claims in a lane of holders that received no reply; return how many jobs.

        Only for holders that have attempted none of what they may have claimed.
        """
        return int(self._store.run("take_back", lane, TAKE_BACK_LOOK, *holders))

    def bury(self, *, reason: str, raw: str, job_id: str = "") -> str:
        """Record a message that no job could be made of as a dead letter; return its id."""
        job_id = job_id or new_id()
        self._store.run("bury", job_id, reason, raw)
        return job_id

    def defer(self, message: str) -> bool:
        """Keep a message for later; return whether there is room for it."""
        return self._store.run("defer", message, DEFERRED_MAX) == 1  # type: ignore[no-any-return]

    def deferred(self) -> list[tuple[str, int]]:
        """Return messages kept for later, oldest first, each with how many ms ago it was kept."""
        with unavailable():
            rows: Any = self._store.client.zrange(
                self._store.key("deferred"), 0, CHUNK - 1, withscores=True
            )
        now_ms = self.now_ms() if rows else 0
        return [(message, now_ms - int(since)) for message, since in rows]

    def forget_deferred(self, message: str) -> None:
        """Keep a message no longer."""
        self._store.run("unlist", "deferred", message)

    def discard(self, job_id: str) -> bool:
        """Forget a dead letter; return whether it was one."""
        return bool(self._store.run("discard", job_id, 0))


def _read(rows: Iterable[Sequence[str]]) -> tuple[Job, ...]:
    return tuple(Job.read(dict(zip(row[::2], row[1::2], strict=True))) for row in rows)


__all__ = [
    "Accepted",
    "Claimed",
    "Ledger",
    "Settlement",
    "lane_of",
    "new_id",
]
