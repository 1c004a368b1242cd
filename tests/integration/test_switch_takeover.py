"""Timers that a former holder of a scope has left at the exchange."""

from __future__ import annotations

import pytest

from tests.support.switchboard import QUEUE, TIMEOUT_MS, Board
from worker.model.settlements import new_id
from worker.model.switches import Armed

LONG_MS = 120_000
ALIASES = (("it", "indodax", 0), ("other", "indodax", 0))


@pytest.fixture
def board(redis_url: str) -> Board:
    """An empty Redis on a stepped clock."""
    return Board(redis_url)


def arm_other(board: Board, *pairs: str) -> Armed:
    """Arm pairs under another alias of the same account, which is not known to be one."""
    return board.switches.arm(
        switch_id=new_id(),
        lane="indodax:other",
        account="other",
        native=True,
        pairs=pairs,
        order_ids=[],
        timeout_ms=TIMEOUT_MS,
        bell=(QUEUE, "urgent"),
    )


def joined(board: Board, *, in_line: bool = False) -> tuple[Armed, Armed]:
    """Arm parts of one scope under two aliases, then have workers say that they are one."""
    one = board.arm("it", pairs=["a_idr", "b_idr"])
    if in_line:
        board.in_line(one, "it")
    board.clock.advance(10)
    other = arm_other(board, "b_idr", "c_idr")
    board.ledger.register(
        ALIASES, native={"indodax"}, identities={alias: "key" for alias, *_ in ALIASES}
    )
    return one, other


def test_who_arms_a_replaced_switch_again_is_its_holder(board: Board) -> None:
    """The other holder has disarmed, so that all of the scope is free."""
    _, other = joined(board)
    assert board.disarm(other) == "armed"
    again = board.arm("it", pairs=["a_idr", "b_idr"])
    assert [board.beat(again).state for _ in range(2)] == ["armed", "armed"]


@pytest.mark.parametrize("heard", [False, True])
def test_a_replaced_holders_own_timer_is_stopped(board: Board, heard: bool) -> None:  # noqa: FBT001
    """No holder beats it any more, and it would cancel what is placed in its pair later."""
    one, other = joined(board, in_line=True)
    if heard:
        assert board.beat(one).state == "replaced"
    stops = {each.id: (each.state, each.stopped, each.pairs) for each in board.survey("it")}
    state = "disarmed" if heard else "armed"
    assert stops[one.switch_id] == (state, True, ("a_idr",))
    assert stops[other.switch_id] == ("armed", False, ("b_idr", "c_idr"))
    assert board.claim("it").tended
    assert board.launch(one, alias="it").verdict == "go"
    board.synced(one, 0, alias="it")
    assert board.state(one) == ("disarmed" if heard else "armed")
    assert [each.id for each in board.survey("it")] == [other.switch_id]


def test_a_replaced_holder_that_keeps_no_pair_is_not_looked_at_over_and_over(board: Board) -> None:
    """There is nothing to stop."""
    one = board.arm("it", pairs=["b_idr"])
    board.in_line(one, "it")
    board.clock.advance(10)
    other = arm_other(board, "b_idr", "c_idr")
    board.ledger.register(
        ALIASES, native={"indodax"}, identities={alias: "key" for alias, *_ in ALIASES}
    )
    assert [each.id for each in board.survey("it")] == [other.switch_id]
    assert (board.due_ms(one, "it") or 0) > board.now_ms
    assert board.state(one) == "armed"


def unstopped(board: Board) -> None:
    """Arm and disarm a switch whose timer runs for long, and cannot be stopped."""
    first = board.arm("it", timeout_ms=LONG_MS)
    board.in_line(first, "it")
    board.disarm(first)
    assert board.claim("it").tended
    stopped = Armed(first.switch_id, first.epoch + 1)
    assert board.launch(stopped, alias="it").verdict == "go"
    board.rest("it")


@pytest.mark.parametrize("pairs", [["btc_idr"], ["btc_idr", "eth_idr"]])
def test_a_disarmed_switch_is_kept_until_every_timer_is_over(
    board: Board, pairs: list[str]
) -> None:
    """One that was set for a longer timeout, by a former holder, too."""
    unstopped(board)
    second = board.arm("it", pairs=pairs)
    board.disarm(second)
    board.clock.advance(LONG_MS - 1)
    board.claim("it")
    assert second.switch_id in board.out_of_line("it")
    board.rest("it")
    board.clock.advance(10_002)
    board.claim("it")
    assert board.out_of_line("it") == []


@pytest.mark.parametrize("shortest_ms", [0, TIMEOUT_MS + 1])
@pytest.mark.parametrize("pairs", [["btc_idr"], ["btc_idr", "eth_idr"]])
def test_nothing_is_armed_while_a_former_timer_may_fire(
    board: Board, pairs: list[str], shortest_ms: int
) -> None:
    """The switch trips before the exchange could be brought in line."""
    unstopped(board)
    second = board.arm("it", pairs=pairs, shortest_ms=shortest_ms)
    board.clock.advance(TIMEOUT_MS)
    assert board.beat(second).state == "tripped"
    board.list_scopes("it")
    clearing = board.arm("it", pairs=["btc_idr"]).clearing
    assert clearing is not None
    assert LONG_MS - TIMEOUT_MS <= clearing.wait_ms <= LONG_MS
    board.clock.advance(clearing.wait_ms)
    board.list_scopes("it")
    assert board.arm("it", pairs=["btc_idr"]).clearing is None
