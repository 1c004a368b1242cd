"""Who may bring an exchange in line: one holder at a time, with a last look before each send."""

from __future__ import annotations

import pytest

from tests.support.switchboard import RULES, TIMEOUT_MS, Board
from worker.model.constants import TEND_MS
from worker.model.jobs import Kind, NewJob
from worker.model.settlements import new_id
from worker.model.switches import Armed


@pytest.fixture
def board(redis_url: str) -> Board:
    """An empty Redis on a stepped clock."""
    return Board(redis_url)


def slots(board: Board) -> int:
    """Return how many rate slots are taken."""
    taken = board.client.zcard("cx:limit:countdown")
    assert isinstance(taken, int)
    return taken


def test_one_holder_at_a_time(board: Board) -> None:
    """Until the first gives it up, or its time is over, the lane is no other's."""
    board.arm()
    assert board.claim(holder="w1").tended
    assert not board.claim(holder="w2").tended
    board.clock.advance(TEND_MS - 1)
    assert not board.claim(holder="w2").tended
    board.clock.advance(1)
    assert board.claim(holder="w2").tended
    board.rest(holder="w2")
    assert board.claim(holder="w1").tended


def test_each_launch_holds_the_lane_again(board: Board) -> None:
    """Leave to send is given to the holder alone, and gives it time for the reply."""
    armed = board.arm()
    board.claim(holder="w1")
    assert board.launch(armed, "w2").verdict == "lost"
    board.clock.advance(TEND_MS - 1)
    launch = board.launch(armed, "w1")
    assert (launch.verdict, launch.now_ms) == ("go", board.now_ms)
    assert launch.deadline_ms == armed.deadline_ms
    board.clock.advance(TEND_MS - 1)
    assert not board.claim(holder="w2").tended
    board.clock.advance(1)
    assert board.launch(armed, "w1").verdict == "lost"
    assert board.claim(holder="w2").tended
    assert board.launch(armed, "w1").verdict == "lost"
    assert slots(board) == 1


def test_nothing_is_sent_for_a_switch_that_has_changed(board: Board) -> None:
    """Moved on, disarmed, run out or forgotten since it was planned: no leave, no slot."""
    armed = board.arm()
    board.claim()
    later = board.arm()
    assert board.launch(armed).verdict == "stale"
    board.disarm(later)
    assert board.launch(later).verdict == "stale"
    assert board.launch(Armed(later.switch_id, later.epoch + 1)).verdict == "go"
    assert board.launch(Armed(new_id(), 1)).verdict == "stale"
    assert slots(board) == 1


def test_nothing_is_sent_for_what_has_run_out(board: Board) -> None:
    """Its deadline has come: it is to be tripped, not renewed."""
    armed = board.arm(timeout_ms=2_000)
    board.clock.advance(1_999)
    board.claim()
    assert board.launch(armed).verdict == "go"
    board.clock.advance(1)
    assert board.launch(armed).verdict == "stale"


def test_nothing_is_sent_for_what_has_tripped(board: Board) -> None:
    """Tripped after it was planned for: its pairs are another's to protect by now."""
    board.arm(pairs=["b_x"])
    armed = board.arm(timeout_ms=2_000)
    assert board.claim().tended
    board.clock.advance(2_000)
    assert board.beat(armed).state == "tripped"
    assert not board.arm().overlaps
    assert board.claim().tended
    assert board.launch(armed).verdict == "stale"
    assert slots(board) == 0


def test_a_request_for_many_keeps_the_earliest_deadline(board: Board) -> None:
    """What is sent is reckoned from the deadlines at the moment of the leave."""
    first, second = board.arm(pairs=["a_x"]), board.arm(pairs=["b_x"])
    board.claim()
    board.clock.advance(500)
    members = [(first.switch_id, 1), (second.switch_id, 1)]
    assert board.launch(first, members=members).deadline_ms == first.deadline_ms
    board.beat(first)
    assert board.launch(first, members=members).deadline_ms == second.deadline_ms
    board.disarm(second)
    assert board.launch(first, members=members).verdict == "stale"


def test_every_leave_is_a_slot_of_its_own(board: Board) -> None:
    """However often one holder sends for one switch, each time is counted."""
    armed = board.arm(timeout_ms=60_000)
    board.claim()
    for n in range(10):
        assert board.launch(armed).verdict == "go"
        assert slots(board) == n + 1
    refused = board.launch(armed)
    assert refused.verdict == "wait"
    assert refused.wait_ms > 0


