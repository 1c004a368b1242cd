"""A switch of everything: no other is armed on its account, and it cancels all of it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.switchboard import TIMEOUT_MS, Board
from worker.model.constants import EVERYTHING
from worker.model.switches import Armed

WHOLE = [EVERYTHING]


@pytest.fixture
def board(redis_url: str) -> Board:
    """An empty Redis on a stepped clock."""
    return Board(redis_url)


def everything(board: Board, alias: str = "ix", **options: Any) -> Armed:
    """Arm the whole account, as an exchange whose timer is for pairs has it."""
    return board.arm(alias, pairs=WHOLE, by_workers="narrow", **options)


def test_no_switch_is_armed_beside_one_of_everything(board: Board) -> None:
    """Neither of a pair nor of an order, whichever of the two comes first."""
    whole = everything(board)
    assert (whole.native, whole.held_why) == (False, "narrow")
    for refused in (board.arm(pairs=["btc_idr"]), board.arm(order_ids=["a1"])):
        assert (refused.switch_id, refused.overlaps) == (whole.switch_id, EVERYTHING)
    assert everything(board).epoch == 2, "the same scope is taken over"
    assert board.arm("it", pairs=["btc_idr"]).epoch == 1, "another account"
    board.disarm(whole, epoch=2)
    pair = board.arm(pairs=["btc_idr"])
    refused = everything(board)
    assert (refused.switch_id, refused.overlaps) == (pair.switch_id, "btc_idr")
    board.disarm(pair)
    order = board.arm(order_ids=["a1"])
    assert everything(board).switch_id == order.switch_id


def test_no_other_switch_tracks_orders_beside_one_of_everything(board: Board) -> None:
    """Its own holder may."""
    order = board.arm("ev", order_ids=["a1"])
    board.disarm(order)
    whole = everything(board, "ev")
    assert board.track(whole, "a2") == ("armed", "")


def test_everything_that_tripped_is_one_cancel_of_the_account(board: Board) -> None:
    """Its record says so; until the open orders are listed nothing of the account is armed."""
    whole = everything(board)
    board.clock.advance(TIMEOUT_MS)
    board.claim()
    record = board.switches.get(whole.switch_id)
    assert record
    assert (record.state, record.everything, record.pairs) == ("tripped", True, ())
    assert record.describe(0)["everything"] is True
    assert record.scope == ("everything",)
    assert [(job.kind, job.pair, job.urgent) for job in board.jobs()] == [
        ("cancel_all", None, True)
    ]
    for again in (board.arm(pairs=["btc_idr"]), everything(board)):
        assert again.clearing
        assert again.clearing.pair == EVERYTHING


def test_a_pair_that_is_being_canceled_keeps_everything_from_being_armed(board: Board) -> None:
    """What is placed now could be canceled with it."""
    board.arm(pairs=["btc_idr"])
    board.clock.advance(TIMEOUT_MS)
    board.claim()
    clearing = everything(board).clearing
    assert clearing
    assert clearing.pair == "btc_idr"


def test_a_scope_within_everything_counts_as_armed_again(board: Board) -> None:
    """So that a tripped switch's cancel does not list what has been placed since."""
    lane = "indodax:ix"
    assert board.switches.owners(lane, ["btc_idr"]) == []
    whole = everything(board)
    assert board.switches.owners(lane, ["btc_idr"]) == [whole.switch_id]
    board.disarm(whole)
    pair = board.arm(pairs=["eth_idr"])
    assert board.switches.owners(lane, ["btc_idr"]) == []
    assert board.switches.owners(lane, WHOLE) == [pair.switch_id]


def test_a_timer_that_can_no_longer_be_used_is_stopped(board: Board) -> None:
    """The same scope armed for longer than the exchange's timer runs: workers hold it then."""
    board.arm()
    assert board.claim().tended
    board.rest()
    again = board.arm(timeout_ms=2 * TIMEOUT_MS, by_workers="long 30000")
    assert (again.native, again.held_why) == (False, "long 30000")


def test_what_the_timer_leaves_is_recorded(board: Board) -> None:
    """The exchange holds it, and workers a part of it, also after a message's heartbeat."""
    armed = board.arm(partly="stops")
    assert (armed.native, armed.held_why) == (True, "stops")
    assert board.arm(partly="stops", mode="touch").held_why == "stops"
    record = board.switches.get(armed.switch_id)
    assert record
    assert record.held == "both"
