"""What a mistake of the user's costs of an exchange's budget."""

from __future__ import annotations

from tests.support.attempts import Attempts
from tests.support.world import World
from worker.model.jobs import State
from worker.model.outcomes import Outcome


def test_a_misspelled_pair_costs_two_attempts(world: World) -> None:
    """The exchange's code names the mistake, and says so again: the job ends as rejected."""
    attempts = Attempts(world)
    (order_id,) = world.place("ix", 1)
    (job,) = attempts.run("ix", attempts.accept("ix", order_id, pair="btcidr", side="buy"))
    assert (job.state, job.outcome, job.attempts) == (State.DEAD, Outcome.REJECTED, 2)
    assert "invalid_pair" in job.detail
    assert world.status("ix", order_id) == "open"
