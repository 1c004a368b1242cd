"""Scopes of switches: who has what, and what happens where two want the same."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.switchboard import TIMEOUT_MS, Board


@pytest.fixture
def board(redis_url: str) -> Board:
    """An empty Redis on a stepped clock."""
    return Board(redis_url)


OVERLAPS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "a pair of two": ({"pairs": ["a_x", "b_x"]}, {"pairs": ["b_x", "c_x"]}),
    "a part of the pairs": ({"pairs": ["a_x", "b_x"]}, {"pairs": ["a_x"]}),
    "more pairs": ({"pairs": ["a_x"]}, {"pairs": ["a_x", "b_x"]}),
    "an order of two": ({"order_ids": ["1", "2"]}, {"order_ids": ["2", "3"]}),
    "the same pairs, other orders": (
        {"pairs": ["a_x"], "order_ids": ["1"]},
        {"pairs": ["a_x"], "order_ids": ["2"]},
    ),
    "the same pairs, no orders": ({"pairs": ["a_x"], "order_ids": ["1"]}, {"pairs": ["a_x"]}),
}


@pytest.mark.parametrize("alias", ["ev", "ix"])
@pytest.mark.parametrize("case", OVERLAPS)
def test_overlap_is_refused(board: Board, case: str, alias: str) -> None:
    """A caller that wants a part of an armed scope learns which switch has it, and gets nothing."""
    first, second = OVERLAPS[case]
    armed = board.arm(alias, **first)
    refused = board.arm(alias, **second)
    assert refused.switch_id == armed.switch_id
    assert set(refused.overlaps.replace(",", " ").split()) == {
        name for names in first.values() for name in names
    }
    assert len(board.switches.recent(limit=10)) == 1
    assert board.beat(armed).state == "armed"
    board.disarm(armed)
    assert not board.arm(alias, **second).overlaps


def test_order_and_repetition_name_the_same_scope(board: Board) -> None:
    """A scope is a set."""
    first = board.arm("ev", pairs=["b_x", "a_x"], order_ids=["2", "1", "2"])
    again = board.arm("ev", pairs=["a_x", "b_x", "a_x"], order_ids=["1", "2"])
    assert (again.switch_id, again.epoch) == (first.switch_id, 2)


def test_what_arming_again_costs_grows_with_the_scope_alone(board: Board) -> None:
    """A restarted strategy with many orders must not hold up Redis for all others."""
    orders = [str(n) for n in range(500)]
    first = board.arm("ev", order_ids=orders)
    board.client.config_resetstat()
    assert board.arm("ev", order_ids=orders).switch_id == first.switch_id
    stats: Any = board.client.info("commandstats")
    assert stats["cmdstat_smembers"]["calls"] <= 2


def test_accounts_do_not_meet(board: Board) -> None:
    """The same pair of two accounts is two scopes."""
    assert board.arm("ix").switch_id != board.arm("it").switch_id


def test_tracked_orders_are_scope_too(board: Board) -> None:
    """What one switch tracks no other may, until it is untracked or its switch ends."""
    first = board.arm("ev", order_ids=["1"])
    other = board.arm("ev", order_ids=["2"])
    assert board.track(first, "3", "4") == ("armed", "")
    assert board.track(other, "5", "3") == ("overlap", first.switch_id)
    assert board.arm("ev", order_ids=["3"]).overlaps
    record = board.switches.get(other.switch_id)
    assert record is not None
    assert record.order_ids == ("2",)
    assert board.track(first, "3", add=False) == ("armed", "")
    assert board.track(other, "3") == ("armed", "")
    board.disarm(other)
    assert board.track(first, "3", "2") == ("armed", "")


def test_what_is_not_tracked_cannot_be_taken_from_another(board: Board) -> None:
    """Untracking another switch's order does nothing."""
    first = board.arm("ev", order_ids=["1"])
    other = board.arm("ev", order_ids=["2"])
    assert board.track(other, "1", add=False) == ("armed", "")
    board.clock.advance(TIMEOUT_MS)
    assert board.beat(first).state == "tripped"
    assert [job.order_id for job in board.jobs("ev")] == ["1"]


@pytest.mark.parametrize("named", [["1"], ["1", "2"]])
def test_a_restarted_strategy_has_its_switch_back(board: Board, named: list[str]) -> None:
    """Named as at first, or by all that it tracks since, it is the same switch."""
    first = board.arm("ev", order_ids=["1"])
    board.track(first, "2")
    again = board.arm("ev", order_ids=named)
    assert (again.switch_id, again.epoch) == (first.switch_id, 2)
    record = board.switches.get(first.switch_id)
    assert record is not None
    assert record.order_ids == ("1", "2")


def test_orders_of_a_lapsed_switch_are_free(board: Board) -> None:
    """What another switch tracked when it ran out, or was armed with, can be armed."""
    lapsed = board.arm("ev", order_ids=["1"])
    board.track(lapsed, "2")
    board.clock.advance(TIMEOUT_MS)
    other = board.arm("ev", order_ids=["2", "3"])
    assert not other.overlaps
    assert board.state(lapsed) == "tripped"
    assert board.track(other, "1") == ("armed", "")


def test_a_narrower_scope_takes_over_from_a_disarmed_one(board: Board) -> None:
    """Of the timers left to be stopped, those of a new switch are no longer stopped."""
    wide = board.arm("ix", pairs=["a_x", "b_x"])
    board.in_line(wide)
    board.disarm(wide)
    narrow = board.arm("ix", pairs=["b_x"])
    surveyed = {switch.id: (switch.state, switch.pairs) for switch in board.survey()}
    assert surveyed == {
        wide.switch_id: ("disarmed", ("a_x",)),
        narrow.switch_id: ("armed", ("b_x",)),
    }


def test_a_wider_scope_takes_over_from_a_disarmed_one(board: Board) -> None:
    """A disarmed switch whose pairs are all another's has no timer left to stop."""
    narrow = board.arm("ix", pairs=["b_x"])
    board.in_line(narrow)
    board.disarm(narrow)
    wide = board.arm("ix", pairs=["a_x", "b_x"])
    assert [switch.id for switch in board.survey()] == [wide.switch_id]
    assert board.due_ms(narrow) is None
    assert board.state(narrow) == "disarmed"
