"""The plan of countdown requests: who shares one, in what order, with what countdown."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.model.constants import NEAR_SHARE
from worker.model.switches import NativeSwitch, SwitchState
from worker.switches.plan import Sync, brief_of, countdown_ms, plan

NOW_MS = 1_700_000_000_000
TRANSIT_MS = 300
MAX_PAIRS = 4


def armed(
    name: str,
    left_ms: int,
    timeout_ms: int = 60_000,
    *,
    due: bool = True,
    timer: bool = True,
    pairs: int = 1,
) -> NativeSwitch:
    """Return an armed switch with `left_ms` to its deadline."""
    deadline_ms = NOW_MS + left_ms
    lag_ms = timeout_ms // 2 if due else timeout_ms // 8
    return NativeSwitch(
        id=name,
        epoch=1,
        state=SwitchState.ARMED,
        timeout_ms=timeout_ms,
        deadline_ms=deadline_ms,
        fires_ms=deadline_ms - lag_ms if timer else 0,
        due=due,
        pairs=tuple(f"{name}{n}_idr" for n in range(pairs)),
    )


def disarmed(name: str, *, pairs: int = 1) -> NativeSwitch:
    """Return a switch whose timer must be stopped."""
    return replace(armed(name, 60_000, pairs=pairs), state=SwitchState.DISARMED, epoch=2)


def names(syncs: list[Sync]) -> list[str]:
    """Return the members of each request as one text."""
    return ["".join(name for name, _ in sync.members) for sync in syncs]


PLANS: dict[str, tuple[list[NativeSwitch], list[str]]] = {
    "nothing at all": ([], []),
    "nothing due": ([armed("a", 9_000, due=False), armed("b", 9_000, due=False)], []),
    "one due": ([armed("a", 9_000)], ["a"]),
    "two close deadlines share": ([armed("a", 50_000), armed("b", 57_500)], ["ab"]),
    "two an ms too far apart do not": ([armed("a", 50_000), armed("b", 57_501)], ["a", "b"]),
    "the shorter timeout decides": (
        [armed("a", 9_000), armed("b", 10_300, timeout_ms=10_000)],
        ["a", "b"],
    ),
    "one not due goes along": ([armed("a", 50_000), armed("b", 51_000, due=False)], ["ab"]),
    "one not due and sooner goes along": (
        [armed("a", 50_000, due=False), armed("b", 51_000)],
        ["ab"],
    ),
    "one not due and far off does not": ([armed("a", 9_000), armed("b", 51_000, due=False)], ["a"]),
    "no chain of neighbors": (
        [armed("a", 50_000), armed("b", 57_000), armed("c", 64_000)],
        ["ab", "c"],
    ),
    "stops go first, together": (
        [armed("a", 1_000, timer=False), disarmed("s"), disarmed("t")],
        ["st", "a"],
    ),
    "a scope without a timer goes before a renewal": (
        [armed("a", 1_000), armed("b", 50_000, timer=False)],
        ["b", "a"],
    ),
    "a timer past the deadline goes before a renewal": (
        [armed("a", 1_000), replace(armed("b", 50_000), fires_ms=NOW_MS + 90_000)],
        ["b", "a"],
    ),
    "renewals go by deadline": (
        [armed("c", 51_000), armed("a", 1_000), armed("b", 20_000)],
        ["a", "b", "c"],
    ),
    "too many pairs are parted": (
        [armed("a", 50_000, pairs=3), armed("b", 50_000, pairs=2)],
        ["a", "b"],
    ),
    "just enough pairs are not": (
        [armed("a", 50_000, pairs=3), armed("b", 50_000, pairs=1)],
        ["ab"],
    ),
    "a part without anything due stays": (
        [armed("a", 50_000, pairs=4), armed("b", 50_000, pairs=2, due=False)],
        ["a"],
    ),
    "a long one is split, and alone": (
        [armed("a", 50_000), armed("b", 60_000, pairs=9), armed("c", 60_000)],
        ["a", "b", "b", "b", "c"],
    ),
    "a long one is urgent once half its time is over": (
        [armed("a", 50_000), armed("b", 59_999, pairs=9), armed("c", 60_000)],
        ["b", "b", "b", "a", "c"],
    ),
    "as many pairs as go in one request are no long list": (
        [armed("a", 50_000), armed("b", 59_999, pairs=4)],
        ["a", "b"],
    ),
    "a stop that is not due": ([replace(disarmed("s"), due=False)], []),
    "a long stop is split too": ([disarmed("s", pairs=5), disarmed("t")], ["s", "s", "t"]),
}


@pytest.mark.parametrize("case", PLANS)
def test_plan(case: str) -> None:
    """Requests go in this order, with these members."""
    switches, wanted = PLANS[case]
    assert names(plan(switches, now_ms=NOW_MS, max_pairs=MAX_PAIRS)) == wanted


def test_one_that_was_refused_shares_no_more() -> None:
    """What is to be alone is, whether it would open a request or join one."""
    switches = [armed(name, 50_000) for name in "abcd"]
    assert names(plan(switches, now_ms=NOW_MS, max_pairs=MAX_PAIRS, alone={"b"})) == [
        "a",
        "b",
        "cd",
    ]
    assert names(plan(switches, now_ms=NOW_MS, max_pairs=MAX_PAIRS, alone={"a"})) == ["a", "bcd"]
    stops = [disarmed(name) for name in "stu"]
    assert names(plan(stops, now_ms=NOW_MS, max_pairs=MAX_PAIRS, alone={"t"})) == ["s", "t", "u"]


def test_only_the_last_part_brings_a_long_switch_in_line() -> None:
    """The parts of a split request name every pair once; only the last is `last`."""
    syncs = plan([armed("a", 50_000, pairs=9)], now_ms=NOW_MS, max_pairs=MAX_PAIRS)
    assert [sync.last for sync in syncs] == [False, False, True]
    assert [len(sync.pairs) for sync in syncs] == [4, 4, 1]
    assert sorted(pair for sync in syncs for pair in sync.pairs) == [f"a{n}_idr" for n in range(9)]


def test_what_is_urgent() -> None:
    """Stops, scopes without a timer and timers past the deadline; renewals are not."""
    late = replace(armed("l", 20_000), fires_ms=NOW_MS + 30_000)
    switches = [armed("a", 5_000), armed("b", 40_000, timer=False), late, disarmed("s")]
    urgent = {
        names([sync])[0]: sync.urgent for sync in plan(switches, now_ms=NOW_MS, max_pairs=MAX_PAIRS)
    }
    assert urgent == {"s": True, "b": True, "l": True, "a": False}


URGENT = {
    "no timer": (None, True),
    "a timer past the deadline": (50_001, True),
    "a timer at the deadline": (50_000, False),
    "a timer a quarter of its time from now": (15_000, False),
    "a timer that is sooner": (14_999, True),
    "a timer that is about to fire": (1, True),
    "a timer that fires now": (0, False),
    "a timer that has fired": (-1, False),
}


@pytest.mark.parametrize("case", URGENT)
def test_what_is_urgent_of_a_timer(case: str) -> None:
    """One that is missing, too late, or about to fire too soon; only of a switch that is due."""
    fires_ms, urgent = URGENT[case]
    at_ms = 0 if fires_ms is None else NOW_MS + fires_ms
    timed = replace(armed("a", 50_000), fires_ms=at_ms)
    whole = Sync(("a0_idr",), (("a", 1),), stop=False, urgent=urgent)
    assert plan([timed], now_ms=NOW_MS, max_pairs=MAX_PAIRS) == [whole]
    along = [armed("b", 50_000), replace(timed, due=False)]
    (shared,) = plan(along, now_ms=NOW_MS, max_pairs=MAX_PAIRS)
    assert not shared.urgent


COUNTDOWNS = {
    "what a call may take is left off": ((60_000, 300), 59_700),
    "all of it, however short the timeout": ((1_000, 900), 100),
    "never 0, which would stop it": ((300, 300), 1),
    "nor below": ((1, 300), 1),
    "no allowance for the way": ((5_000, 0), 5_000),
}


@pytest.mark.parametrize("case", COUNTDOWNS)
def test_countdown(case: str) -> None:
    """The countdown is what is left, less what the request may take to arrive."""
    (left_ms, call_ms), wanted = COUNTDOWNS[case]
    assert countdown_ms(NOW_MS + left_ms, NOW_MS, call_ms) == wanted


@st.composite
def accounts(draw: st.DrawFn) -> list[NativeSwitch]:
    """Draw the switches of one account, as a survey of them could find them."""
    switches = []
    for n in range(draw(st.integers(0, 9))):
        timeout_ms = draw(st.sampled_from((1_000, 2_000, 10_000, 60_000, 120_000)))
        deadline_ms = NOW_MS + draw(st.integers(1, timeout_ms))
        fires_ms = draw(
            st.one_of(
                st.just(0),
                st.integers(deadline_ms - timeout_ms, deadline_ms),
                st.integers(deadline_ms + 1, deadline_ms + timeout_ms),
            )
        )
        state = draw(st.sampled_from((*[SwitchState.ARMED] * 3, SwitchState.DISARMED)))
        lag_ms = deadline_ms - fires_ms
        due = state is SwitchState.DISARMED or lag_ms < 0 or lag_ms >= timeout_ms / 4
        pairs = draw(st.integers(1, 6))
        switches.append(
            NativeSwitch(
                id=f"s{n}",
                epoch=draw(st.integers(1, 3)),
                state=state,
                timeout_ms=timeout_ms,
                deadline_ms=deadline_ms,
                fires_ms=fires_ms,
                due=due,
                pairs=tuple(f"s{n}p{m}_idr" for m in range(pairs)),
            )
        )
    return switches


@settings(max_examples=300, deadline=None, database=None, derandomize=True)
@given(
    switches=accounts(),
    max_pairs=st.integers(1, 8),
    alone=st.sets(st.sampled_from([f"s{n}" for n in range(9)]), max_size=3),
    call_ms=st.sampled_from((0, 300, 5_000)),
)
def test_every_plan(
    switches: list[NativeSwitch], max_pairs: int, alone: set[str], call_ms: int
) -> None:
    """Whatever there is: all that is due goes once, and no switch pays more than it may."""
    known = {switch.id: switch for switch in switches}
    syncs = plan(switches, now_ms=NOW_MS, max_pairs=max_pairs, alone=alone)
    for sync in syncs:
        members = [known[name] for name, _ in sync.members]
        check_request(sync, members, max_pairs, alone)
        if not sync.stop:
            check_shared(members, call_ms)
    check_coverage(syncs, switches)
    ranks = [rank(sync, known) for sync in syncs]
    assert ranks == sorted(ranks)


def check_request(sync: Sync, members: list[NativeSwitch], max_pairs: int, alone: set[str]) -> None:
    """One request is fit to be sent, for a reason, and for switches of one kind."""
    assert 1 <= len(sync.pairs) <= max_pairs
    assert [epoch for _, epoch in sync.members] == [member.epoch for member in members]
    assert any(member.due for member in members)
    assert {member.state for member in members} == {"disarmed" if sync.stop else "armed"}
    assert set(sync.pairs) <= {pair for member in members for pair in member.pairs}
    assert len(members) == 1 or not alone & {member.id for member in members}


def check_shared(members: list[NativeSwitch], call_ms: int) -> None:
    """The earliest deadline is kept, costs no switch much, and leaves none due again."""
    earliest = min(member.deadline_ms for member in members)
    countdown = countdown_ms(earliest, NOW_MS, call_ms)
    assert 1 <= countdown <= earliest - NOW_MS
    for member in members:
        assert member.deadline_ms - earliest <= member.timeout_ms / NEAR_SHARE
        lag_ms = member.deadline_ms - (NOW_MS + countdown)
        assert lag_ms >= 0
        assert lag_ms - call_ms < member.timeout_ms / 4


def check_coverage(syncs: list[Sync], switches: list[NativeSwitch]) -> None:
    """What is due is in one request, or in all parts of a split one; so is what goes along."""
    for switch in switches:
        mine = [sync for sync in syncs if switch.id in {name for name, _ in sync.members}]
        assert mine or not switch.due
        if not mine:
            continue
        assert len({sync.members for sync in mine}) == 1
        assert len(mine) == 1 or len(mine[0].members) == 1
        assert [sync.last for sync in mine] == [False] * (len(mine) - 1) + [True]
        pairs = [pair for sync in mine for pair in sync.pairs if pair in switch.pairs]
        assert sorted(pairs) == sorted(switch.pairs)


def rank(sync: Sync, known: dict[str, NativeSwitch]) -> tuple[bool, bool, int]:
    """Return where a request belongs: stops, then urgent ones, then by deadline."""
    if sync.stop:
        return (False, False, 0)
    earliest = min(known[name].deadline_ms for name, _ in sync.members)
    return (True, not sync.urgent, earliest)


LEAST_MS = 10_300


def brief(name: str, left_ms: int, *, outlives: bool) -> NativeSwitch:
    """Return a due switch whose timer may fire after its deadline, or does not."""
    return replace(armed(name, left_ms), outlives=outlives)


BRIEF: dict[str, tuple[list[NativeSwitch], list[str]]] = {
    "enough is left": ([armed("a", LEAST_MS)], ["a"]),
    "an ms too little": ([armed("a", LEAST_MS - 1)], []),
    "too little, and its timer would fire late": (
        [brief("a", LEAST_MS - 1, outlives=True)],
        ["stop a"],
    ),
    "enough, and its timer would fire late": ([brief("a", LEAST_MS, outlives=True)], ["a"]),
    "it shares no request of others": ([armed("a", 10_000), armed("b", 11_000)], ["b"]),
}


@pytest.mark.parametrize("case", BRIEF)
def test_a_timer_is_not_set_to_less_than_it_can_be(case: str) -> None:
    """It keeps what it has, unless that would outlive the deadline."""
    switches, wanted = BRIEF[case]
    syncs = plan(switches, now_ms=NOW_MS, max_pairs=MAX_PAIRS, least_ms=LEAST_MS)
    found = [
        ("stop " if sync.stop else "") + name
        for sync, name in zip(syncs, names(syncs), strict=True)
    ]
    assert found == wanted
    left_out = brief_of(switches, now_ms=NOW_MS, least_ms=LEAST_MS)
    assert {each.id for each in left_out} == {
        each.id for each in switches if each.deadline_ms - NOW_MS < LEAST_MS
    }
