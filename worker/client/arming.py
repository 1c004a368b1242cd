"""Arm a scope once no former switch of it can cancel new orders."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from worker import clock
from worker.client.pair_names import naming_pairs
from worker.client.switch import HeldSwitch, urgent_bell
from worker.config.client_settings import ProducerSettings
from worker.errors import InvalidCommand, SwitchClearing, SwitchOverlap
from worker.exchanges.base import Exchange
from worker.model.constants import EVERYTHING
from worker.model.holders import HeldWhy, who_holds, why_held
from worker.model.names import lane_of
from worker.model.settlements import new_id
from worker.model.switch_scopes import order_names, scope_items
from worker.model.switches import Armed, Clearing
from worker.policy.holding import holding_of
from worker.policy.phases import check_name, check_stops, check_switch, check_tracked, spelled
from worker.policy.timers import shortest_native_ms, terms_of
from worker.store.steps import Pause, Steps
from worker.store.switch_steps import arming

HeldSwitchT = TypeVar("HeldSwitchT", bound=HeldSwitch)

LOOK_MS = 100
"""Maximum time between two attempts to arm."""


@dataclass(frozen=True, slots=True)
class Scope:
    """The orders that a switch covers.

    Attributes:
        pairs: All orders of these.
        order_ids: These orders.
        client_order_ids: Orders to which the strategy gave these ids.
        client_id_prefix: Of the pairs, or of all if there are none, only orders whose client
            order id begins with this.
        everything: All orders of the account.
        stops: `take` or `keep`: what becomes of stop orders.
    """

    pairs: Sequence[str]
    order_ids: Sequence[str]
    client_order_ids: Sequence[str] = ()
    client_id_prefix: str | None = None
    everything: bool = False
    stops: str = "take"


def native_terms(settings: ProducerSettings, account: str) -> tuple[int, int]:
    """Return the shortest timeout in ms of a native timer, and the renewal budget.

    Both come from the settings. Values that the account's workers registered in
    Redis take precedence.
    """
    known = settings.accounts.get(account)
    if known is None:
        return 0, 0
    terms, budget = terms_of(known)
    return shortest_native_ms(terms, settings.switches.transit_ms), budget


def timers_of(
    settings: ProducerSettings,
    exchange: Exchange,
    account: str,
    pairs: Sequence[str],
    *,
    everything: bool = False,
) -> tuple[Exchange, str, tuple[str, ...]]:
    """Return where a switch is armed: the account, and how its exchange spells the pairs.

    An account may name another one of the same user that holds its timers. The switch is
    then that account's in all: its timer, its cancels, its credentials and its limits. So
    a pair that is armed through either account is one scope.
    """
    named = tuple(spelled(exchange, pair) or "" for pair in pairs)
    known = settings.accounts.get(account)
    if known is None or not known.timers or not (named or everything):
        return exchange, account, named
    holder = settings.accounts[known.timers].adapter
    return holder, known.timers, tuple(spelled(holder, pair) or "" for pair in named)


def arming_switch(
    make: Callable[..., HeldSwitchT],
    settings: ProducerSettings,
    exchange: Exchange,
    account: str,
    *,
    scope: Scope,
    timeout_ms: int,
    clear_wait_ms: int,
    name: str | None = None,
    replace: bool = False,
) -> Steps[HeldSwitchT]:
    """Arm a scope and return its switch; see `Producer.arm`."""
    for field in ("pairs", "order_ids", "client_order_ids"):
        values = getattr(scope, field)
        if isinstance(values, str) or not isinstance(values, Sequence):
            raise InvalidCommand(f"{field} must be a list")
    _check_wait(clear_wait_ms)
    orders = order_names(scope.order_ids, scope.client_order_ids)
    check_name(name, replace=replace, orders=len(orders))
    pairs = tuple(spelled(exchange, pair) or "" for pair in scope.pairs)
    if orders and scope.client_id_prefix is None:
        _check_apart(settings, account, pairs)
    elif scope.client_id_prefix is None:
        exchange, account, pairs = timers_of(
            settings, exchange, account, scope.pairs, everything=scope.everything
        )
    bounds = settings.switches
    check_switch(
        exchange,
        pairs=pairs,
        order_ids=tuple(scope.order_ids),
        timeout_ms=timeout_ms,
        shortest_ms=bounds.min_timeout_ms,
        longest_ms=bounds.max_timeout_ms,
        client_order_ids=tuple(scope.client_order_ids),
        client_id_prefix=scope.client_id_prefix,
        everything=scope.everything,
    )
    pairs = yield from naming_pairs(exchange, account, pairs)
    order_pair = check_tracked(exchange, pairs, scope.order_ids, scope.client_order_ids)
    stops = check_stops(exchange, scope.stops)
    holding = holding_of(
        exchange,
        everything=scope.everything,
        timeout_ms=timeout_ms,
        keeps_stops=bool(stops),
        pairs=len(pairs),
    )
    shortest_ms, budget = native_terms(settings, account)
    items = scope_items(pairs, scope.client_id_prefix)
    prefixed = holding.timer and scope.client_id_prefix is not None
    armed = yield from _once_clear(
        lambda: arming(
            switch_id=new_id(),
            lane=lane_of(exchange.name, account),
            account=account,
            native=holding.timer,
            pairs=(EVERYTHING,) if scope.everything else items,
            order_ids=orders,
            timeout_ms=timeout_ms,
            bell=urgent_bell(exchange.name),
            shortest_ms=shortest_ms,
            budget=budget,
            by_workers=HeldWhy.PREFIX.value if prefixed else holding.by_workers,
            partly=holding.partly,
            name=name or "",
            replace_named=replace,
            order_pair=order_pair,
            stops=stops,
        ),
        wait_ms=clear_wait_ms,
    )
    if armed.overlaps:
        if armed.named:
            raise SwitchOverlap(
                f"switch {armed.switch_id} has the name {name} and covers another scope "
                f"({armed.overlaps}); replace=True (--replace) swaps its scope for this one, "
                "arming exactly its scope takes it over"
            )
        raise SwitchOverlap(overlap_text(armed.switch_id, armed.overlaps))
    switch = make(
        exchange,
        switch_id=armed.switch_id,
        account=account,
        epoch=armed.epoch,
        deadline_ms=armed.deadline_ms,
        held=who_holds(armed.held_why, native=armed.native, orders=bool(orders)),
        held_why=why_held(armed.held_why, native=armed.native, orders=bool(orders)),
        name=name or "",
        timeout_ms=timeout_ms,
        pairs=pairs,
    )
    switch.raise_if_ended(armed.reply)
    return switch


def overlap_text(switch_id: str, covers: str) -> str:
    """Return why a scope cannot be armed beside a switch that covers `covers`."""
    if covers == EVERYTHING:
        return (
            f"switch {switch_id} covers everything on this account, and no other switch can be "
            "armed beside it; disarm it first"
        )
    return (
        f"switch {switch_id} covers part of this scope ({covers}); "
        "disarm it, or arm exactly its scope to take it over"
    )


def _check_apart(settings: ProducerSettings, account: str, pairs: tuple[str, ...]) -> None:
    known = settings.accounts.get(account)
    if pairs and known is not None and known.timers:
        raise InvalidCommand(
            f"{known.timers} holds the timers of {account}, for pairs alone: arm the pairs and "
            "the order ids as two switches"
        )


def _check_wait(wait_ms: object) -> None:
    if isinstance(wait_ms, bool) or not isinstance(wait_ms, int) or wait_ms < 0:
        raise InvalidCommand("clear_wait_ms must be a whole number of milliseconds, 0 or more")


def _once_clear(arm: Callable[[], Steps[Armed]], *, wait_ms: int) -> Steps[Armed]:
    """Retry arming until the scope is clear or `wait_ms` has passed.

    Each attempt is one atomic step in Redis: it arms only a scope that is clear.

    Args:
        arm: Makes one attempt.
        wait_ms: How long to retry; 0 for one attempt.

    Raises:
        SwitchClearing: A former switch may still cancel orders placed now.
            Nothing was armed.
        StoreUnavailable: Redis did not answer. The scope may be armed.
    """
    until_ms = clock.monotonic_ms() + wait_ms
    while True:
        armed = yield from arm()
        left_ms = until_ms - clock.monotonic_ms()
        if armed.clearing is None:
            return armed
        if left_ms <= 0:
            raise SwitchClearing(_clearing_text(armed.clearing), armed.clearing.wait_ms)
        yield Pause(min(LOOK_MS, left_ms))


def _clearing_text(clearing: Clearing) -> str:
    """Return why the scope is not clear and what to do."""
    scope = "everything" if clearing.pair == EVERYTHING else clearing.pair
    if not clearing.job_id:
        return (
            f"a request of a former switch of {scope} may still cancel new orders "
            f"for about {clearing.wait_ms} ms; arm again after that, or set clear_wait_ms"
        )
    last = f" (its last attempt: {clearing.detail})" if clearing.detail else ""
    return (
        f"a former switch of {scope} tripped; job {clearing.job_id} cancels new orders "
        f"too, until the exchange has listed the open orders once{last}; expected within "
        f"{clearing.wait_ms} ms if the exchange answers: place no orders there, and arm again, "
        "or set clear_wait_ms; if the job becomes a dead letter, arming is possible again, "
        "but its orders may still be open"
    )
