"""Timers that can be read: what differs from what was set is set again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.exchange_clients import ask
from tests.support.polling import eventually
from tests.support.switchboard import Board
from tests.support.world import World
from worker import clock
from worker.exchanges.base import Access, Stamp
from worker.exchanges.kucoin.adapter import KUCOIN
from worker.model.commands import SetCountdown
from worker.model.names import lane_of, switch_lane
from worker.model.switches import Armed, Report, Timers
from worker.model.timer_reads import TimerBelief
from worker.simulator import Simulator
from worker.store.timer_reads import TimerReads

LANE = lane_of("indodax", "ix")
SWITCHES = switch_lane(LANE)
EVERY_MS = 10_000
FIRST, SECOND, OTHER = "BTC-USDT", "ETH-USDT", "XRP-USDT"
TIMEOUT_MS = 600_000


@pytest.fixture
def board(redis_url: str) -> Board:
    """An account that workers have registered as one with a list of pairs."""
    board = Board(redis_url)
    board.switches.register_terms([(LANE, 3_000, 0, 3, 200, 1, 0)])
    return board


@pytest.fixture
def reads(board: Board) -> TimerReads:
    """Turns to read its timer."""
    return TimerReads(board.clock.store())


def turn(reads: TimerReads, *, always: bool = False) -> TimerBelief | None:
    """Take the turn to read the timer."""
    return reads.turn(LANE, every_ms=EVERY_MS, always=always)


def listed(board: Board, *switches: Armed, fires_ms: int) -> None:
    """Have one request set the timer for switches."""
    assert board.claim().tended
    members = tuple((each.switch_id, each.epoch) for each in switches)
    assert board.launch(switches[0], members=members).verdict == "go"
    timers = Timers(fires_ms, 40, members, pairs=("a_x", "b_x"))
    board.switches.report(SWITCHES, "w1", Report(timers=timers))
    board.rest()


def test_one_worker_reads_a_timer_once_in_a_while(board: Board, reads: TimerReads) -> None:
    """While a switch has one: what it was set to, and for whom."""
    assert turn(reads) is None
    first, second = board.arm(pairs=["a_x"]), board.arm(pairs=["b_x"])
    assert turn(reads) is None, "nothing is set yet"
    fires_ms, set_ms = board.now_ms + 16_000, board.now_ms
    listed(board, first, second, fires_ms=fires_ms)
    members = tuple(sorted((each.switch_id, each.epoch, set_ms) for each in (first, second)))
    found = turn(reads)
    assert found is not None
    assert (found.now_ms, found.fires_ms, found.way_ms) == (board.now_ms, fires_ms, 40)
    assert (found.pairs, tuple(sorted(found.members))) == (("a_x", "b_x"), members)
    assert turn(reads) is None
    board.clock.advance(EVERY_MS - 1)
    assert turn(reads) is None
    board.clock.advance(1)
    assert turn(reads) is not None


def test_a_timer_is_not_read_while_it_is_being_set(board: Board, reads: TimerReads) -> None:
    """Nothing is known of it then."""
    armed = board.arm(pairs=["a_x"])
    listed(board, armed, fires_ms=board.now_ms + 16_000)
    board.clock.advance(board.now_ms % 2 + 6_000)
    board.beat(armed)
    assert board.claim().tended
    assert board.launch(armed).verdict == "go"
    assert turn(reads) is None
    assert turn(reads, always=True) == TimerBelief(board.now_ms, 0, 0, ("a_x", "b_x"), ())


def test_a_timer_that_differs_is_set_again(board: Board, reads: TimerReads) -> None:
    """At once, and its record says since when; until then it may fire when the exchange says."""
    first, second = board.arm(pairs=["a_x"]), board.arm(pairs=["b_x"])
    listed(board, first, second, fires_ms=board.now_ms + 16_000)
    assert board.survey() == []
    found = turn(reads)
    assert found is not None
    lasts_ms = board.now_ms + 90_000
    assert reads.doubt(LANE, found, lasts_ms=lasts_ms)
    assert {each.id for each in board.survey() if each.due and each.unsure and each.outlives} == {
        first.switch_id,
        second.switch_id,
    }
    record = board.switches.get(first.switch_id)
    assert record is not None
    assert (record.fires_ms, record.changed_ms) == (0, board.now_ms)
    assert record.describe(board.now_ms)["timer_changed_ms"] == board.now_ms
    assert not reads.doubt(LANE, found, lasts_ms=lasts_ms), "it is in doubt by now"
    listed(board, first, second, fires_ms=board.now_ms + 15_000)
    assert board.survey() == []


@pytest.mark.parametrize("moved", ["disarmed", "armed again", "set again"])
def test_what_was_moved_since_is_left_alone(board: Board, reads: TimerReads, moved: str) -> None:
    """The reading may be older."""
    armed = board.arm(pairs=["a_x"])
    listed(board, armed, fires_ms=board.now_ms + 16_000)
    found = turn(reads)
    assert found is not None
    board.clock.advance(6_000)
    if moved == "disarmed":
        board.disarm(armed)
    elif moved == "armed again":
        board.arm(pairs=["a_x"])
    else:
        board.beat(armed)
        listed(board, armed, fires_ms=board.now_ms + 16_000)
    assert not reads.doubt(LANE, found, lasts_ms=0)
    record = board.switches.get(armed.switch_id)
    assert record is not None
    assert record.changed_ms is None


@pytest.fixture
def world(sim: Simulator, redis_url: str, tmp_path: Path) -> Iterator[World]:
    """A world with an account whose timer can be read, and set as often as one likes."""
    with closing(World(sim, redis_url, tmp_path, aliases=("ku",))) as world:
        world.limits = {"ku": {"countdown": {"max_requests": 100, "window_ms": 3_000}}}
        sim.set_option("more_pairs", (OTHER,))
        sim.set_option("kucoin_paces", value=False)
        yield world


def overwrite(world: World, command: SetCountdown) -> None:
    """Set the account's timer as another program does; have workers read it at their next look."""
    account = world.account("ku")
    access = Access(
        account["base_url"], account["api_key"], account["api_secret"], account["passphrase"]
    )
    request = KUCOIN.sign(command, access, Stamp(clock.now_ms()))
    answer = ask(request.url, request.method, "", dict(request.headers), request.body or b"")
    assert answer.json["code"] == "200000", answer.body
    world.store().client.hdel("cx:lane:kucoin:ku:switch", "read_ms")


def test_another_programs_timer_is_overwritten(world: World) -> None:
    """By the switch's own list and time; people are notified, and the switch says it."""
    worker, producer, sim = world.worker(), world.producer(), world.sim
    switch = producer.arm("ku", pairs=[FIRST, SECOND], timeout_ms=TIMEOUT_MS)

    def ours() -> bool:
        timers = sim.timers()
        near = all(abs(it.fires_at_ms - clock.now_ms() - TIMEOUT_MS) < 200_000 for it in timers)
        return near and sorted(it.pair for it in timers) == [FIRST, SECOND]

    eventually(ours, what="the timer is set")
    overwrite(world, SetCountdown((OTHER,), 86_400_000))
    words = f"it is for {OTHER} instead of {FIRST}, {SECOND}"
    eventually(lambda: words in worker.text(), what="it is in the log")
    eventually(ours, what="the timer is set again")
    record = switch.record()
    assert record is not None
    assert record.changed_ms is not None
    overwrite(world, SetCountdown((), 0))
    eventually(lambda: "it has none" in worker.text(), what="that is in the log, too")
    eventually(ours, what="the timer is set once more")
    assert not [it.refusal for it in sim.journal() if it.refusal]
