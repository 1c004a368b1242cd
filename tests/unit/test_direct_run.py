"""What a process that sends by itself keeps of its jobs, as the ledger would."""

from __future__ import annotations

from worker import clock
from worker.direct.runner import _Run
from worker.dispatch.completion import Attempted
from worker.model.jobs import Job, Kind, NewJob, State
from worker.model.outcomes import Outcome
from worker.model.settlements import Settlement, Verb

LANE = "everstrike:ev"
SCOPE = NewJob(id="scope", lane=LANE, kind=Kind.CANCEL_ALL, pair="a_x")
ORDER = NewJob(
    id="scope.0.order", lane=LANE, kind=Kind.CANCEL, order_id="a1", pair="a_x", parent="scope"
)


def test_what_comes_twice_under_one_name_is_one_job() -> None:
    """A list may go on to show an order whose cancel is proven."""
    run = _Run([SCOPE], clock.monotonic_ms() + 60_000)

    def take(job_id: str) -> Job:
        job = run.take("holder", 1_000)
        assert job is not None
        assert job.id == job_id
        return job

    listed = Attempted(Settlement(Verb.AGAIN, phase="list"), (ORDER,))
    run.settle(take("scope"), listed)
    run.settle(take(ORDER.id), Attempted(Settlement(Verb.DONE, outcome=Outcome.CANCELED)))
    run.settle(take("scope"), listed)
    assert run.jobs[ORDER.id].state is State.DONE
    assert (run.jobs["scope"].children, run.jobs["scope"].canceled) == (1, 1)
    take("scope")
