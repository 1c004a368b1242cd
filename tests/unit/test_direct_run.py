"""What a process that sends by itself keeps of its jobs, as the ledger would."""

from __future__ import annotations

from tests.support.ledgers import Verb, settlement
from worker import clock
from worker.direct.runner import _Run
from worker.model.jobs import Job, Kind, NewJob, Phase, State

LANE = "everstrike:ev"
SCOPE = NewJob(id="scope", lane=LANE, kind=Kind.CANCEL_ALL, pair="a_x")
ORDER = NewJob(
    id="scope.0.order", lane=LANE, kind=Kind.CANCEL, order_id="a1", pair="a_x", parent="scope"
)


def test_what_comes_twice_under_one_name_is_one_job() -> None:
    """A list may still show an order whose cancel is proven."""
    run = _Run([SCOPE], clock.monotonic_ms() + 60_000)

    def take(job_id: str) -> Job:
        job = run.take("holder", 1_000)
        assert job is not None
        assert job.id == job_id
        return job

    def list_it() -> None:
        run.settle(settlement(take("scope"), Verb.AGAIN, phase=Phase.LIST, children=(ORDER,)))

    list_it()
    run.settle(settlement(take(ORDER.id), Verb.DONE))
    list_it()
    assert run.jobs[ORDER.id].state is State.DONE
    assert (run.jobs["scope"].children, run.jobs["scope"].canceled) == (1, 1)
    take("scope")
