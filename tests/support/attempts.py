"""Attempts made in this process: a ledger and a pipeline on real Redis and exchanges."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.support.polling import eventually
from tests.support.world import ALL_KEYS, PAIRS, World
from worker.dispatch.completion import report
from worker.factory import build_dispatcher
from worker.model.jobs import Job, Kind, NewJob, State
from worker.model.names import lane_of
from worker.model.settlements import Settlement, new_id
from worker.simulator import Arrival

SCOPE = {"pair": "btc_idr", "side": "buy"}
HTTP = {"deadline_ms": 3_000, "connect_ms": 3_000, "resend_budget_ms": 0}
"""For exchanges that answer: a slow machine is not taken for an exchange that is silent."""
HASTY = {"deadline_ms": 300, "connect_ms": 300, "resend_budget_ms": 0}
"""For tests that wait until an answer that does not come is given up, and then go on."""
FAST = {"backoff_base_ms": 1, "backoff_max_ms": 5, "lease_ms": 5_000}


class Attempts:
    """What a worker does, one step at a time.

    Args:
        world: Exchanges, Redis and settings.
        tables: Settings that differ.
    """

    def __init__(self, world: World, **tables: Any) -> None:
        self.world = world
        self.settings = world.settings(**{"jobs": FAST, **tables})
        engine = build_dispatcher(self.settings)
        engine.register()
        self.pipeline = engine._parts.batches._attempts  # noqa: SLF001
        self.ledger = engine._ledger  # noqa: SLF001

    def accept(self, alias: str, order_id: str = "", **fields: Any) -> str:
        """Record a cancel, or without an order id a cancel-all; return the job's id."""
        exchange = ALL_KEYS[alias][0]
        kind = Kind.CANCEL if order_id else Kind.CANCEL_ALL
        scope = SCOPE if exchange == "indodax" and order_id else {}
        scope = {"pair": PAIRS[alias]} if alias in PAIRS else scope
        job = NewJob(
            id=new_id(),
            lane=lane_of(exchange, alias),
            kind=kind,
            order_id=order_id,
            **{**scope, **fields},
        )
        return self.ledger.accept([job])[0].id

    def show(self, alias: str, *pairs: str) -> None:
        """Have these pairs shown by a list of the account's orders, as of orders placed before."""
        lane = lane_of(ALL_KEYS[alias][0], alias)
        self.world.store().client.sadd(f"cx:pairs:{lane}", *pairs)

    def claim(self, alias: str, holder: str = "w", **options: Any) -> Job | None:
        """Claim what is due of an account, if anything is."""
        claimed = self.ledger.claim(
            exchange=ALL_KEYS[alias][0],
            lane=lane_of(ALL_KEYS[alias][0], alias),
            holder=holder,
            lease_ms=self.settings.jobs.lease_ms,
            **options,
        )
        return claimed.jobs[0] if claimed.jobs else None

    def attempt(self, job: Job) -> Settlement:
        """Make one attempt, without recording it."""
        settlement = self.pipeline.attempt(job, now_ms=self.ledger.now_ms())
        report([settlement])
        return settlement

    def first(self, alias: str, order_id: str = "", **fields: Any) -> Settlement:
        """Accept, claim, and make the first attempt."""
        job = self.claim(alias, job_id=self.accept(alias, order_id, **fields))
        assert job is not None
        return self.attempt(job)

    def step(self, alias: str, holder: str = "w") -> Job | None:
        """Claim, attempt and record, if anything is due."""
        job = self.claim(alias, holder)
        if job is not None:
            settlement = self.attempt(job)
            self.ledger.accept(settlement.children)
            self.ledger.settle(
                [settlement],
                holder=holder,
                retention_ms=60_000,
                lease_ms=self.settings.jobs.lease_ms,
                limit=0,
            )
        return job

    def get(self, job_id: str) -> Job:
        """Return a job that must be there."""
        job = self.ledger.get(job_id)
        assert job is not None
        return job

    def ended(self, job_id: str) -> bool:
        """Return whether a job has ended."""
        return self.get(job_id).state is not State.PENDING

    def run(
        self, alias: str, *job_ids: str, threads: int = 1, within_ms: int = 60_000
    ) -> list[Job]:
        """Attempt what comes due until these jobs have ended; return them."""
        over = threading.Event()

        def work(number: int) -> None:
            def look() -> bool:
                while self.step(alias, f"w{number}"):
                    pass
                if all(self.ended(job_id) for job_id in job_ids):
                    over.set()
                return over.is_set()

            eventually(look, within_ms=within_ms, what="the jobs' end")

        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(work, range(threads)))
        return [self.get(job_id) for job_id in job_ids]

    def arrivals(self, operation: str = "") -> list[Arrival]:
        """Return what has arrived at the exchanges, of one kind or all."""
        journal = self.world.sim.journal()
        return [arrival for arrival in journal if operation in ("", arrival.operation)]
