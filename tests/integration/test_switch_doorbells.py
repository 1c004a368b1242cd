"""When workers are called to a switch, and when its timer counts as out of line."""

from __future__ import annotations

import pytest

from tests.support.switchboard import TIMEOUT_MS, Board
from worker.model.switches import Armed

QUARTER_MS = TIMEOUT_MS // 4


@pytest.fixture
def board(redis_url: str) -> Board:
    """An empty Redis on a stepped clock."""
    return Board(redis_url)


def due(board: Board) -> list[str]:
    """Return the switches that the exchange must be brought in line with."""
    return [switch.id for switch in board.survey() if switch.due]


def test_a_beat_rings_exactly_at_a_quarter_of_lag(board: Board) -> None:
    """An ms before there is nothing to do; at a quarter the beat rings, once."""
    armed = board.arm()
    assert board.bells() == ["urgent"]
    board.in_line(armed)
    board.clock.advance(QUARTER_MS - 1)
    board.beat(armed)
    assert board.bells() == []
    assert due(board) == []
    board.clock.advance(1)
    board.beat(armed)
    assert board.bells() == [f"renewal {armed.switch_id}.{board.now_ms}"]
    assert due(board) == [armed.switch_id]
    assert board.lane_ms() == board.now_ms
    board.clock.advance(QUARTER_MS)
    board.beat(armed)
    assert board.bells() == []
    record = board.switches.get(armed.switch_id)
    assert record is not None
    board.in_line(armed, fires_ms=record.deadline_ms)
    board.clock.advance(QUARTER_MS)
    board.beat(armed)
    assert board.bells() == [f"renewal {armed.switch_id}.{board.now_ms}"]


def test_a_lag_left_by_other_calls_counts(board: Board) -> None:
    """A timer that was set short of the deadline lags from there."""
    armed = board.arm()
    board.in_line(armed, fires_ms=armed.deadline_ms - 300)
    board.clock.advance(QUARTER_MS - 301)
    board.beat(armed)
    assert board.bells() == ["urgent"]
    board.clock.advance(1)
    board.beat(armed)
    assert len(board.bells()) == 1


