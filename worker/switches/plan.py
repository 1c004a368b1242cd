"""Which countdown requests bring an exchange in line: a pure plan.

Switches share a request, with the earliest of their deadlines, only where that
costs none of them more than `NEAR_SHARE` of its timeout.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from worker.model.constants import EVERYTHING, LAG_SHARE, LEFT_SHARE, NEAR_SHARE
from worker.model.switches import NativeSwitch


@dataclass(frozen=True, slots=True)
class Sync:
    """One countdown request.

    Attributes:
        pairs: What it names.
        members: The switches it is for, with the epochs planned for.
        stop: Whether it stops the timer instead of setting it.
        last: Whether the members are in line once it is done; false for all but
            the last of the requests that one long list of pairs was split into.
        urgent: Not a mere renewal: a stop, or a scope without a timer yet, or
            whose timer would outlive its deadline, or is about to fire; or a part of
            a long list, of which none counts before all are done, when half of its
            time is over.
        dropped: Switches whose timers it ends, as it overwrites them.
    """

    pairs: tuple[str, ...]
    members: tuple[tuple[str, int], ...]
    stop: bool
    urgent: bool
    last: bool = True
    dropped: tuple[tuple[str, int], ...] = ()

    @property
    def scope(self) -> str:
        """What it names, for people."""
        return "everything" if self.pairs == (EVERYTHING,) else ", ".join(self.pairs)


def plan(
    switches: Sequence[NativeSwitch],
    *,
    now_ms: int,
    max_pairs: int,
    alone: Collection[str] = (),
    least_ms: int = 0,
) -> list[Sync]:
    """Return the requests that are due, in the order they should go.

    Stops first, then scopes whose timer is missing or too late, then renewals,
    each by deadline.
    Switches that are not due share a request that goes anyway. A timer that cannot be set
    to the little that is left of its deadline is stopped if it would fire later, and else
    left as it is: workers hold the rest.

    Args:
        switches: All of one account.
        now_ms: Redis time.
        max_pairs: Most pairs in one request.
        alone: Switches that share with no other, since a request of theirs was
            refused.
        least_ms: Time that must be left of a deadline for a timer to be set.
    """
    brief = {switch.id for switch in brief_of(switches, now_ms=now_ms, least_ms=least_ms)}
    late = {
        switch.id
        for switch in switches
        if switch.id in brief and (switch.outlives or switch.fires_ms > switch.deadline_ms)
    }
    stops = [switch for switch in switches if switch.due and (switch.stopped or switch.id in late)]
    packs = _packed(stops, max_pairs, alone)
    syncs = [sync for group in packs for sync in _syncs(group, max_pairs, stop=True, urgent=True)]
    armed = sorted(
        (switch for switch in switches if switch.timed and switch.id not in brief),
        key=lambda switch: switch.deadline_ms,
    )
    groups = [
        part
        for group in _close(armed)
        for part in _packed(group, max_pairs, alone)
        if any(switch.due for switch in part)
    ]
    ranked = [(is_urgent(group, now_ms, max_pairs), group) for group in groups]
    ranked.sort(key=lambda each: (not each[0], each[1][0].deadline_ms))
    return syncs + [
        sync
        for urgent, group in ranked
        for sync in _syncs(group, max_pairs, stop=False, urgent=urgent)
    ]


def brief_of(switches: Sequence[NativeSwitch], *, now_ms: int, least_ms: int) -> list[NativeSwitch]:
    """Return armed switches with too little left of their deadline for the timer to be set."""
    return [
        switch for switch in switches if switch.timed and switch.deadline_ms - now_ms < least_ms
    ]


def countdown_ms(deadline_ms: int, now_ms: int, call_ms: int) -> int:
    """Return what to set the exchange's timer to, so that it fires by the deadline.

    Never 0, which would stop the timer.

    Args:
        deadline_ms: When it must have fired.
        now_ms: When the request is made.
        call_ms: How long it may take to arrive.
    """
    return max(1, deadline_ms - now_ms - call_ms)


def _close(armed: Sequence[NativeSwitch]) -> list[list[NativeSwitch]]:
    """Group switches by deadlines close enough to share the earliest.

    Due ones open the groups, so that none of the others is renewed for nothing.
    """
    groups: list[list[NativeSwitch]] = []
    for switch in armed:
        first = groups[-1][0] if groups else None
        if first and switch.deadline_ms - first.deadline_ms <= switch.timeout_ms // NEAR_SHARE:
            groups[-1].append(switch)
        else:
            groups.append([switch])
    return groups


def _packed(
    group: Sequence[NativeSwitch], max_pairs: int, alone: Collection[str]
) -> list[list[NativeSwitch]]:
    """Split a group where a request would name too many pairs."""
    packs: list[list[NativeSwitch]] = []
    size = 0
    for switch in group:
        lonely = switch.id in alone or (bool(packs) and packs[-1][0].id in alone)
        if not packs or lonely or size + len(switch.pairs) > max_pairs:
            packs.append([])
            size = 0
        packs[-1].append(switch)
        size += len(switch.pairs)
    return packs


def is_urgent(group: Sequence[NativeSwitch], now_ms: int, max_pairs: int) -> bool:
    """Whether it is more than a renewal; or one of several requests that is late by now."""
    long = sum(len(switch.pairs) for switch in group) > max_pairs
    return any(
        switch.due
        and (
            not switch.fires_ms
            or switch.fires_ms > switch.deadline_ms
            or 0 < switch.fires_ms - now_ms < switch.timeout_ms / LAG_SHARE
            or (long and switch.fires_ms - now_ms < switch.timeout_ms / LEFT_SHARE)
        )
        for switch in group
    )


def _syncs(
    group: Sequence[NativeSwitch], max_pairs: int, *, stop: bool, urgent: bool
) -> list[Sync]:
    pairs = list(dict.fromkeys(pair for switch in group for pair in switch.pairs))
    parts = [tuple(pairs[i : i + max_pairs]) for i in range(0, len(pairs), max_pairs)]
    return [
        Sync(
            pairs=part,
            members=tuple((switch.id, switch.epoch) for switch in group),
            stop=stop,
            urgent=urgent,
            last=part is parts[-1],
        )
        for part in parts
    ]
