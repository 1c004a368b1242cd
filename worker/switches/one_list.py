"""Plan for the one timer of an account that has a list of pairs: pure.

A request overwrites the time and the list. So at most one request goes in a turn, it names the
pairs of every switch that the timer is to serve, and it ends the timers of all others. The
timer fires at the earliest of the deadlines. A switch whose own deadline is so much later that
its timer would have to be renewed at once is left to workers: the exchange would cancel its
orders too early.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from worker.model.constants import LAG_SHARE, LEFT_SHARE, SLACK_SHARE
from worker.model.switches import NativeSwitch
from worker.switches.plan import Sync, brief_of, is_urgent


@dataclass(frozen=True, slots=True)
class ListPlan:
    """What brings the timer in line.

    Attributes:
        syncs: The request; empty if none is due, or none can go.
        left_out: Switches that the timer cannot serve beside the others.
        put_off: Switches that wait, as the timer is not overwritten for them now.
    """

    syncs: list[Sync]
    left_out: tuple[str, ...] = ()
    put_off: tuple[str, ...] = ()


def plan_list(
    switches: Sequence[NativeSwitch],
    *,
    now_ms: int,
    max_pairs: int,
    alone: Collection[str] = (),
    least_ms: int = 0,
    way_ms: int = 0,
) -> ListPlan:
    """Return the request that is due, and who is left out of it.

    The switch with the earliest deadline comes first, as its strategy may be dead. What is
    left of a deadline may be too little to set the timer: then a timer that fires in time is
    not overwritten for a switch that has none, but it is for one whose orders it would
    cancel too early, or that has been disarmed. Workers hold every deadline that the timer
    does not.

    Args:
        switches: All of the account, in every state.
        now_ms: Redis time.
        max_pairs: Most pairs in the list.
        alone: Switches that share with no other, since a request of theirs was refused.
        least_ms: Time that must be left of a deadline for the timer to be set.
        way_ms: How long before the deadline the timer fires.
    """
    brief = {switch.id for switch in brief_of(switches, now_ms=now_ms, least_ms=least_ms)}
    armed = sorted(
        (switch for switch in switches if switch.timed and switch.id not in brief),
        key=lambda switch: switch.deadline_ms,
    )
    lonely = [switch for switch in armed if switch.id in alone]
    if lonely and len(armed) > 1:
        first = next((switch for switch in lonely if switch.due), None)
        armed = [first] if first else [switch for switch in armed if switch not in lonely]
    group: list[NativeSwitch] = []
    left: list[str] = []
    for switch in armed:
        size = sum(len(each.pairs) for each in (*group, switch))
        earliest_ms = group[0].deadline_ms if group else switch.deadline_ms
        served = _in_line(switch, earliest_ms, now_ms + way_ms)
        if size > max_pairs or (group and not served):
            left.append(switch.id)
        else:
            group.append(switch)
    stops = [switch for switch in switches if switch.due and switch.stopped]
    stops += [each for each in switches if each.due and each.id in brief and _late(each)]
    due = [switch for switch in group if switch.due]
    if _guarded(switches, brief, now_ms) and not stops and not any(map(_holds, due)):
        return ListPlan([], tuple(left), tuple(switch.id for switch in due))
    if not (stops or due):
        return ListPlan([], tuple(left))
    members = group or stops
    chosen = {switch.id for switch in members}
    others = [switch for switch in switches if switch.id not in chosen and _holds(switch)]
    sync = Sync(
        pairs=tuple(dict.fromkeys(pair for switch in members for pair in switch.pairs)),
        members=tuple((switch.id, switch.epoch) for switch in members),
        stop=not group,
        urgent=bool(stops) or is_urgent(group, now_ms, max_pairs),
        dropped=tuple((switch.id, switch.epoch) for switch in others),
    )
    return ListPlan([sync], tuple(left))


def _in_line(switch: NativeSwitch, fires_ms: int, at_ms: int) -> bool:
    """Return whether a timer that fires then is near enough to a switch's deadline.

    As `needs_sync` in `lib/renewals.lua`: else the switch would be due again at once.
    """
    lag_ms, timeout_ms = switch.deadline_ms - fires_ms, switch.timeout_ms
    if lag_ms >= timeout_ms / LAG_SHARE:
        return False
    return lag_ms <= timeout_ms / SLACK_SHARE or at_ms < fires_ms - timeout_ms / LEFT_SHARE


def _holds(switch: NativeSwitch) -> bool:
    """Return whether the exchange may run a timer for a switch."""
    return switch.unsure or switch.fires_ms > 0


def _late(switch: NativeSwitch) -> bool:
    return switch.outlives or switch.fires_ms > switch.deadline_ms


def _guarded(switches: Sequence[NativeSwitch], brief: Collection[str], now_ms: int) -> bool:
    """Return whether the timer serves a deadline that is too near for it to be set again."""
    return any(
        switch.id in brief and not switch.unsure and now_ms < switch.fires_ms <= switch.deadline_ms
        for switch in switches
    )
