"""Timers that an exchange denies an account, or that fire only so often in a day."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.polling import eventually
from tests.support.switchboard import Board
from tests.support.world import World
from worker.cli.check.redis import check_redis
from worker.client.switch import Switch
from worker.model.names import lane_of, switch_lane
from worker.simulator import Simulator
from worker.telemetry.metrics import REGISTRY

ALIAS = "it"
LANE = lane_of("indodax", ALIAS)
DAY_MS = 86_400_000


@pytest.fixture
def board(redis_url: str) -> Board:
    """An account whose timer fires twice a day, on a stepped clock at noon (UTC)."""
    board = Board(redis_url)
    board.clock.advance(DAY_MS - board.now_ms % DAY_MS + DAY_MS // 2)
    board.switches.register_terms([(LANE, 100, 0, 50, 200, 0, 2)])
    return board


def fire(board: Board) -> None:
    """Let a switch with a timer at the exchange pass its deadline."""
    armed = board.arm(ALIAS, timeout_ms=20_000)
    assert armed.native
    board.in_line(armed, ALIAS)
    board.clock.advance(20_001)
    board.claim(ALIAS)
    assert board.state(armed) == "tripped"
    for job in board.jobs(ALIAS):
        board.client.delete(f"cx:job:{job.id}")
    board.client.delete(f"cx:lane:{LANE}")
    board.clock.advance(60_000)


def test_firings_are_counted_and_leave_the_rest_of_the_day_to_workers(board: Board) -> None:
    """The count begins anew with the next day."""
    assert board.switches.firings(LANE) == (0, 2)
    fire(board)
    assert board.switches.firings(LANE) == (1, 2)
    fire(board)
    assert board.switches.firings(LANE) == (2, 2)
    third = board.arm(ALIAS, timeout_ms=20_000)
    assert (third.native, third.held_why) == (False, "spent 2")
    board.disarm(third)
    board.clock.advance(DAY_MS // 2)
    assert board.switches.firings(LANE) == (0, 2)
    assert board.arm(ALIAS, timeout_ms=20_000).native


def test_a_timer_that_fired_for_a_live_switch_counts_too(board: Board) -> None:
    """It was renewed too late, and its strategy was not silent."""
    armed = board.arm(ALIAS, timeout_ms=20_000)
    assert board.claim(ALIAS).tended
    assert board.launch(armed, alias=ALIAS).verdict == "go"
    board.synced(armed, board.now_ms + 1_000, alias=ALIAS)
    board.synced(armed, board.now_ms + 1_500, alias=ALIAS)
    assert board.switches.firings(LANE) == (0, 2)
    board.clock.advance(1_501)
    board.synced(armed, board.now_ms + 10_000, alias=ALIAS)
    assert board.switches.firings(LANE) == (1, 2)


def test_a_renewal_and_a_stop_count_nothing(board: Board) -> None:
    """The timer has not fired."""
    armed = board.arm(ALIAS, timeout_ms=20_000)
    board.in_line(armed, ALIAS)
    board.clock.advance(10_000)
    board.beat(armed)
    board.in_line(armed, ALIAS, fires_ms=board.now_ms + 20_000)
    board.disarm(armed)
    board.stop(armed, ALIAS)
    assert board.switches.firings(LANE) == (0, 2)


def test_a_denied_timer_is_left_to_workers_for_a_time(board: Board) -> None:
    """Also what is armed in that time, for the reason that was found."""
    armed = board.arm(ALIAS, timeout_ms=20_000)
    assert board.claim(ALIAS).tended
    lane, members = switch_lane(LANE), [(armed.switch_id, armed.epoch)]
    board.switches.give_up_timers(lane, "w1", 0, 3_600_000, members, why="denied")
    record = board.switches.get(armed.switch_id)
    assert record is not None
    assert (record.held, record.held_why) == ("workers", "denied")
    assert board.arm(ALIAS, pairs=["eth_idr"], timeout_ms=20_000).held_why == "denied"
    board.clock.advance(3_600_001)
    assert board.arm(ALIAS, pairs=["btc_usdt"], timeout_ms=20_000).native


@pytest.fixture
def world(sim: Simulator, redis_url: str, tmp_path: Path) -> Iterator[World]:
    """A world with an account whose timer depends on what it has traded."""
    with closing(World(sim, redis_url, tmp_path, aliases=("hl",))) as world:
        yield world


def held(switch: Switch) -> str:
    """Return who holds a switch, by its record."""
    record = switch.record()
    assert record is not None
    return record.held


def test_an_account_that_traded_too_little_is_held_by_workers(world: World) -> None:
    """Workers ask at their start; if that has changed since, the first request shows it."""
    labels = {"kind": "timer refused", "exchange": "hyperliquid"}
    assert REGISTRY.get_sample_value("cancel_worker_alerts_total", labels) is None
    sim, settings = world.sim, world.settings()

    def said() -> dict[str, str]:
        return {each.subject: each.detail for each in check_redis(settings)}

    sim.set_option("hyperliquid_volume", 999_999.0)
    worker, producer = world.worker(), world.producer()
    eventually(lambda: "traded too little" in said()["accounts.hl timer"], what="check says it")
    first = producer.arm("hl", everything=True, timeout_ms=600_000)
    assert first.held == "workers"
    assert "traded too little" in first.held_why
    assert "it has traded 999999 USDC of 1000000" in worker.text()
    assert not [it for it in sim.journal() if it.operation == "countdown"]

    sim.set_option("hyperliquid_volume", 1_000_000.0)
    world.store().client.hdel("cx:lane:hyperliquid:hl:switch", "read_ms")  # the time is over
    eventually(lambda: "kept" in said()["accounts.hl timer"], what="it has traded enough")
    second = producer.arm("hl", everything=True, timeout_ms=600_000)
    assert second.held == "both"
    eventually(sim.timers, what="the timer is set")
    second.disarm()
    eventually(lambda: not sim.timers(), what="the timer is unset")

    sim.set_option("hyperliquid_volume", 0.0)
    third = producer.arm("hl", everything=True, timeout_ms=600_000, clear_wait_ms=60_000)
    eventually(lambda: held(third) == "workers", what="workers hold what is refused")
    again = producer.arm("hl", everything=True, timeout_ms=600_000)
    assert again.held == "workers"
    assert not sim.timers()
    again.disarm()


def test_a_timer_of_an_account_is_set_to_a_moment_and_unset(world: World) -> None:
    """It fires by the deadline, and at most a second early beside the way; no time unsets it."""
    sim = world.sim
    (order,) = world.place("hl")
    (unlisted,) = world.place("hl", pair="@107")
    world.worker()
    producer = world.producer()
    whole = producer.arm("hl", everything=True, timeout_ms=600_000)
    assert whole.held == "both", whole.held_why
    eventually(sim.timers, what="the timer is set")
    (timer,) = sim.timers()
    record = whole.record()
    assert record is not None
    assert record.deadline_ms - 5_000 < timer.fires_at_ms <= record.deadline_ms
    whole.disarm()
    eventually(lambda: not sim.timers(), what="the timer is unset")
    stops = [it for it in sim.journal() if it.operation == "countdown" and it.countdown_ms == 0]
    assert stops
    assert not [it.refusal for it in sim.journal() if it.refusal]
    assert producer.cancel("hl", order, pair="BTC/USDC:USDC").wait(timeout_ms=60_000).outcome
    pair, account = producer.cancel_all("hl", pair="HYPE/USDC"), producer.cancel_all("hl")
    assert "TWAP" not in pair.wait(timeout_ms=60_000).detail
    assert "TWAP orders may be open: they are not listed" in account.wait(timeout_ms=60_000).detail
    assert {world.status("hl", each) for each in (order, unlisted)} == {"canceled"}
