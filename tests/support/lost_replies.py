"""Ledger calls that Redis runs, and whose replies do not arrive."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from tests.support.ledgers import DIGEST, LANES, LEASE_MS, Bench
from worker.config.settings import Engine, Jobs, Settings
from worker.dispatch.leases import Leases
from worker.errors import StoreUnavailable
from worker.model.settlements import Claimed
from worker.store.connection import Store
from worker.store.ledger import Ledger


class Deaf(Store):
    """Loses the replies to some scripts, which Redis has run.

    Attributes:
        misses: Script → how many more replies are lost.
        cut: Scripts that Redis is never asked for.
    """

    misses: dict[str, int]
    cut: set[str]

    def run(self, name: str, *args: Any, **options: Any) -> Any:
        """Run a script, and lose the reply if it is to be lost."""
        if name in self.cut:
            raise StoreUnavailable("it was never asked")
        answer = super().run(name, *args, **options)
        if self.misses.get(name, 0) > 0:
            self.misses[name] -= 1
            raise StoreUnavailable("the answer was lost")
        return answer


class Process:
    """What one worker process claims, on a stepped clock."""

    def __init__(self, url: str) -> None:
        self.bench = Bench(url)
        store = self.bench.clock.store()
        clock = store._raw_time  # noqa: SLF001
        self.deaf = Deaf(store.client, prefix=store.prefix, clock=clock, local=store.local_ms)
        self.deaf.misses, self.deaf.cut = {}, set()
        self.stopping = threading.Event()
        self.claims = Leases(
            Ledger(self.deaf, digest=DIGEST),
            name="w",
            settings=Settings(jobs=Jobs(lease_ms=LEASE_MS), worker=Engine(shutdown_ms=1)),
            stopping=self.stopping,
        )
        self.lanes = [lane_of_row(*row) for row in LANES]

    def claim(self, holder: str, lane: str, *, limit: int = 2, job_id: str = "") -> Claimed:
        """Claim in a lane."""
        return self.claims.claim(
            lane.partition(":")[0], holder=holder, limit=limit, lane=lane, job_id=job_id
        )

    def deaf_claim(self, lane: str, *, limit: int = 2, job_id: str = "") -> str:
        """Claim, lose the reply, and give up; return the holder."""
        holder = self.claims.new_holder()
        self.deaf.misses["claim"] = 1
        with pytest.raises(StoreUnavailable):
            self.claim(holder, lane, limit=limit, job_id=job_id)
        self.claims.release(holder)
        return holder

    def take_back(self) -> int:
        """Do what the sweep does."""
        return self.claims.take_back([*self.lanes, *(f"{lane}:switch" for lane in self.lanes)])


def lane_of_row(alias: str, exchange: str, _width: int) -> str:
    """Return the lane of a registered account."""
    return f"{exchange}:{alias}"
