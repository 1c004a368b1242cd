"""Jobs made and ended by hand, as a worker would."""

from __future__ import annotations

from tests.support.ledgers import Verb, settlement
from tests.support.world import World
from worker.model.jobs import Job
from worker.model.outcomes import Outcome
from worker.store.ledger import Ledger

HOLDER = "a worker"
AT_MS = 1_700_000_000_000


class Hand:
    """Makes jobs and ends them as a worker would."""

    def __init__(self, world: World) -> None:
        self.producer = world.producer()
        self.ledger = Ledger(world.store(), digest="hand")
        self.ledger.register([("ev", "everstrike", 0), ("ix", "indodax", 0)])

    def pending(self, order_id: str, alias: str = "ev", **scope: str) -> str:
        """Return the id of a new job."""
        return self.producer.cancel(alias, order_id, **scope).id

    def end(self, job_id: str, verb: Verb, outcome: Outcome, detail: str = "") -> str:
        """End a job."""
        job = self.get(job_id)
        claimed = self.ledger.claim(
            exchange=job.exchange, holder=HOLDER, lease_ms=10_000, lane=job.lane, job_id=job_id
        )
        (claim,) = claimed.jobs
        self.ledger.settle(
            [settlement(claim, verb, outcome=outcome, detail=detail, at_ms=AT_MS)],
            holder=HOLDER,
            retention_ms=60_000,
            lease_ms=10_000,
            limit=0,
        )
        return job_id

    def done(self, order_id: str) -> str:
        """Return the id of a job whose order is proven canceled."""
        return self.end(self.pending(order_id), Verb.DONE, Outcome.CANCELED)

    def dead(self, order_id: str, alias: str = "ev", **scope: str) -> str:
        """Return the id of a dead letter."""
        job_id = self.pending(order_id, alias, **scope)
        return self.end(job_id, Verb.DEAD, Outcome.REJECTED, "not allowed")

    def malformed(self) -> str:
        """Return the id of a message that was none."""
        return self.ledger.bury(reason="not a task", raw="\x1b[31m{}\n")

    def get(self, job_id: str) -> Job:
        """Return a job."""
        job = self.ledger.get(job_id)
        assert job is not None
        return job

    def letters(self) -> list[str]:
        """Return the ids of the dead letters."""
        return [job.id for job in self.ledger.dead(limit=100)]