def test_an_emulated_switch_rings_no_bell(board: Board) -> None:
    """Where workers hold the deadline there is nothing to bring in line."""
    armed = board.arm("ev")
    for _ in range(9):
        board.clock.advance(TIMEOUT_MS // 2)
        assert board.beat(armed).state == "armed"
    assert board.disarm(armed) == "armed"
    assert board.bells() == []


def test_arm_and_disarm_ring_for_native_switches(board: Board) -> None:
    """Both are urgent, even while the lane is paused."""
    armed = board.arm()
    assert board.claim().tended
    board.rest(pause_ms=10_000)
    assert board.lane_ms() == board.now_ms + 10_000
    board.arm(pairs=["c_x"])
    assert board.lane_ms() == board.now_ms
    board.claim()
    board.rest(pause_ms=10_000)
    board.disarm(armed)
    assert board.lane_ms() == board.now_ms
    assert board.bells() == ["urgent"] * 3


def test_a_deadline_moved_closer_is_out_of_line_at_once(board: Board) -> None:
    """A timer that would outlive the deadline must be set again; no worker waits for its lag."""
    armed = board.arm()
    board.in_line(armed)
    board.bells()
    again = board.arm(timeout_ms=TIMEOUT_MS - 1_000)
    assert again.deadline_ms < armed.deadline_ms
    assert board.bells() == ["urgent"]
    assert due(board) == [armed.switch_id]
    # Ahead of whatever else waits to be renewed.
    assert (board.due_ms(armed) or 0) < 0
    board.in_line(again)
    assert due(board) == []
    assert board.fires_ms(again) == again.deadline_ms


def test_a_first_arming_goes_ahead_of_all_renewals(board: Board) -> None:
    """However many wait to be renewed, and longer, the next look sees what has no timer."""
    crowd = [board.arm(pairs=[f"p{n}_x"]) for n in range(250)]
    assert board.claim().tended
    for armed in crowd:
        assert board.launch(armed, rules=()).verdict == "go"
        board.synced(armed, armed.deadline_ms)
    board.rest()
    board.clock.advance(TIMEOUT_MS // 2)
    for armed in crowd:
        board.beat(armed)
    board.clock.advance(1)
    late = board.arm(pairs=["late_x"])
    found = {switch.id: switch for switch in board.survey()}
    assert found[late.switch_id].due
    assert len(found) <= 400


def test_a_longer_timeout_is_renewed_when_it_lags(board: Board) -> None:
    """Armed again for longer, the timer may stay while it lags by less than a quarter."""
    armed = board.arm()
    board.in_line(armed)
    board.bells()
    board.arm(timeout_ms=TIMEOUT_MS * 5 // 4)
    assert due(board) == []
    board.arm(timeout_ms=TIMEOUT_MS * 3 // 2)
    assert due(board) == [armed.switch_id]
    assert board.bells() == ["urgent"]


def test_armed_again_before_its_stop_is_known(board: Board) -> None:
    """The stop may have been done by a worker that died: the timer is set whatever is known."""
    armed = board.arm()
    board.in_line(armed)
    board.disarm(armed)
    assert board.claim().tended
    stop = Armed(armed.switch_id, armed.epoch + 1)
    assert board.launch(stop).verdict == "go"  # sent, done, and its worker dies
    again = board.arm()
    assert again.switch_id == armed.switch_id
    assert due(board) == [armed.switch_id]
    assert board.fires_ms(again) == 0
    board.clock.advance(3_000)
    assert board.claim(holder="w2").tended


def test_armed_again_before_its_stop_was_tried(board: Board) -> None:
    """The timer still runs, and need not be set again while it does not lag."""
    armed = board.arm()
    board.in_line(armed)
    board.disarm(armed)
    board.clock.advance(QUARTER_MS - 1)
    again = board.arm()
    assert again.switch_id == armed.switch_id
    assert due(board) == []
    assert board.fires_ms(again) == armed.deadline_ms


def test_armed_again_after_its_timer_has_fired(board: Board) -> None:
    """Disarmed, never stopped, fired: the next arming is a new beginning and trips nothing."""
    armed = board.arm()
    board.in_line(armed)
    board.disarm(armed)
    board.clock.advance(TIMEOUT_MS)
    again = board.arm()
    assert board.fires_ms(again) == 0
    assert board.beat(again).state == "armed"
    assert due(board) == [again.switch_id]


def test_a_stop_ends_the_switch_alone_that_is_still_disarmed(board: Board) -> None:
    """Armed again while its stop was under way, the switch lives, and needs its timer."""
    armed = board.arm()
    board.in_line(armed)
    board.disarm(armed)
    assert board.claim().tended
    stop = Armed(armed.switch_id, armed.epoch + 1)
    assert board.launch(stop).verdict == "go"
    again = board.arm()
    board.synced(stop, 0)
    board.rest()
    assert board.state(again) == "armed"
    assert board.fires_ms(again) == 0
    assert due(board) == [armed.switch_id]
    assert board.claim().tended


def test_disarmed_while_its_timer_is_being_set(board: Board) -> None:
    """What was set by then must be stopped before the switch has ended."""
    armed = board.arm()
    assert board.claim().tended
    assert board.launch(armed).verdict == "go"
    assert board.disarm(armed) == "armed"
    board.synced(armed, armed.deadline_ms)
    board.rest()
    assert [switch.state for switch in board.survey()] == ["disarmed"]
    assert due(board) == [armed.switch_id]
    board.stop(armed)
    assert board.due_ms(armed) is None
    assert board.state(armed) == "disarmed"


def test_call_during_a_pause_is_not_put_off(board: Board) -> None:
    """A renewal that must wait puts the lane to rest, but not for a disarm that came before."""
    armed = board.arm(pairs=["a_x"])
    other = board.arm(pairs=["b_x"])
    board.in_line(armed)
    board.in_line(other)
    board.clock.advance(QUARTER_MS)
    board.beat(armed)
    assert board.claim().tended
    board.disarm(other)
    board.rest(pause_ms=900)
    assert board.lane_ms() == board.now_ms
    assert board.claim().tended
    board.rest(pause_ms=900)
    assert board.lane_ms() == board.now_ms + 900


def test_a_heartbeat_message_leaves_the_lane_paused(board: Board) -> None:
    """Beats by message, like others, do not cut short the pause after a failed request."""
    armed = board.arm()
    assert board.claim().tended
    board.rest(pause_ms=4_000)
    board.clock.advance(500)
    assert board.arm(mode="touch").switch_id == armed.switch_id
    assert board.lane_ms() == board.now_ms + 3_500
    board.arm(mode="touch", timeout_ms=TIMEOUT_MS // 2)
    assert board.lane_ms() == board.now_ms
