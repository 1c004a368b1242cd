"""Names of switches: unique among the armed switches of an account, and swapped in one step."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.switchboard import TIMEOUT_MS, Board
from worker.errors import SwitchReplaced

NAME = "grid-btc"


@pytest.fixture
def board(redis_url: str) -> Board:
    """An empty Redis on a stepped clock."""
    return Board(redis_url)


def named(board: Board, name: str = NAME, alias: str = "ev") -> str:
    """Return the id of the armed switch with this name."""
    return board.switches.named(f"{'everstrike' if alias == 'ev' else 'indodax'}:{alias}", name)


def test_the_same_scope_is_taken_over_and_keeps_its_name(board: Board) -> None:
    """By a holder that gives the name, and by one that does not."""
    first = board.arm("ev", order_ids=["a1"], name=NAME)
    again = board.arm("ev", order_ids=["a1"], name=NAME)
    unnamed = board.arm("ev", order_ids=["a1"])
    assert [each.switch_id for each in (again, unnamed)] == [first.switch_id] * 2
    assert [each.epoch for each in (first, again, unnamed)] == [1, 2, 3]
    assert named(board) == first.switch_id
    record = board.switches.get(first.switch_id)
    assert record is not None
    assert record.describe(board.now_ms)["name"] == NAME


def test_a_new_name_of_a_scope_frees_the_former(board: Board) -> None:
    """One switch has one name."""
    first = board.arm("ev", order_ids=["a1"], name=NAME)
    board.arm("ev", order_ids=["a1"], name="other")
    assert (named(board), named(board, "other")) == ("", first.switch_id)


def test_another_scope_is_refused_and_nothing_changes(board: Board) -> None:
    """Disjoint or shared; in another account the name is free."""
    first = board.arm("ev", order_ids=["a1"], name=NAME)
    for scope in (["b1"], ["a1", "b1"]):
        refused = board.arm("ev", order_ids=scope, name=NAME)
        assert refused.switch_id == first.switch_id
        assert refused.overlaps == "a1"
    assert board.arm("ev", order_ids=["b1"], name=NAME).named
    assert board.beat(first).state == "armed"
    assert board.arm("ev", order_ids=["b1"]).epoch == 1
    assert not board.arm("it", name=NAME).overlaps


@pytest.mark.parametrize("scope", [["a1", "b1"], ["b1"]])
def test_replace_swaps_the_scope(board: Board, scope: list[str]) -> None:
    """The new scope trips at its deadline, the rest of the former one does not."""
    first = board.arm("ev", order_ids=["a1", "a2"], name=NAME)
    board.clock.advance(TIMEOUT_MS // 2)
    second = board.arm("ev", order_ids=scope, name=NAME, replace_named=True)
    assert not second.overlaps
    assert named(board) == second.switch_id
    with pytest.raises(SwitchReplaced):
        board.handle(first, "ev").beat()
    with pytest.raises(SwitchReplaced):
        board.handle(first, "ev").disarm()
    board.clock.advance(TIMEOUT_MS)
    board.claim("ev")
    assert sorted(str(job.order_id) for job in board.jobs("ev")) == scope
    assert named(board) == ""


def test_replace_leaves_a_third_switch_alone(board: Board) -> None:
    """Its part of the scope is refused, and the named switch continues."""
    third = board.arm("ev", order_ids=["c1"])
    first = board.arm("ev", order_ids=["a1"], name=NAME)
    refused = board.arm("ev", order_ids=["a1", "c1"], name=NAME, replace_named=True)
    assert (refused.switch_id, refused.named) == (third.switch_id, False)
    assert board.beat(first).state == "armed"


def test_replace_without_a_former_switch_arms(board: Board) -> None:
    """As does one whose name has tripped."""
    first = board.arm("ev", order_ids=["a1"], name=NAME, replace_named=True)
    board.clock.advance(TIMEOUT_MS + 1_000)
    second = board.arm("ev", order_ids=["a2"], name=NAME)
    assert (first.epoch, second.epoch) == (1, 1)
    assert board.state(first) == "tripped"
    assert [job.order_id for job in board.jobs("ev")] == ["a1"]


def test_replace_of_many_orders_leaves_none_uncovered(board: Board) -> None:
    """More than one call takes otherwise: all that both scopes name are the new switch's."""
    orders = [f"a{n}" for n in range(5_000)]
    board.arm("ev", order_ids=orders, name=NAME)
    second = board.arm("ev", order_ids=[*orders, "b"], name=NAME, replace_named=True)
    owners: Any = board.client.hmget("cx:scope:everstrike:ev", [f"o|{each}" for each in orders])
    assert set(owners) == {second.switch_id}


def test_a_swap_stops_the_timers_of_the_pairs_that_it_leaves(board: Board) -> None:
    """The exchange's timer of a pair of both scopes runs on until it is set again."""
    first = board.arm("it", pairs=["a_idr", "b_idr"], name=NAME)
    board.in_line(first, "it")
    second = board.arm("it", pairs=["b_idr", "c_idr"], name=NAME, replace_named=True)
    wanted = {each.id: (each.state, each.pairs) for each in board.survey("it")}
    assert wanted == {
        first.switch_id: ("disarmed", ("a_idr",)),
        second.switch_id: ("armed", ("b_idr", "c_idr")),
    }
    assert board.jobs("it") == []


def test_a_disarmed_name_is_free(board: Board) -> None:
    """Also while the exchange's timer is not stopped yet."""
    for alias in ("ev", "it"):
        pairs = {"ev": [], "it": ["a_idr"]}[alias]
        orders = {"ev": ["a1"], "it": []}[alias]
        first = board.arm(alias, pairs=pairs, order_ids=orders, name=NAME)
        if alias == "it":
            board.in_line(first, alias)
        board.disarm(first)
        assert named(board, alias=alias) == ""
        second = board.arm(alias, pairs=["b_idr"], name=NAME)
        assert named(board, alias=alias) == second.switch_id


def test_aliases_of_one_key_may_have_named_two_switches_alike(board: Board) -> None:
    """Both hold their orders; the name finds the one that the account's first lane has."""
    one = board.arm("it", pairs=["a_idr"], name=NAME)
    other = board.switches.arm(
        switch_id="other1",
        lane="indodax:other",
        account="other",
        native=True,
        pairs=["b_idr"],
        order_ids=[],
        timeout_ms=TIMEOUT_MS,
        bell=("bells", "urgent"),
        name=NAME,
    )
    aliases = [(alias, "indodax", 0) for alias in ("it", "other")]
    board.ledger.register(
        aliases, native={"indodax"}, identities={alias: "key" for alias, *_ in aliases}
    )
    assert [board.beat(each).state for each in (one, other)] == ["armed", "armed"]
    assert named(board, alias="it") in {one.switch_id, other.switch_id}
