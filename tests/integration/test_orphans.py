"""What a script finds without a record is moved aside and reported, never deleted."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from tests.support.ledgers import EV, LANES, Bench
from tests.support.polling import eventually
from tests.support.switchboard import Board
from tests.support.world import World
from worker import Producer
from worker.config.settings import Settings
from worker.factory import build_dispatcher
from worker.model.outcomes import Outcome

SWITCH_ALIAS = "switch"


@pytest.fixture
def bench(redis_url: str) -> Bench:
    """An empty ledger on a stepped clock."""
    return Bench(redis_url)


@pytest.fixture
def board(redis_url: str) -> Board:
    """An empty Redis on a stepped clock."""
    return Board(redis_url)


def test_an_account_called_switch_is_served(world: World) -> None:
    """Its lane is one of jobs, whatever it is called, and it has switches of its own."""
    settings = world.settings(accounts={SWITCH_ALIAS: world.account("ev")})
    (order_id,) = world.place("ev")
    (other_id,) = world.place("ev")
    engine = build_dispatcher(settings)
    engine.start()
    try:
        producer = Producer(settings)
        ticket = producer.cancel(SWITCH_ALIAS, order_id)
        assert ticket.wait(timeout_ms=5_000).outcome is Outcome.CANCELED
        switch = producer.arm(SWITCH_ALIAS, order_ids=[other_id], timeout_ms=1_000)
        eventually(lambda: world.status("ev", other_id) == "canceled", what="the trip's cancel")
    finally:
        engine.stop()
    record = switch.record()
    assert record is not None
    assert record.state == "tripped"


def test_a_job_without_a_record_is_moved_aside(bench: Bench) -> None:
    """It blocks nothing, and stays to be looked at."""
    bench.one("a1")
    gone = bench.one("a2")
    bench.client.delete(f"cx:job:{gone}")
    claimed = bench.claim(limit=2)
    assert [job.order_id for job in claimed.jobs] == ["a1"]
    assert bench.client.zscore(f"cx:due:{EV}", gone) is None
    assert bench.client.zrange("cx:astray", 0, -1) == [f"{EV} {gone}"]


def test_a_job_that_has_ended_is_no_stray(bench: Bench) -> None:
    """Its place in the lane is what is left over of it."""
    job_id = bench.one("a1")
    bench.client.hset(f"cx:job:{job_id}", "state", "done")
    assert not bench.claim().jobs
    assert not bench.client.exists("cx:astray")
    assert bench.client.zcard(f"cx:due:{EV}") == 0


def test_a_job_in_a_state_of_a_newer_version_is_left_to_it(bench: Bench) -> None:
    """Unknown is not ended."""
    job_id = bench.one("a1")
    bench.client.hset(f"cx:job:{job_id}", mapping={"state": "parked", "v": 2})
    assert not bench.claim().jobs
    assert bench.client.zscore(f"cx:due:{EV}", job_id) is not None


@pytest.mark.parametrize("index", ["due", "ends"])
@pytest.mark.parametrize("alias", ["ix", "ev"])
def test_a_switch_without_a_record_is_moved_aside(board: Board, alias: str, index: str) -> None:
    """It keeps no other switch of its account from being maintained."""
    lane = {"ix": "indodax:ix", "ev": "everstrike:ev"}[alias] + ":switch"
    board.client.zadd(f"cx:{index}:{lane}", {"unknown": board.now_ms})
    armed = board.arm(alias)
    board.claim(alias)
    assert board.client.zrange("cx:astray", 0, -1) == [f"{lane} unknown"]
    assert board.client.zscore(f"cx:{index}:{lane}", "unknown") is None
    assert board.state(armed) == "armed"


def test_strays_are_reported_once(bench: Bench) -> None:
    """To one of the workers; what it was given comes back unless it says that it is done."""
    for number in range(3):
        bench.client.delete(f"cx:job:{bench.one(f'a{number}')}")
    bench.claim(limit=3)
    assert len(bench.ledger.astray.due()) == 3
    assert bench.ledger.astray.due() == []
    bench.clock.advance(60_000)
    found = bench.ledger.astray.due()
    assert len(found) == 3
    bench.ledger.astray.reported(found)
    bench.clock.advance(60_000)
    assert bench.ledger.astray.due() == []
    assert bench.client.zcard("cx:astray") == 3


def test_a_worker_raises_an_alert_of_strays(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """A person must look at them."""
    engine = build_dispatcher(world.settings())
    engine.register()
    client: Any = world.store().client
    client.zadd("cx:due:everstrike:ev", {"lost-job": 1})
    client.zadd("cx:lanes", {"everstrike:ev": 1})
    with caplog.at_level(logging.ERROR):
        engine.run_exchange("everstrike")
        engine._membership.heartbeat()  # noqa: SLF001  what a sweep calls
    (record,) = [row for row in caplog.records if getattr(row, "alert", "") == "record missing"]
    assert "everstrike:ev lost-job" in record.getMessage()


def test_a_pending_job_that_has_no_place_gets_one_when_asked_for_again(bench: Bench) -> None:
    """An older version's workers took places away from lanes that were called `switch`."""
    job_id = bench.one("a1")
    bench.client.zrem(f"cx:due:{EV}", job_id)
    (again,) = bench.accept("a1")
    assert (again.id, again.fresh) == (job_id, False)
    assert [job.id for job in bench.claim().jobs] == [job_id]


def test_pending_jobs_without_a_place_get_one_when_their_lane_is_registered(
    bench: Bench,
) -> None:
    """No strategy need ask for them again."""
    jobs = [bench.one(f"a{number}") for number in range(3)]
    bench.client.zrem(f"cx:due:{EV}", *jobs[:2])
    bench.client.zrem("cx:lanes", EV)
    bench.client.hset(f"cx:pending:{EV}", "cancel|||a9", "long-ended")
    bench.ledger.register(LANES)
    assert {job.id for job in bench.claim(limit=5).jobs} == set(jobs)


def test_the_settings_refuse_an_alias_with_a_separator() -> None:
    """What names are taken apart at cannot be part of one."""
    with pytest.raises(ValueError, match="pattern"):
        Settings(accounts={"a:b": {"exchange": "everstrike"}})
