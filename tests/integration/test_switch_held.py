"""Who holds a deadline: the exchange by a timer of its own, or workers; and why."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.reconcilers import Died, Keeping, stand
from tests.support.switchboard import Board
from tests.support.world import World
from worker.client.switch import Switch
from worker.model.names import lane_of
from worker.model.switches import Armed
from worker.policy.timers import Terms, shortest_native_ms

LANE = lane_of("indodax", "ix")
NONCE = Terms(nonce=True, step_ms=1_000)
BUDGET = 900


@pytest.fixture
def board(redis_url: str) -> Board:
    """An empty Redis on a stepped clock."""
    return Board(redis_url)


@pytest.fixture
def keeping(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Keeping]:
    """An empty Redis and a new exchange on one stepped time."""
    with stand(redis_url, monkeypatch) as keeping:
        yield keeping


def test_a_timeout_too_short_for_the_exchange_is_held_by_workers(board: Board) -> None:
    """No timer is asked for, and it trips at its deadline."""
    armed = board.arm(timeout_ms=3_000, shortest_ms=3_627)
    assert (armed.native, armed.held_why) == (False, "short 3627")
    assert not board.claim().tended
    board.clock.advance(2_999)
    assert not board.claim().tended
    assert board.state(armed) == "armed"
    board.clock.advance(1)
    board.claim()
    assert board.state(armed) == "tripped"
    assert [job.pair for job in board.jobs()] == ["btc_idr"]


def test_what_workers_have_registered_comes_first(board: Board) -> None:
    """A producer without the account's settings arms by the workers' figures."""
    board.switches.register_terms([(LANE, 5_000, 0, 50, 200, 0, 0)])
    assert not board.arm(timeout_ms=4_999).native
    assert board.arm(timeout_ms=4_999, shortest_ms=100).held_why == "short 5000"
    assert board.arm(timeout_ms=5_000, shortest_ms=6_000).native


def test_a_limit_holds_so_many_timers(board: Board) -> None:
    """What the limit cannot renew is held by workers, until others have ended."""

    def arm(pair: str) -> Armed:
        return board.arm(pairs=[pair], timeout_ms=8_000, budget=BUDGET)

    first, second, third = arm("a_x"), arm("b_x"), arm("c_x")
    assert [each.native for each in (first, second, third)] == [True, True, False]
    assert third.held_why.startswith("limit")
    assert arm("a_x").native, "it counts once, however often it is armed"
    board.disarm(second)
    board.stop(second)
    assert arm("c_x").native


def test_timeouts_that_are_alike_share_requests(board: Board) -> None:
    """However many there are, their renewals need a bounded number of requests."""
    alike = [
        board.arm(pairs=[f"p{n}_x"], timeout_ms=20_000 + 100 * n, budget=BUDGET) for n in range(20)
    ]
    assert all(each.native for each in alike)
    assert not board.arm(pairs=["q_x"], timeout_ms=5_000, budget=BUDGET).native


def test_a_message_keeps_who_holds_it(board: Board) -> None:
    """Another message of the same timeout decides nothing."""
    touch: dict[str, Any] = {"timeout_ms": 8_000, "mode": "touch"}
    assert board.arm(**touch).native
    assert board.arm(**touch, shortest_ms=9_000).native
    assert not board.arm(timeout_ms=7_000, mode="touch", shortest_ms=9_000).native


def test_taken_over_by_workers_its_timer_is_stopped(keeping: Keeping) -> None:
    """Armed again with a timeout too short, no timer of the former life fires later."""
    board = keeping.board
    board.arm(timeout_ms=20_000)
    assert keeping.worker().tend()
    assert keeping.timers()
    short = board.arm(timeout_ms=3_000, shortest_ms=3_627)
    assert not short.native
    keeping.settle()
    assert keeping.timers() == {}
    record = board.switches.get(short.switch_id)
    assert record is not None
    assert (record.held, record.fires_ms, record.state) == ("workers", None, "armed")
    assert board.beat(short).state == "armed"
    longer = board.arm(timeout_ms=20_000, shortest_ms=3_627)
    keeping.settle()
    assert keeping.timers() == {"btc_idr": board.fires_ms(longer)}
    board.disarm(longer)
    keeping.settle()
    assert keeping.timers() == {}


def test_a_timer_of_another_scope_is_stopped_too(keeping: Keeping) -> None:
    """A disarmed switch whose stop is under way leaves its pair to a wider one."""
    board = keeping.board
    former = board.arm(timeout_ms=20_000)
    assert keeping.worker().tend()
    board.disarm(former)
    wider = board.arm(pairs=["btc_idr", "eth_idr"], timeout_ms=3_000, shortest_ms=3_627)
    assert not wider.native
    keeping.settle()
    assert keeping.timers() == {}


def slow(keeping: Keeping, way_ms: int) -> Callable[[str], None]:
    """Return a hook that lets each request take its time to arrive."""

    def hook(step: str) -> None:
        if step == "send":
            keeping.board.clock.advance(way_ms)

    return hook


def test_a_timer_that_may_outlive_its_deadline_is_never_in_time(keeping: Keeping) -> None:
    """On a way that takes long, what is recorded as in line fires by the deadline."""
    board = keeping.board
    armed = board.arm(timeout_ms=60_000)
    worker = keeping.worker(slow(keeping, 1_500))
    in_time = []
    for _ in range(20):
        worker.tend()
        board.clock.advance(2_000)
        beaten = board.beat(armed)
        assert beaten.state == "armed"
        in_time.append(beaten.in_time)
        record = board.switches.get(armed.switch_id)
        assert record is not None
        if record.fires_ms:
            assert record.fires_ms <= keeping.timers()["btc_idr"] <= record.deadline_ms
    assert in_time[-1]


def test_a_way_too_slow_for_a_timeout_leaves_it_to_workers(keeping: Keeping) -> None:
    """A few slow replies in a row, and the timer is stopped; the next arm knows."""
    board = keeping.board
    shortest_ms = shortest_native_ms(NONCE, 300)
    armed = board.arm(timeout_ms=8_000, shortest_ms=shortest_ms)
    assert armed.native
    worker = keeping.worker(slow(keeping, 1_500))
    for _ in range(40):
        worker.tend()
        if not board.out_of_line() and not keeping.timers():
            break
        board.clock.advance(100)
        beaten = board.beat(armed)
        assert (beaten.state, beaten.in_time) == ("armed", False)
    record = board.switches.get(armed.switch_id)
    assert record is not None
    assert (record.held, record.state, keeping.timers()) == ("workers", "armed", {})
    assert record.describe(board.now_ms)["held_why"].startswith("the exchange answers slowly")
    assert board.arm(timeout_ms=8_000, shortest_ms=shortest_ms).held_why.startswith("slow")
    assert board.arm(timeout_ms=60_000, shortest_ms=shortest_ms).native
    board.clock.advance(600_000)
    assert board.arm(pairs=["z_x"], timeout_ms=8_000, shortest_ms=shortest_ms).native


@pytest.mark.parametrize("step", ["launch", "launched", "send", "replied", "release"])
@pytest.mark.parametrize("alias", ["ix", "it"])
def test_the_shortest_timer_outlives_its_holder(keeping: Keeping, alias: str, step: str) -> None:
    """A worker killed at any step of a renewal costs no switch, however rarely it beats."""
    board = keeping.board
    terms = Terms(nonce=alias == "ix", step_ms=1_000)
    timeout_ms = shortest_native_ms(terms, 300)
    armed = board.arm(alias, timeout_ms=timeout_ms)
    assert keeping.worker().tend(alias)
    board.clock.advance(timeout_ms // 32)
    board.beat(armed)
    board.clock.advance(timeout_ms // 2)
    assert board.beat(armed).state == "armed"

    def die(reached: str) -> None:
        if reached == step:
            raise Died

    with pytest.raises(Died):
        keeping.worker(die).tend(alias)
    begun_ms = board.now_ms
    while board.out_of_line(alias):
        keeping.worker().tend(alias, "w2")
        assert board.now_ms - begun_ms < timeout_ms
        board.clock.advance(0 if not board.out_of_line(alias) else 50)
    assert board.state(armed) == "armed"
    assert keeping.timers(alias) == {"btc_idr": board.fires_ms(armed)}


@pytest.mark.parametrize("fault", ["drop_before", "accept_then_drop"])
@pytest.mark.parametrize("alias", ["ix", "it"])
def test_the_shortest_timer_outlives_a_lost_reply(keeping: Keeping, alias: str, fault: str) -> None:
    """One lost reply costs no switch, however rarely its strategy beats."""
    board = keeping.board
    terms = Terms(nonce=alias == "ix", step_ms=1_000)
    timeout_ms = shortest_native_ms(terms, 300)
    armed = board.arm(alias, timeout_ms=timeout_ms)
    assert keeping.worker().tend(alias)
    board.clock.advance(timeout_ms // 32)
    board.beat(armed)
    board.clock.advance(timeout_ms // 2)
    assert board.beat(armed).state == "armed"
    keeping.sim.fault_next(fault, exchange="indodax")
    keeping.worker(slow(keeping, 250)).tend(alias)
    keeping.settle(alias)
    assert board.state(armed) == "armed"
    assert keeping.timers(alias) == {"btc_idr": board.fires_ms(armed)}


@pytest.mark.parametrize("fault", ["drop_before", "accept_then_drop"])
def test_a_timer_set_for_a_later_deadline_is_waited_for(keeping: Keeping, fault: str) -> None:
    """Its reply was lost, the timeout was shortened, the switch tripped: it may still fire."""
    board = keeping.board
    longer = board.arm(timeout_ms=20_000)
    keeping.sim.fault_next(fault, exchange="indodax", times=99)
    keeping.worker().tend()
    shorter = board.arm(timeout_ms=5_000)
    board.clock.advance(5_000)
    assert board.beat(shorter).state == "tripped"
    board.list_scopes()
    clearing = board.arm().clearing
    assert clearing is not None
    assert board.now_ms + clearing.wait_ms >= longer.deadline_ms


def test_a_timer_past_a_deadline_that_was_shortened_is_not_in_time(keeping: Keeping) -> None:
    """Until it is renewed it would fire too late."""
    board = keeping.board
    board.arm(timeout_ms=60_000)
    assert keeping.worker().tend()
    shorter = board.arm(timeout_ms=5_000)
    assert not board.beat(shorter).in_time
    keeping.settle()
    assert board.beat(shorter).in_time


HELD = {
    ("ix", 3_000): "workers",
    ("ix", 4_000): "exchange",
    ("it", 6_000): "workers",
    ("it", 8_000): "exchange",
    ("ev", 3_000): "workers",
}


@pytest.mark.parametrize(("alias", "timeout_ms"), HELD)
def test_a_strategy_learns_who_holds_its_deadline(
    world: World, alias: str, timeout_ms: int
) -> None:
    """By the account's settings, with the reason in words."""
    switch: Switch = world.producer().arm(alias, pairs=["btc_idr"], timeout_ms=timeout_ms)
    assert switch.held == HELD[alias, timeout_ms]
    assert switch.held_why
    if (alias, switch.held) == ("ix", "workers"):
        assert "3627 ms" in switch.held_why
    again = world.producer().switch(switch.id)
    assert (again.held, again.held_why) == (switch.held, switch.held_why)