def test_the_time_of_a_leave_is_refused_by_the_limit(board: Board) -> None:
    """A leave that must wait takes no slot and gives no more time."""
    armed = board.arm()
    board.claim()
    assert board.launch(armed, urgent=False).verdict == "go"
    board.clock.advance(400)
    waits = board.launch(armed, urgent=False)
    assert (waits.verdict, waits.wait_ms) == ("wait", 600)
    assert slots(board) == 1
    assert RULES[0].window_ms // RULES[0].max_requests == 1_000


def test_the_word_of_one_who_lost_the_lane_no_longer_counts(board: Board) -> None:
    """Held up between its request and its report, it would undo what its successor knows."""
    armed = board.arm()
    board.claim(holder="w1")
    assert board.launch(armed, "w1").verdict == "go"
    board.clock.advance(TEND_MS)
    board.beat(armed)
    assert board.claim(holder="w2").tended
    assert board.launch(armed, "w2").verdict == "go"
    newer_ms = board.now_ms + TIMEOUT_MS
    board.synced(armed, newer_ms, holder="w2")
    board.synced(armed, armed.deadline_ms, holder="w1")
    assert board.fires_ms(armed) == newer_ms
    board.rest(holder="w1", pause_ms=60_000)
    assert board.launch(armed, "w2").verdict == "go"
    assert board.lane_ms() is not None
    board.synced(armed, newer_ms, holder="w2")
    board.rest(holder="w2")
    assert board.lane_ms() == newer_ms


def test_what_a_request_without_a_report_was_for_is_due(board: Board) -> None:
    """A switch in line shared the request of another, which has ended since."""
    other = board.arm(pairs=["a_x"], timeout_ms=TIMEOUT_MS + 500)
    armed = board.arm(pairs=["b_x"])
    board.in_line(armed)
    assert board.claim(holder="w1").tended
    members = [(armed.switch_id, 1), (other.switch_id, 1)]
    assert board.launch(armed, "w1", members=members).verdict == "go"
    board.disarm(other)
    assert board.due_ms(armed) == board.now_ms
    board.clock.advance(TEND_MS)
    assert board.claim(holder="w2").tended
    assert [switch.due for switch in board.survey() if switch.id == armed.switch_id] == [True]


def test_a_late_report_never_hides_a_timer_that_was_stopped(board: Board) -> None:
    """Set, stopped by a successor, armed again: the first report must not count as a timer."""
    armed = board.arm()
    board.claim(holder="w1")
    assert board.launch(armed, "w1").verdict == "go"
    board.clock.advance(TEND_MS)
    board.disarm(armed)
    assert board.claim(holder="w2").tended
    stop = Armed(armed.switch_id, armed.epoch + 1)
    assert board.launch(stop, "w2").verdict == "go"
    again = board.arm()
    board.synced(stop, 0, holder="w2")
    board.rest(holder="w2")
    board.synced(armed, armed.deadline_ms, holder="w1")
    assert board.fires_ms(again) == 0
    assert [switch.due for switch in board.survey()] == [True]


def test_nonces_keep_cancels_and_countdowns_apart(board: Board) -> None:
    """One key's requests arrive one at a time, whether they cancel or set a countdown."""
    board.arm("ix")
    board.arm("it")
    for alias in ("ix", "it"):
        job = NewJob(new_id(), f"indodax:{alias}", Kind.CANCEL, "1", "btc_idr", "buy")
        board.ledger.accept([job])

    def cancels(alias: str) -> int:
        lane = f"indodax:{alias}"
        return len(
            board.ledger.claim(exchange="indodax", holder="w2", lease_ms=5_000, lane=lane).jobs
        )

    assert board.claim("it").tended
    assert cancels("it") == 1
    assert cancels("ix") == 0  # countdowns go first
    assert board.claim("ix").tended
    assert cancels("ix") == 0
    board.launch(Armed(board.survey("ix")[0].id, 1), alias="ix")
    board.synced(Armed(board.survey("ix")[0].id, 1), board.now_ms + TIMEOUT_MS, alias="ix")
    board.rest("ix")
    assert cancels("ix") == 1
    board.arm("ix", pairs=["c_x"])
    assert not board.claim("ix").tended
