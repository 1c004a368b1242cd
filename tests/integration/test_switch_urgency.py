"""Which of very many timers workers set, move or stop first: what is needed first."""

from __future__ import annotations

import pytest

from tests.support.switchboard import Board
from worker.model.switches import Armed

MANY = 300
"""More than one look takes in."""
LONG_MS, TIMEOUT_MS = 600_000, 20_000
LAST = "f" * 24
"""An id that sorts after others: ids are random, and must decide nothing."""


@pytest.fixture
def board(redis_url: str) -> Board:
    """An empty Redis on a stepped clock."""
    return Board(redis_url)


def arm_many(board: Board) -> None:
    """Arm switches that wait for their timers."""
    for n in range(MANY):
        board.arm("it", pairs=[f"p{n}_x"], timeout_ms=LONG_MS)


def short(board: Board) -> Armed:
    """Arm a switch whose timer the exchange has, and which sorts last."""
    armed = board.arm("it", pairs=["z_x"], timeout_ms=TIMEOUT_MS, switch_id=LAST)
    board.in_line(armed, "it")
    return armed


def looked_at(board: Board) -> list[str]:
    """Return the switches that a worker's next look takes in, in order."""
    assert board.claim("it").tended
    ids = [switch.id for switch in board.survey("it")]
    board.rest("it")
    return ids


def test_a_timer_that_must_be_stopped_is_not_late(board: Board) -> None:
    """It would cancel the orders of a strategy that has disarmed."""
    armed = short(board)
    arm_many(board)
    board.disarm(armed)
    assert looked_at(board)[0] == armed.switch_id


def test_a_renewal_is_not_late(board: Board) -> None:
    """Its timer would cancel the orders of a strategy that beats."""
    armed = short(board)
    arm_many(board)
    board.clock.advance(TIMEOUT_MS // 2)
    board.beat(armed)
    assert armed.switch_id in looked_at(board)


def test_a_short_timeout_is_set_before_long_ones(board: Board) -> None:
    """Its deadline comes first."""
    arm_many(board)
    armed = board.arm("it", pairs=["z_x"], timeout_ms=TIMEOUT_MS, switch_id=LAST)
    assert looked_at(board)[0] == armed.switch_id


def test_what_has_failed_waits_for_others(board: Board) -> None:
    """And is looked at once it has waited, however many others there are."""
    armed = short(board)
    board.disarm(armed)
    arm_many(board)
    key = f"cx:switch:{armed.switch_id}"
    board.client.hset(key, "put_off_ms", str(board.now_ms + 1_000))
    board.client.zadd("cx:due:indodax:it:switch", {armed.switch_id: board.now_ms + 1_000})
    assert armed.switch_id not in looked_at(board)
    board.clock.advance(1_000)
    assert armed.switch_id in looked_at(board)


def test_a_switch_that_waits_to_be_armed_is_armed(board: Board) -> None:
    """However many timers are to be set before."""
    first = board.arm("it", pairs=["z_x"], timeout_ms=1_000, shortest_ms=TIMEOUT_MS)
    board.clock.advance(1_000)
    board.claim("it")
    assert board.state(first) == "tripped"
    board.rest("it")
    arm_many(board)
    waiting = board.arm("it", pairs=["z_x"], timeout_ms=TIMEOUT_MS, mode="touch", switch_id=LAST)
    assert waiting.waiting
    board.list_scopes("it")
    board.clock.advance(1_000)
    looked_at(board)
    assert board.state(waiting) == "armed"
