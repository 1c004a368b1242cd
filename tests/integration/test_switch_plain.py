"""Countdown messages of clients who hold no switch: late ones never lengthen a deadline."""

from __future__ import annotations

import pytest

from tests.support.plain_countdowns import PAIRS, T_MS, Plain
from worker.errors import InvalidCommand, SwitchOverlap, UnknownAccount
from worker.messaging.plain_messages import move_switch
from worker.model.messages import CountdownMessage
from worker.model.switches import Armed


@pytest.fixture
def plain(redis_url: str) -> Plain:
    """An empty Redis on a stepped clock."""
    return Plain(redis_url)


def test_each_message_moves_the_one_switch(plain: Plain) -> None:
    """The first arms, those after it beat: the switch and its epoch stay."""
    assert plain.say(T_MS).startswith("armed ")
    first = plain.only()
    plain.board.clock.advance(T_MS - 1)
    assert plain.say(T_MS, pairs=("b_x", "a_x", "b_x")) == f"armed {first.id if first else ''}"
    again = plain.only()
    assert again is not None
    assert first is not None
    assert (again.id, again.epoch) == (first.id, first.epoch)
    assert plain.left_ms() == T_MS
    plain.board.clock.advance(T_MS)
    plain.board.claim()
    assert len(plain.board.jobs()) == 2


LATE = {
    "at once": (0, T_MS),
    "a while ago": (5_000, T_MS - 5_000),
    "almost too late": (T_MS - 1, 1),
    "too late": (T_MS, None),
    "far too late": (10 * T_MS, None),
    "by a clock that is ahead": (-5_000, T_MS),
}


@pytest.mark.parametrize("alias", ["ix", "ev"])
@pytest.mark.parametrize("case", LATE)
def test_the_deadline_counts_from_when_it_was_sent(plain: Plain, case: str, alias: str) -> None:
    """However late a message comes, the deadline is the one that its sender meant."""
    late_ms, left_ms = LATE[case]
    said = plain.say(T_MS, late_ms=late_ms, alias=alias)
    assert plain.left_ms() == left_ms
    assert said.startswith("armed" if left_ms else "stale")


