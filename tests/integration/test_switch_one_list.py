"""One timer of an account with one list of pairs: who is served by it, by the scripts' records."""

from __future__ import annotations

import pytest

from tests.support.switchboard import TIMEOUT_MS, Board
from worker.model.names import lane_of, switch_lane
from worker.model.switches import Armed, Report, Timers

LANE = lane_of("indodax", "ix")
SWITCHES = switch_lane(LANE)
QUARTER_MS = TIMEOUT_MS // 4
PAIRS_MAX = 3


@pytest.fixture
def board(redis_url: str) -> Board:
    """An account that workers have registered as one with a list of pairs."""
    board = Board(redis_url)
    board.switches.register_terms([(LANE, 3_000, 0, PAIRS_MAX, 200, 1, 0)])
    return board


def served(board: Board, *switches: Armed, fires_ms: int, dropped: tuple[Armed, ...] = ()) -> None:
    """Have one request set the timer for switches, and end those of others."""
    assert board.claim().tended
    members, ended = (
        tuple((each.switch_id, each.epoch) for each in group) for group in (switches, dropped)
    )
    launch = board.launch(switches[0], members=members, dropped=ended)
    assert launch.verdict == "go"
    assert launch.deadline_ms == min(_deadline(board, each) for each in switches)
    board.switches.report(SWITCHES, "w1", Report(timers=Timers(fires_ms, 0, members, ended)))
    board.rest()


def _deadline(board: Board, armed: Armed) -> int:
    record = board.switches.get(armed.switch_id)
    assert record is not None
    return record.deadline_ms


def held(board: Board, armed: Armed) -> str:
    """Return who holds a switch."""
    record = board.switches.get(armed.switch_id)
    assert record is not None
    return record.held


def test_switches_with_deadlines_alike_share_the_timer(board: Board) -> None:
    """A longer timeout, a later deadline or too many pairs are left to workers."""
    first = board.arm(pairs=["a_x"])
    assert board.arm(pairs=["b_x"], timeout_ms=TIMEOUT_MS * 9 // 8).native
    longer = board.arm(pairs=["c_x"], timeout_ms=TIMEOUT_MS * 9 // 8 + 1)
    assert (longer.native, longer.held_why) == (False, "shared")
    many = board.arm(pairs=["d_x", "e_x"])
    assert many.held_why == "shared"
    record = board.switches.get(many.switch_id)
    assert record is not None
    assert "only timer" in str(record.describe(board.now_ms)["held_why"])
    board.clock.advance(QUARTER_MS)
    assert not board.arm(pairs=["f_x"]).native
    board.beat(first)
    assert board.arm(pairs=["f_x"]).native


def test_all_that_share_the_timer_need_no_more_requests(board: Board) -> None:
    """Each request names all pairs: four in a timeout, however many switches there are."""
    board.switches.register_terms([(LANE, 3_000, 200, PAIRS_MAX, 200, 1, 0)])
    assert [board.arm(pairs=[pair]).native for pair in ("a_x", "b_x", "c_x")] == [True] * 3
    board.switches.register_terms([(LANE, 3_000, 199, PAIRS_MAX, 200, 1, 0)])
    assert board.arm(pairs=["c_x"]).held_why == "limit 200"


def test_a_heartbeat_gives_a_switch_its_place_again(board: Board) -> None:
    """Once the other's deadline has come near, or the other has ended."""
    first = board.arm(pairs=["a_x"], partly="stops")
    board.clock.advance(QUARTER_MS)
    second = board.arm(pairs=["b_x"], partly="stops")
    assert (second.native, held(board, second)) == (False, "workers")
    board.beat(second)
    assert held(board, second) == "workers"
    board.beat(first)
    assert board.beat(second).in_time is False, "its timer is not set yet"
    assert held(board, second) == "both"
    found = {switch.id: switch for switch in board.survey()}
    assert found[second.switch_id].due


def test_who_is_left_out_has_no_timer_any_more(board: Board) -> None:
    """Once the request that overwrites the list is confirmed; until then it is to be stopped."""
    first, second = board.arm(pairs=["a_x"]), board.arm(pairs=["b_x"])
    served(board, first, second, fires_ms=board.now_ms + 16_000)
    board.clock.advance(QUARTER_MS)
    board.beat(second)
    assert board.claim().tended
    board.switches.leave_to_workers(SWITCHES, "w1", [second.switch_id])
    board.rest()
    found = {switch.id: switch for switch in board.survey()}
    assert found[second.switch_id].stopped
    assert found[second.switch_id].due
    served(board, first, fires_ms=board.now_ms + 10_000, dropped=(second,))
    assert (held(board, first), held(board, second)) == ("exchange", "workers")
    assert second.switch_id not in board.out_of_line()


def test_a_switch_that_was_disarmed_ends_by_the_others_request(board: Board) -> None:
    """The list without its pairs is all that it needs."""
    first, second = board.arm(pairs=["a_x"]), board.arm(pairs=["b_x"])
    served(board, first, second, fires_ms=board.now_ms + 16_000)
    board.disarm(second)
    ended = Armed(second.switch_id, second.epoch + 1)
    served(board, first, fires_ms=board.now_ms + 16_000, dropped=(ended,))
    assert board.state(second) == "disarmed"
    assert [switch.id for switch in board.survey()] == []
    assert board.fires_ms(first) == board.now_ms + 16_000


def test_every_switch_is_shown_where_one_request_overwrites_all(board: Board) -> None:
    """Also one that is in line, and one that was put off."""
    first, second = board.arm(pairs=["a_x"]), board.arm(pairs=["b_x"])
    served(board, first, fires_ms=board.now_ms + 16_000)
    assert [switch.id for switch in board.survey()] == [second.switch_id, first.switch_id]
    board.client.hset(f"cx:switch:{second.switch_id}", "put_off_ms", str(board.now_ms + 500))
    assert board.survey() == []
    _, every = board.switches.survey(SWITCHES, every=True)
    found = {switch.id: (switch.due, switch.unsure) for switch in every}
    assert found == {first.switch_id: (False, False), second.switch_id: (False, False)}
