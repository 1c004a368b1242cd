"""Plain countdown messages that say when they were sent: the order of sending decides."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations

import pytest

from tests.support.plain_countdowns import T_MS, Plain
from worker.errors import InvalidCommand, SwitchOverlap
from worker.messaging.plain_messages import move_switch
from worker.model.messages import CountdownMessage

AB, A, B = ("a_x", "b_x"), ("a_x",), ("b_x",)
Sent = tuple[int, tuple[str, ...]]
STORIES: dict[str, list[Sent]] = {
    "armed and disarmed": [(T_MS, AB), (0, AB)],
    "disarmed and armed": [(0, AB), (T_MS, AB)],
    "two timeouts": [(3 * T_MS, AB), (T_MS, AB)],
    "armed, disarmed, armed": [(T_MS, AB), (0, AB), (2 * T_MS, AB)],
    "disarmed twice between": [(T_MS, AB), (0, AB), (0, AB)],
    "disarmed after two beats": [(T_MS, AB), (2 * T_MS, AB), (0, AB)],
    "beaten after a disarm": [(0, AB), (T_MS, AB), (2 * T_MS, AB), (0, AB)],
    "a part, before": [(T_MS, A), (0, A), (T_MS, B), (0, B)],
}


@pytest.fixture
def plain(redis_url: str) -> Plain:
    """An empty Redis on a stepped clock."""
    return Plain(redis_url)


def outcome(
    plain: Plain, story: list[Sent], order: tuple[int, ...], ahead_ms: int
) -> Sequence[object]:
    """Read the messages of a story, sent 1 ms apart, in this order; return what is armed."""
    for key in plain.board.client.scan_iter("cx:*"):
        plain.board.client.delete(key)
    plain.board.register()
    for i in order:
        timeout_ms, pairs = story[i]
        plain.say(timeout_ms, late_ms=len(story) - i - ahead_ms, pairs=pairs)
    found = plain.board.switches.recent(limit=9)
    return sorted(
        (s.pairs, s.timeout_ms, plain.board.now_ms - s.deadline_ms)
        for s in found
        if s.state == "armed"
    )


@pytest.mark.parametrize("ahead_ms", [0, 8_000, -8_000])
@pytest.mark.parametrize("alias", ["ix", "ev"])
@pytest.mark.parametrize("story", STORIES)
def test_the_order_of_reading_changes_nothing(
    plain: Plain, story: str, alias: str, ahead_ms: int
) -> None:
    """Read in any order, messages have the same result as in the order of sending."""
    plain.alias = alias
    told = STORIES[story]
    meant = outcome(plain, told, tuple(range(len(told))), ahead_ms)
    for order in permutations(range(len(told))):
        assert outcome(plain, told, order, ahead_ms) == meant, order


@pytest.mark.parametrize("alias", ["ix", "ev"])
@pytest.mark.parametrize("part", [A, B, AB, ("a_x", "c_x")])
def test_a_disarm_read_first_bars_each_part(
    plain: Plain, alias: str, part: tuple[str, ...]
) -> None:
    """Where no switch holds the pairs yet, either: an older arm of any of them is stale."""
    assert plain.say(0, late_ms=0, alias=alias) == "no such switch"
    assert plain.say(T_MS, late_ms=50, alias=alias, pairs=part).startswith("stale")
    assert plain.only() is None
    assert plain.say(T_MS, late_ms=0, alias=alias, pairs=part).startswith("armed")


@pytest.mark.parametrize("alias", ["ix", "ev"])
def test_an_older_disarm_never_lowers_a_newer_one(plain: Plain, alias: str) -> None:
    """Two disarms read in the wrong order: the newer one still bars what came between."""
    plain.say(0, late_ms=100, alias=alias)
    plain.say(0, late_ms=300, alias=alias)
    assert plain.say(T_MS, late_ms=200, alias=alias).startswith("stale")


@pytest.mark.parametrize("alias", ["ix", "ev"])
def test_what_was_sent_before_the_last_beat_of_a_tripped_switch_arms_nothing(
    plain: Plain, alias: str
) -> None:
    """A long timeout that was replaced by a short one does not come back after the trip."""
    plain.say(1_000, late_ms=0, alias=alias)
    plain.board.clock.advance(1_000)
    plain.board.claim(alias)
    assert plain.say(10 * T_MS, late_ms=1_001, alias=alias).startswith("stale")
    assert not plain.say(10 * T_MS, late_ms=999, alias=alias).startswith("stale")


@pytest.mark.parametrize("alias", ["ix", "ev"])
def test_an_arm_that_comes_again_without_a_time_is_barred_by_a_disarm(
    plain: Plain, alias: str
) -> None:
    """Its worker died, and the disarm after it found no switch to end."""
    plain.say(0, alias=alias)
    assert plain.say(T_MS, alias=alias, again=True).startswith("stale")
    assert plain.say(T_MS, alias=alias).startswith("armed")


def test_an_older_arm_or_disarm_of_other_pairs_leaves_a_newer_switch(plain: Plain) -> None:
    """It is stale and no dead letter: the switch that holds a pair by now was armed later."""
    plain.say(T_MS, late_ms=10, pairs=A)
    assert plain.say(T_MS, late_ms=30).startswith("stale")
    assert plain.say(0, late_ms=20).startswith("stale")
    with pytest.raises(SwitchOverlap):
        plain.say(0, late_ms=5)
    assert plain.left_ms() == T_MS - 10


def test_a_disarm_is_remembered_for_a_day(plain: Plain) -> None:
    """After that an arm of that age is stale by its own timeout."""
    plain.say(0, late_ms=0)
    sent_ms = plain.board.now_ms - 1
    plain.board.clock.advance(86_000_000)
    message = CountdownMessage("ix", ("a_x", "b_x"), 86_400_000, sent_ms)
    assert move_switch(plain.runtime, message, task_id="m1").startswith("stale")


def test_disarms_of_countless_pairs_are_bounded(plain: Plain) -> None:
    """Redis keeps those of the pairs noted last."""
    for start in range(0, 9_000, 1_000):
        plain.board.clock.advance(1)
        pairs = tuple(f"p{start + n}_x" for n in range(1_000))
        plain.say(0, late_ms=0, pairs=pairs, alias="ev")
    kept = plain.board.client.hlen("cx:disarmed:ev")
    assert isinstance(kept, int)
    assert kept <= 4_096
    last = ("p8999_x",)
    assert plain.say(T_MS, late_ms=1, pairs=last, alias="ev").startswith("stale")


def test_a_disarm_of_what_is_no_pair_is_refused(plain: Plain) -> None:
    """It could end no switch, and is not remembered."""
    with pytest.raises(InvalidCommand):
        plain.say(0, late_ms=0, pairs=("",), alias="ev")
    assert not plain.board.client.exists("cx:disarmed:ev")