def test_a_message_older_than_the_last_changes_nothing(plain: Plain) -> None:
    """Messages that overtake one another leave the later one's deadline, longer or shorter."""
    plain.say(T_MS, late_ms=0)
    plain.board.clock.advance(100)
    assert plain.say(T_MS, late_ms=101).startswith("stale")
    assert plain.say(2 * T_MS, late_ms=101).startswith("stale")
    assert plain.left_ms() == T_MS - 100
    assert plain.say(T_MS // 2, late_ms=50).startswith("armed")
    assert plain.left_ms() == T_MS // 2 - 50
    assert plain.say(T_MS, late_ms=51).startswith("stale")
    assert plain.left_ms() == T_MS // 2 - 50


def test_a_shorter_timeout_shortens_what_the_exchange_holds(plain: Plain) -> None:
    """A deadline that a message moves closer is due to be set again at once."""
    plain.say(T_MS)
    (switch,) = plain.board.survey()
    assert plain.board.claim().tended
    plain.board.synced(Armed(switch.id, 1), switch.deadline_ms)
    plain.board.rest()
    assert not plain.board.survey()
    plain.say(T_MS // 2)
    assert plain.board.survey()[0].due


@pytest.mark.parametrize("alias", ["ix", "ev"])
def test_what_comes_again_moves_no_deadline_on(plain: Plain, alias: str) -> None:
    """A message delivered twice, of unknown age, may shorten a deadline, and arm what is not."""
    assert plain.say(T_MS, alias=alias, again=True).startswith("armed")
    plain.board.clock.advance(1_000)
    assert plain.say(T_MS, alias=alias, again=True).startswith("armed")
    assert plain.left_ms() == T_MS - 1_000
    plain.say(T_MS // 4, alias=alias, again=True)
    assert plain.left_ms() == T_MS // 4
    plain.say(0, alias=alias)
    assert plain.say(T_MS, alias=alias, again=True).startswith("stale")
    assert plain.only() is None


@pytest.mark.parametrize("alias", ["ix", "ev"])
@pytest.mark.parametrize("before", ["armed", "nothing", "disarmed"])
def test_a_disarm_that_comes_again_ends_nothing_armed_since(
    plain: Plain, alias: str, before: str
) -> None:
    """The worker died before it could acknowledge it, and the strategy has continued."""
    if before != "nothing":
        plain.say(T_MS, alias=alias)
    if before == "disarmed":
        plain.say(0, alias=alias)
    assert not plain.say(0, alias=alias, task_id="m1").startswith("stale")
    plain.board.clock.advance(1_000)
    plain.say(T_MS, alias=alias)
    assert plain.say(0, alias=alias, task_id="m1", again=True).startswith("stale")
    assert plain.left_ms() == T_MS
    assert plain.say(0, alias=alias, task_id="m2", again=True) == "disarmed", "it is the first time"
    assert plain.only() is None
    plain.say(T_MS, alias=alias)
    assert plain.say(0, alias=alias, task_id="m2") == "disarmed", "another message of that name"


@pytest.mark.parametrize("alias", ["ix", "ev"])
def test_zero_disarms(plain: Plain, alias: str) -> None:
    """A timeout of 0 ends the switch, and is no error where there is none."""
    assert plain.say(0, alias=alias) == "no such switch"
    plain.say(T_MS, alias=alias)
    assert plain.say(0, alias=alias) == "disarmed"
    assert plain.only() is None
    plain.board.clock.advance(T_MS)
    plain.board.claim(alias)
    assert not plain.board.jobs(alias)
    plain.say(T_MS, alias=alias)
    assert plain.left_ms() == T_MS


@pytest.mark.parametrize("alias", ["ix", "ev"])
def test_zero_that_comes_too_late_disarms_nothing(plain: Plain, alias: str) -> None:
    """One sent before the last heartbeat was meant for what came before it."""
    plain.say(T_MS, late_ms=0, alias=alias)
    plain.board.clock.advance(100)
    assert plain.say(0, late_ms=101, alias=alias).startswith("stale")
    assert plain.left_ms() == T_MS - 100
    assert plain.say(0, late_ms=100, alias=alias) == "disarmed"


@pytest.mark.parametrize("ended", [False, True])
@pytest.mark.parametrize("alias", ["ix", "ev"])
def test_a_heartbeat_in_flight_never_undoes_a_disarm(
    plain: Plain, alias: str, *, ended: bool
) -> None:
    """What was sent before the disarm and comes after it is stale, its timer stopped or not."""
    plain.say(T_MS, late_ms=0, alias=alias)
    plain.board.clock.advance(5_000)
    assert plain.say(0, late_ms=100, alias=alias) == "disarmed"
    if ended and alias == "ix":
        (switch,) = plain.board.survey()
        assert plain.board.claim().tended
        plain.board.synced(Armed(switch.id, switch.epoch), 0)
        plain.board.rest()
    assert plain.say(T_MS, late_ms=101, alias=alias).startswith("stale")
    assert plain.say(T_MS, late_ms=101, alias=alias, pairs=("b_x",)).startswith("stale")
    assert plain.only() is None
    assert plain.say(T_MS, late_ms=101, alias=alias, pairs=("c_x",)).startswith("armed")
    assert plain.say(T_MS, late_ms=99, alias=alias).startswith("armed")


def test_a_heartbeat_in_flight_never_undoes_a_holders_disarm(plain: Plain) -> None:
    """Disarmed by one who holds the switch, it counts from then."""
    plain.say(T_MS, late_ms=0)
    plain.board.clock.advance(5_000)
    switch = plain.only()
    assert switch is not None
    assert plain.board.switches.disarm(switch.id, 0, ("bells", "urgent")) == "armed"
    assert plain.say(T_MS, late_ms=1).startswith("stale")
    plain.board.clock.advance(1)
    assert plain.say(T_MS, late_ms=1).startswith("armed")


def test_a_senders_clock_does_not_bring_a_switch_back(plain: Plain) -> None:
    """What one sender says is compared by its own clock, ahead of ours or behind."""
    for ahead_ms in (8_000, -8_000):
        plain.say(T_MS, late_ms=-ahead_ms)
        plain.board.clock.advance(1_000)
        plain.say(0, late_ms=200 - ahead_ms)
        assert plain.say(T_MS, late_ms=300 - ahead_ms).startswith("stale"), ahead_ms
        assert plain.say(T_MS, late_ms=100 - ahead_ms).startswith("armed"), ahead_ms
        plain.board.clock.advance(60_000)
        plain.board.claim()
        plain.board.list_scopes()


def test_an_absurd_time_bars_no_message_for_long(plain: Plain) -> None:
    """A disarm from the far future is from a minute ahead at most."""
    plain.say(T_MS)
    assert plain.say(0, late_ms=-(10**12)) == "disarmed"
    plain.board.clock.advance(60_001)
    assert plain.say(T_MS, late_ms=0).startswith("armed")


def test_zero_at_the_deadline_is_too_late(plain: Plain) -> None:
    """A switch that has run out trips, and the answer says so."""
    plain.say(T_MS)
    plain.board.clock.advance(T_MS)
    assert "tripped" in plain.say(0)
    assert len(plain.board.jobs()) == 2


def test_zero_for_another_scope_is_refused(plain: Plain) -> None:
    """Less than a switch's pairs, more, or those of two: nothing is disarmed."""
    plain.say(T_MS, pairs=("a_x", "b_x"))
    plain.say(T_MS, pairs=("c_x",))
    for pairs in (("a_x",), ("a_x", "b_x", "c_x"), ("c_x", "d_x")):
        with pytest.raises(SwitchOverlap):
            plain.say(0, pairs=pairs)
    assert [switch.state for switch in plain.board.survey()] == ["armed", "armed"]


def test_overlap_is_refused(plain: Plain) -> None:
    """Another scope that shares a pair arms nothing."""
    plain.say(T_MS)
    for pairs in (("a_x",), ("b_x", "c_x"), ("a_x", "b_x", "c_x")):
        with pytest.raises(SwitchOverlap):
            plain.say(T_MS, pairs=pairs)
    assert len(plain.board.switches.recent(limit=9)) == 1


WRONG: dict[str, tuple[type[InvalidCommand], CountdownMessage]] = {
    "unknown account": (UnknownAccount, CountdownMessage("nobody", PAIRS, T_MS)),
    "too short": (InvalidCommand, CountdownMessage("ix", PAIRS, 1)),
    "too long": (InvalidCommand, CountdownMessage("ix", PAIRS, 10**12)),
    "no pair": (InvalidCommand, CountdownMessage("ix", ("",), T_MS)),
    "a comma in a pair": (InvalidCommand, CountdownMessage("ix", ("a_x,b_x",), T_MS)),
    "a bar in a pair": (InvalidCommand, CountdownMessage("ev", ("a|x",), T_MS)),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_done_arms_nothing(plain: Plain, case: str) -> None:
    """The reason is raised, for the dead letters; no key of a switch is written."""
    kind, message = WRONG[case]
    before = set(plain.board.client.keys())  # type: ignore[arg-type]
    with pytest.raises(kind):
        move_switch(plain.runtime, message, task_id="m1")
    assert set(plain.board.client.keys()) == before  # type: ignore[arg-type]
