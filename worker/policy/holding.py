"""Who holds a switch's deadline: its exchange by a timer, workers, or both; and why."""

from __future__ import annotations

from dataclasses import dataclass

from worker.exchanges.base import Exchange
from worker.exchanges.timer import Reach
from worker.model.holders import HeldWhy
from worker.policy.phases import lists_stops


@dataclass(frozen=True, slots=True)
class Holding:
    """What an exchange's timer can do for a switch, before limits are looked at.

    The reasons are `HeldWhy`, some with a figure; `why_held` has their words.

    Attributes:
        timer: Whether the exchange has timers at all.
        by_workers: Why its timer is not used for this switch; empty if it is.
        partly: Why workers hold a part of the scope although it is; empty if they do not.
    """

    timer: bool
    by_workers: str = ""
    partly: str = ""


def holding_of(
    exchange: Exchange,
    *,
    everything: bool,
    timeout_ms: int,
    keeps_stops: bool = False,
    pairs: int = 1,
) -> Holding:
    """Return what an exchange's timer can do for a switch.

    A timer that reaches more than the scope is never used.

    Args:
        exchange: The account's.
        everything: Whether the scope is the whole account.
        timeout_ms: From each heartbeat to the deadline.
        keeps_stops: Its stop orders stay.
        pairs: How many pairs it covers.
    """
    timer = exchange.capabilities.timer
    if timer is None:
        return Holding(timer=False)
    partly = HeldWhy.OTHERS if timer.leaves_others else ""
    partly = HeldWhy.STOPS if timer.leaves_stops and not keeps_stops else partly
    if keeps_stops and not (timer.leaves_stops and lists_stops(exchange)):
        return Holding(timer=True, by_workers=HeldWhy.KEPT)
    if timer.reach is Reach.ACCOUNT and not everything:
        return Holding(timer=True, by_workers=HeldWhy.WIDE)
    listed = timer.reach is Reach.LIST and not everything
    if listed and pairs > timer.pairs_max:
        return Holding(timer=True, by_workers=f"{HeldWhy.MANY} {timer.pairs_max}")
    if (timer.reach is Reach.PAIRS and everything) or (listed and not pairs):
        return Holding(timer=True, by_workers=HeldWhy.NARROW)
    if not timer.one_shot:
        return Holding(timer=True, by_workers=HeldWhy.REPEATS)
    if timer.longest_ms and timeout_ms > timer.longest_ms:
        return Holding(timer=True, by_workers=f"{HeldWhy.LONG} {timer.longest_ms}")
    return Holding(timer=True, partly=partly)
