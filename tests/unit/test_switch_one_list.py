"""The plan for one timer with one list: who is in it, until when, and whom it leaves out."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from worker.model.constants import LAG_SHARE, SLACK_SHARE
from worker.model.switches import NativeSwitch, SwitchState
from worker.switches.one_list import ListPlan, plan_list

NOW_MS = 1_700_000_000_000
TIMEOUT_MS = 60_000
MAX_PAIRS = 4
LEAST_MS = 7_000
SLACK_MS = TIMEOUT_MS // SLACK_SHARE


def armed(
    name: str, left_ms: int, *, timer_ms: int = 0, due: bool = True, pairs: int = 1
) -> NativeSwitch:
    """Return an armed switch with so much left of its deadline, and of its timer if it has one."""
    return NativeSwitch(
        id=name,
        epoch=1,
        state=SwitchState.ARMED,
        timeout_ms=TIMEOUT_MS,
        deadline_ms=NOW_MS + left_ms,
        fires_ms=NOW_MS + timer_ms if timer_ms else 0,
        due=due,
        pairs=tuple(f"{name}{n}" for n in range(pairs)),
    )


def disarmed(name: str, timer_ms: int = 40_000) -> NativeSwitch:
    """Return a switch whose timer must end."""
    return replace(armed(name, 60_000, timer_ms=timer_ms), state=SwitchState.DISARMED, epoch=2)


def planned(*switches: NativeSwitch, alone: frozenset[str] = frozenset()) -> ListPlan:
    """Return the plan."""
    return plan_list(
        switches, now_ms=NOW_MS, max_pairs=MAX_PAIRS, alone=alone, least_ms=LEAST_MS, way_ms=300
    )


def shown(found: ListPlan) -> str:
    """Return a plan as one text: members, what it ends after `-`, whom it leaves out after `/`."""
    text = "stop " if found.syncs and found.syncs[0].stop else ""
    for sync in found.syncs:
        text += "".join(name for name, _ in sync.members)
        text += "-" + "".join(name for name, _ in sync.dropped) if sync.dropped else ""
    return text + ("/" + "".join(found.left_out) if found.left_out else "")


def test_the_list_names_the_pairs_of_all_and_the_earliest_deadline_counts() -> None:
    """Also of one that is not due: what the list does not name has no timer."""
    found = planned(armed("b", 58_000), armed("a", 50_000, timer_ms=45_000, due=False))
    (sync,) = found.syncs
    assert (sync.pairs, sync.members, sync.last) == (("a0", "b0"), (("a", 1), ("b", 1)), True)
    assert not found.left_out


def test_nothing_is_sent_when_nothing_is_due() -> None:
    """Nor without switches."""
    assert shown(planned()) == ""
    assert shown(planned(armed("a", 50_000, timer_ms=49_000, due=False))) == ""


def test_one_whose_orders_would_be_canceled_too_early_is_left_out() -> None:
    """The silent strategy keeps the timer, and the others are left to workers."""
    silent = armed("a", 40_000, timer_ms=39_000, due=False)
    assert shown(planned(silent, armed("b", 54_999))) == "ab"
    assert shown(planned(silent, armed("b", 55_000))) == "/b"
    assert shown(planned(replace(silent, due=True), armed("b", 55_000, timer_ms=39_000))) == "a-b/b"


def test_a_small_lag_counts_once_half_of_the_time_is_over() -> None:
    """As for a timer of its own: a strategy that is alive is never taken for a silent one."""
    assert shown(planned(armed("a", 31_000), armed("b", 33_000))) == "ab"
    assert shown(planned(armed("a", 30_000), armed("b", 33_000))) == "a/b"
    assert shown(planned(armed("a", 30_000), armed("b", 31_800))) == "ab"


def test_one_that_is_disarmed_is_taken_off_the_list() -> None:
    """The others keep their timer; the last one stops it."""
    other = armed("a", 50_000, timer_ms=49_000, due=False)
    found = planned(other, disarmed("d"))
    assert shown(found) == "a-d"
    assert found.syncs[0].urgent
    assert shown(planned(disarmed("d"))) == "stop d"
    assert shown(planned(disarmed("d"), replace(other, yielded=True, due=True))) == "stop da"


def test_a_timer_that_is_about_to_fire_is_not_overwritten_for_a_new_switch() -> None:
    """The new one waits; it is overwritten for one whose orders it would cancel too early."""
    silent = armed("a", 5_000, timer_ms=4_500)
    found = planned(silent, armed("n", 60_000))
    assert (shown(found), found.put_off) == ("", ("n",))
    assert shown(planned(silent, armed("b", 60_000, timer_ms=4_500))) == "b-a"
    assert shown(planned(silent, disarmed("d", 4_500))) == "stop d-a"
    late = replace(silent, fires_ms=NOW_MS + 6_000)
    assert shown(planned(late)) == "stop a"


def test_the_list_is_never_longer_than_the_exchange_takes() -> None:
    """A switch that finds no room is left to workers."""
    many = [armed("a", 50_000, pairs=3), armed("b", 50_001, pairs=2), armed("c", 50_002)]
    assert shown(planned(*many)) == "ac/b"


def test_after_a_refusal_each_is_tried_alone() -> None:
    """The one at fault does not keep the others without a timer."""
    both = frozenset("ab")
    assert shown(planned(armed("a", 50_000), armed("b", 50_000), alone=both)) == "a"
    held = armed("a", 50_000, timer_ms=49_000, due=False)
    assert shown(planned(held, armed("b", 50_000), alone=frozenset("b"))) == "b-a"
    put_off = armed("b", 50_000, due=False)
    assert shown(planned(replace(held, due=True), put_off, alone=frozenset("b"))) == "a"


def test_only_a_timer_that_fires_in_time_is_kept_for_what_is_left_of_a_deadline() -> None:
    """Not one that is off, has fired, or whose place is not known."""
    new = armed("n", 60_000)
    assert shown(planned(armed("a", 5_000), new)) == "n"
    silent = armed("a", 5_000, timer_ms=5_000)
    assert planned(silent, new) == ListPlan([], (), ("n",))
    assert shown(planned(replace(silent, unsure=True), new)) == "n-a"
    assert shown(planned(replace(silent, unsure=True, fires_ms=0), new)) == "n-a"
    assert shown(planned(replace(silent, fires_ms=NOW_MS), new)) == "n-a"
    early = armed("m", 20_000)
    assert planned(silent, early, new) == ListPlan([], ("n",), ("m",))


def test_a_timer_that_fires_too_late_is_stopped_once_it_cannot_be_set() -> None:
    """Only one that is due, and of which too little is left."""
    assert shown(planned(armed("a", 5_000, timer_ms=5_000))) == ""
    outlives = replace(armed("a", 5_000, timer_ms=4_000), outlives=True)
    assert shown(planned(outlives)) == "stop a"
    assert shown(planned(replace(outlives, due=False))) == ""
    assert shown(planned(armed("a", 50_000, timer_ms=55_000, due=False))) == ""
    assert shown(planned(replace(disarmed("d"), due=False))) == ""
    assert shown(planned(disarmed("d"), armed("a", 50_000, timer_ms=55_000))) == "a-d"


def test_the_bounds_of_a_small_lag() -> None:
    """Both are where a timer of its own has them."""
    assert shown(planned(armed("a", 30_000), armed("b", 30_000 + SLACK_MS))) == "ab"
    assert shown(planned(armed("a", 30_000), armed("b", 30_001 + SLACK_MS))) == "a/b"
    assert shown(planned(armed("a", 30_301), armed("b", 33_000))) == "ab"
    assert shown(planned(armed("a", 30_300), armed("b", 33_000))) == "a/b"


def test_without_a_shortest_countdown_and_a_way_nothing_is_taken_off() -> None:
    """Then a timer can be set until the deadline."""
    last = armed("a", 0, timer_ms=1)
    assert shown(plan_list([last], now_ms=NOW_MS, max_pairs=MAX_PAIRS)) == "a"
    both = [armed("a", 30_001), armed("b", 33_000)]
    assert shown(plan_list(both, now_ms=NOW_MS, max_pairs=MAX_PAIRS)) == "ab"


def test_one_that_is_tried_alone_is_alone_already_where_it_is_the_only_one() -> None:
    """It keeps its timer, due or not."""
    held = armed("b", 50_000, timer_ms=49_000, due=False)
    assert shown(planned(disarmed("d"), held, alone=frozenset("b"))) == "b-d"


def test_one_that_is_larger_than_the_list_is_left_to_workers() -> None:
    """No request can name all its pairs; it was armed before a worker had said how many."""
    found = planned(armed("a", 50_000, pairs=MAX_PAIRS + 1), armed("b", 50_000))
    assert (shown(found), found.left_out) == ("b/a", ("a",))
    assert planned(armed("a", 50_000, pairs=MAX_PAIRS)).left_out == ()


def urgent(*switches: NativeSwitch) -> bool:
    """Return whether the one request is urgent."""
    (sync,) = planned(*switches).syncs
    return sync.urgent


def test_what_is_urgent() -> None:
    """A timer that must end, fires late or may fire soon; not one that is to be set again."""
    assert urgent(disarmed("d"), armed("a", 50_000, timer_ms=30_000))
    assert not urgent(armed("a", 50_000, timer_ms=30_000))
    assert not urgent(replace(armed("a", 50_000, timer_ms=30_000), outlives=True))
    assert urgent(armed("a", 50_000, timer_ms=55_000))
    assert urgent(armed("a", 50_000, timer_ms=1_000))


SWITCHES = st.builds(
    armed,
    st.sampled_from("abcdef"),
    st.integers(0, 90_000),
    timer_ms=st.integers(0, 90_000),
    due=st.booleans(),
    pairs=st.integers(1, 3),
)
STATES = st.sampled_from([SwitchState.ARMED, SwitchState.DISARMED, SwitchState.TRIPPED])


@given(
    st.lists(st.builds(replace, SWITCHES, state=STATES), max_size=6, unique_by=lambda each: each.id)
)
def test_the_timer_never_reaches_more_or_later_or_much_earlier(found: list[NativeSwitch]) -> None:
    """In every plan: its pairs are those of its members, and it fires in time for each."""
    listed = planned(*found)
    known = {switch.id: switch for switch in found}
    for sync in listed.syncs:
        members = [known[name] for name, _ in sync.members]
        assert set(sync.pairs) == {pair for each in members for pair in each.pairs}
        ended = {name for name, _ in sync.dropped}
        with_timer = {each.id for each in found if each.fires_ms}
        assert with_timer <= ended | {each.id for each in members}
        if sync.stop:
            continue
        assert all(each.timed for each in members)
        assert len(sync.pairs) <= MAX_PAIRS
        earliest_ms = min(each.deadline_ms for each in members)
        assert earliest_ms - NOW_MS >= LEAST_MS
        for each in members:
            assert each.deadline_ms - earliest_ms < each.timeout_ms / LAG_SHARE
