"""Named jobs that arrive while all threads of a fast exchange are busy."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.ledgers import EV, new_job
from tests.support.polling import eventually
from tests.support.turning import Turning, turning
from tests.support.world import World
from worker import Outcome
from worker.dispatch.concurrency import Answered, NamedJob

EXCHANGE = "everstrike"


class Asked:
    """A named job, and what became of it."""

    def __init__(self, job_id: str) -> None:
        self.left = 0
        self.ended: list[Outcome | None] = []
        self.job = NamedJob(EV, job_id, self.ended.append, self.leave)

    def leave(self) -> None:
        """Count that it is left to others."""
        self.left += 1


@pytest.fixture
def busy(world: World) -> Iterator[Turning]:
    """A dispatcher both of whose threads for the exchange are busy."""
    turns = turning(world)
    with ThreadPoolExecutor(1) as executor:
        turns.dispatcher._executor = executor  # noqa: SLF001  without the sweep, which finds due jobs too
        while turns.threads.enter():
            pass
        yield turns


def accepted(world: World) -> str:
    """Record a cancel of an open order; return its job's id."""
    (order_id,) = world.place("ev", 1)
    return world.ledger().accept([new_job(order_id, EV)])[0].id


def test_the_next_settlement_names_it(busy: Turning, world: World) -> None:
    """It needs no call of its own, and its doorbell is answered then."""
    accepted(world)
    asked = Asked(accepted(world))
    assert busy.dispatcher.answer(asked.job) is Answered.WAITS
    busy.dispatcher._run_turn(EXCHANGE)  # noqa: SLF001  in a place that it has
    assert (asked.left, asked.ended) == (1, [])
    job = world.ledger().get(asked.job.job_id)
    assert job is not None
    assert job.outcome is Outcome.CANCELED


def test_one_that_redis_has_lost_ends_as_not_attempted(busy: Turning, world: World) -> None:
    """Its task then records it again."""
    accepted(world)
    asked = Asked("lost")
    assert busy.dispatcher.answer(asked.job) is Answered.WAITS
    busy.dispatcher._run_turn(EXCHANGE)  # noqa: SLF001  in a place that it has
    assert (asked.left, asked.ended) == (0, [None])


def test_a_thread_that_is_free_attempts_it(busy: Turning, world: World) -> None:
    """The threads that were busy have ended without another settlement."""
    asked = Asked(accepted(world))
    assert busy.dispatcher.answer(asked.job) is Answered.WAITS
    busy.threads.for_jobs.leave()
    busy.dispatcher._look_again(EXCHANGE)  # noqa: SLF001  as each thread that ends does
    eventually(lambda: asked.ended, what="its end")
    assert (asked.left, asked.ended) == (0, [Outcome.CANCELED])


def test_one_thread_at_a_time_lets_jobs_gather(busy: Turning) -> None:
    """And only in a process that is short of CPU time."""
    assert not busy.threads.gather()
    busy.threads._load.busy = True  # noqa: SLF001  as if it were
    assert busy.threads.gather()
    assert not busy.threads.gather()
    busy.threads.gathering.leave()
    assert busy.threads.gather()
