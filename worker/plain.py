"""Countdown messages of plain Celery clients, who hold no switch in hand."""

from __future__ import annotations

from worker.commands import ListOpenOrders
from worker.errors import SwitchOverlap
from worker.gate import check_switch, holds_timers
from worker.messages import CountdownMessage
from worker.names import lane_of
from worker.runtime import Runtime
from worker.store.ledger import new_id
from worker.switch import urgent_bell

STALE = "stale: nothing changed"


def move_switch(
    parts: Runtime, message: CountdownMessage, *, task_id: str, again: bool = False
) -> str:
    """Bring the switch of these pairs to where a message wants it.

    Args:
        parts: Of this process.
        message: As read.
        task_id: The same each time that it comes.
        again: Whether it may have come before. Then, unless it says when it was
            sent, it never moves a deadline on, and disarms nothing if it was taken.

    Returns:
        What was done, for people.

    Raises:
        InvalidCommand: It cannot be done as it stands. Nothing was changed.
        StoreUnavailable: Redis did not answer. Asking again is safe.
    """
    account = parts.settings.account(message.account)
    exchange = account.adapter
    bell = urgent_bell(exchange.name)
    if message.timeout_ms == 0:
        return _disarm(parts, message, bell, task_id=task_id, again=again)
    bounds = parts.settings.switches
    check_switch(
        exchange,
        pairs=message.pairs,
        order_ids=(),
        timeout_ms=message.timeout_ms,
        shortest_ms=bounds.min_timeout_ms,
        longest_ms=bounds.max_timeout_ms,
    )
    armed = parts.switches.arm(
        switch_id=new_id(),
        lane=lane_of(exchange.name, message.account),
        account=message.account,
        native=holds_timers(exchange),
        pairs=message.pairs,
        order_ids=(),
        timeout_ms=message.timeout_ms,
        bell=bell,
        mode="again" if again and message.sent_ms is None else "touch",
        sent_ms=message.sent_ms or 0,
    )
    if armed.overlaps:
        raise SwitchOverlap(f"switch {armed.switch_id} holds a part of these pairs")
    return f"armed {armed.switch_id}" if armed.switch_id else STALE


def _disarm(
    parts: Runtime,
    message: CountdownMessage,
    bell: tuple[str, str],
    *,
    task_id: str,
    again: bool,
) -> str:
    for pair in message.pairs:
        parts.settings.account(message.account).adapter.check(ListOpenOrders(pair=pair))
    state, switch_id, *held = parts.switches.disarm_pairs(
        message.account,
        message.pairs,
        bell,
        sent_ms=message.sent_ms or 0,
        message=task_id,
        again=again,
    )
    match state:
        case "overlap":
            raise SwitchOverlap(f"switch {switch_id} holds {held[0].replace(',', ', ')}")
        case "tripped":
            return f"too late: switch {switch_id} has tripped"
        case "stale":
            return STALE
        case "none":
            return "no such switch"
        case _:
            return "disarmed"
